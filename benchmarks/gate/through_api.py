"""Worker of the gate: a daemon of the reference, asked over its socket to start containers.

The daemon is the program itself with a runtime that makes no container (`runtime.sh`), so that a
start is what the reference does for it and little else. Run by `benchmarks.worker.Worker` in a
network and a mount namespace of its own; the argument is a directory to work in.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.exec_root import mount_in_memory
from benchmarks.gate import serving

IMAGE = "netinit/empty"
RUNTIME = Path(__file__).with_name("runtime.sh")
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0
POLL_S = 0.005


class ApiError(Exception):
    """The daemon did not start, or answered with an error."""


class Client:
    """A connection to the daemon that is kept; for one thread."""

    def __init__(self, path: Path) -> None:
        """Remember where the socket is; the first request connects."""
        self._connection = UnixConnection(path)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Ask and return the decoded answer.

        Raises:
            ApiError: the daemon answered with an error.
        """
        raw = isinstance(body, bytes)
        payload = body if raw or body is None else json.dumps(body).encode()
        kind = "application/x-tar" if raw else "application/json"
        self._connection.request(method, path, payload, {"Content-Type": kind})
        response = self._connection.getresponse()
        text = response.read()
        if response.status >= 300:
            raise ApiError(f"{method} {path}: {response.status} {text.decode(errors='replace')}")
        return json.loads(text) if text.startswith(b"{") and not raw else None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=START_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(START_TIMEOUT_S)
        self.sock.connect(str(self._path))


class ApiAllocator:
    """`serving.Allocator` on a daemon: an allocate is a start, a release the end of a container."""

    def __init__(self, directory: Path) -> None:
        """Start the daemon and create the containers.

        Raises:
            ApiError: it does not start.
        """
        self._socket = directory / "api.sock"
        mount_in_memory(directory / "exec")
        # In the worker's process group, with every process of its containers.
        self._daemon = subprocess.Popen(
            [
                *(sys.executable, "-m", "refimpl"),
                *("--host", f"unix://{self._socket}", "--log-level", "error"),
                *("--data-root", str(directory / "data"), "--exec-root", str(directory / "exec")),
                *("--runtime", str(RUNTIME)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
        )
        try:
            self._wait_until_it_listens()
            self._client = Client(self._socket)
            self._import_image()
            self._client.call("POST", "/networks/create", {"Name": serving.USER_NETWORK})
            self._containers = {
                network: [self._create(mode) for _ in range(serving.BATCH)]
                for network, mode in serving.NETWORK_MODES.items()
            }
            self._pool = ThreadPoolExecutor(serving.BATCH)
        except BaseException:
            self.close()
            raise

    @property
    def cpu_pid(self) -> int:
        """The daemon."""
        return self._daemon.pid

    @property
    def works_in_caller(self) -> bool:
        """No, the daemon works."""
        return False

    def allocate(self, network: str, index: int) -> None:
        """Start a container."""
        self._client.call("POST", f"/containers/{self._containers[network][index]}/start")

    def release(self, allocated: list[tuple[str, int]]) -> None:
        """End all of them at once and wait until the daemon has released their networks."""
        ids = [self._containers[network][index] for network, index in allocated]
        list(self._pool.map(self._end, ids))

    def close(self) -> None:
        """Stop the daemon, and kill it and the containers' processes if it does not stop."""
        self._daemon.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._daemon.wait(STOP_TIMEOUT_S)
        # the worker leads this group and would die as well
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)
        if self._daemon.poll() is None:
            self._daemon.kill()
            self._daemon.wait(STOP_TIMEOUT_S)

    def _end(self, container_id: str) -> None:
        client = Client(self._socket)
        try:
            client.call("POST", f"/containers/{container_id}/kill")
            client.call("POST", f"/containers/{container_id}/wait")
        finally:
            client.close()

    def _wait_until_it_listens(self) -> None:
        give_up_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < give_up_s:
            if self._daemon.poll() is not None:
                raise ApiError(f"the daemon ended with {self._daemon.returncode}")
            with contextlib.suppress(OSError, ApiError):
                client = Client(self._socket)
                client.call("GET", "/_ping")
                client.close()
                return
            time.sleep(POLL_S)  # until the socket answers
        raise ApiError("the daemon does not listen")

    def _import_image(self) -> None:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            root = tarfile.TarInfo("etc")
            root.type = tarfile.DIRTYPE
            tar.addfile(root)
        query = f"fromSrc=-&repo={IMAGE}&tag=latest"
        self._client.call("POST", f"/images/create?{query}", archive.getvalue())

    def _create(self, network_mode: str) -> str:
        config = {"Image": IMAGE, "Cmd": ["true"], "HostConfig": {"NetworkMode": network_mode}}
        return str(self._client.call("POST", "/containers/create", config)["Id"])


def main() -> int:
    """Serve until the standard input ends."""
    allocator = ApiAllocator(Path(sys.argv[1]))
    try:
        serving.serve(allocator)
    finally:
        allocator.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
