"""What the engines of the selftests have in common: an API of JSON documents on a unix socket."""

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

VERSION = {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Components": []}


class UnixApi(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The server: a thread for each connection; `lock` is for who answers one request at a time."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: Path, handler: type["JsonHandler"]) -> None:
        """Listen; nothing is answered yet."""
        super().__init__(str(path), handler)
        self.lock = threading.Lock()

    def begin(self) -> None:
        """Answer from now on."""
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def end(self) -> None:
        """Answer no more."""
        self.shutdown()
        self.server_close()


class JsonHandler(BaseHTTPRequestHandler):
    """One connection; who inherits answers in `do_GET` and so on."""

    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        """Name the client for the log: a unix socket has no address."""
        return "unix"

    def log_message(self, format: str, *args: Any) -> None:
        """Write no log."""

    def read(self) -> bytes:
        """Give the body of the request."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status: int, document: Any = None) -> None:
        """Answer with a document; None is an empty body."""
        body = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
