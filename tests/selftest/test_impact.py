"""`impact` on an engine full of somebody else's things: only GETs, and nothing changes."""

import http.client
import http.server
import json
import os
import secrets
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.engines.factory import make_engine
from conformance.engines.managed import ManagedEngine, workspace_of
from conformance.engines.processes import run_tool
from conformance.workbench import Workbench

pytestmark = [
    pytest.mark.root,
    pytest.mark.engine,
    pytest.mark.timeout(180),
    pytest.mark.skipif(os.geteuid() != 0, reason="starts a daemon"),
]


class Proxy(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Passes every request on to an engine, and writes down its method and path."""

    daemon_threads = True

    def __init__(self, place: Path, engine: Path) -> None:
        super().__init__(str(place), Passing)
        self.engine = engine
        self.requests: list[tuple[str, str]] = []


class Passing(http.server.BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"

    def parse_request(self) -> bool:
        self.client_address = ("proxy", 0)
        is_parsed = super().parse_request()
        if is_parsed:  # whatever the method is
            setattr(self, f"do_{self.command}", self.pass_on)
        return is_parsed

    def pass_on(self) -> None:
        self.server.requests.append((self.command, self.path))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = http.client.HTTPConnection("engine", timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.server.engine))
        connection.request(self.command, self.path, body=body or None, headers=dict(self.headers))
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers.get("Content-Type", "text/plain"))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    run_id = secrets.token_hex(3)
    engine = make_engine("reference", run_id=run_id, workspace=workspace_of(run_id), slot="theirs")
    assert isinstance(engine, ManagedEngine)
    engine.start()
    try:
        bench = Workbench(engine, run_id=run_id, subnets=None)  # type: ignore[arg-type]  # chosen here
        fill(bench)
        yield bench
    finally:
        engine.stop()
        if workspace_of(run_id).exists():
            workspace_of(run_id).rmdir()


def fill(bench: Workbench) -> None:
    bench.network("theirs", subnet="10.77.1.0/24")
    bench.network("theirs-inside", subnet="10.77.2.0/24", internal=True)
    bench.run(name="web", network_mode="theirs", ports={"80/tcp": 8080})
    bench.run(name="inside", network_mode="theirs-inside")
    bench.run(name="joined", network_mode="container:web")
    bench.run(name="host", network_mode="host")
    bench.run(name="stopped", network_mode="theirs").stop(timeout=5)
    bench.run(name="paused").pause()
    bench.create(name="created", network_mode="theirs", hostname="shop")


def seen(bench: Workbench) -> dict[str, str]:
    api = bench.client.api
    documents: dict[str, Any] = {
        one["Id"]: api.inspect_container(one["Id"]) for one in api.containers(all=True)
    }
    documents |= {one["Id"]: api.inspect_network(one["Id"]) for one in api.networks()}
    documents["info"] = {key: api.info()[key] for key in ("Containers", "Images")}
    texts = {name: json.dumps(one, sort_keys=True) for name, one in documents.items()}
    inside = ("nsenter", f"--net={bench.host.daemon_netns().path}")
    for words in ("ip -o link", "ip -4 -o addr", "ip -4 route show table all", "iptables-save"):
        texts[words] = "\n".join(
            line
            for line in run_tool(*inside, *words.split()).splitlines()
            if not line.startswith(("#", ":"))
        )
    return texts


@pytest.fixture
def proxy(bench, tmp_path_factory) -> Iterator[Proxy]:
    place = Path(f"/tmp/netinit-proxy{os.getpid()}.sock")
    place.unlink(missing_ok=True)
    with Proxy(place, Path(bench.engine.address.removeprefix("unix://"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
    place.unlink()


def impact(address: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "conformance", "impact", "--engine", address, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def test_engine_is_asked_by_get_alone_and_left_as_it_was(bench, proxy):
    before = seen(bench)
    done = impact(f"unix://{proxy.server_address}", "--to", "docker-28.5")
    assert seen(bench) == before
    assert done.returncode == 1, done.stderr
    assert "The engine is docker 20.10.24" in done.stdout
    assert "compared is docker-20.10" in done.stdout
    assert "inside (container)\n  - it is on internal networks alone" in done.stdout
    assert {method for method, _ in proxy.requests} == {"GET"}
    asked = [path for _, path in proxy.requests]
    assert sum("/containers/" in path and "json" in path for path in asked) >= 7


def test_proxy_sees_what_is_no_get(bench, proxy):
    """The proxy would show a request of another kind."""
    connection = http.client.HTTPConnection("engine", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(proxy.server_address))
    connection.request("POST", "/containers/none/start")
    assert connection.getresponse().status == 404
    connection.close()
    assert proxy.requests == [("POST", "/containers/none/start")]
