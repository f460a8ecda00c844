"""Goal: what a hostile container does costs its neighbours little.

Method: 20 innocent containers start, are asked for by name and end, in blocks: alone, and beside a
hostile container that does all at once what a container can do to the engine (`hostile.sh`,
`hostile_storm.py`), and whose clients are as hostile. The blocks alternate, so that what else the
machine does meets both kinds. Engine and innocent clients have a high priority, and the hostile
processes the lowest: the time that those take is the kernel's to share out, and what other
work the machine has is no fault of the engine.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from refimpl.daemon.containers.guard import WORKERS
from tests.kernel.docker_cli import IMAGE, WAIT_S, load_image, until
from tests.kernel.own_engine import Engine, own_engine

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(600)]
INNOCENT = 20
REPEATS = 5
ROUNDS = 2
"""Of all innocent containers in one block."""
QUESTIONS = 10
"""To the embedded DNS by UDP for each innocent container, and one more by TCP."""
MAX_RATIO = 3.0 if os.environ.get("NETINIT_PROFILE") == "nightly" else 10.0
"""Of the p95 beside the hostile container to the p95 alone; the median of the repeats. The bound
is 3; in `kernel`, which also runs on shared machines, it is only a tripwire."""
SHORTEST_S = 0.0005
"""What an operation alone counts as at least: below that the machine's scheduler is measured."""
HERE = Path(__file__).parent
CLIENTS_THAT_DO_NOT_READ = 8
ECHO = "echo"
"""An exchange between two processes without the engine: what takes less cannot be told apart."""
STEPS = frozenset("files line flood processes signals tree odd_files questions addresses".split())
"""What the hostile container has written into its `/steps` when it has done all of it once."""


class Client(http.client.HTTPConnection):
    """The engine's API over its socket."""

    def __init__(self, path: Path, timeout_s: float = WAIT_S) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Return the status and the document of an answer."""
        text = None if body is None else json.dumps(body)
        self.request(method, path, text, {"Content-Type": "application/json"})
        answer = self.getresponse()
        data = answer.read()
        kind = answer.getheader("Content-Type", "")
        return answer.status, json.loads(data) if data and "json" in kind else data


@dataclass
class Block:
    """How long each innocent operation of one block took, in seconds, by the operation's name."""

    times: dict[str, list[float]] = field(default_factory=dict)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.times.setdefault(name, []).append(time.perf_counter() - began)

    def p95(self, name: str) -> float:
        times = sorted(self.times[name])
        return times[int(0.95 * (len(times) - 1))]


class Asker:
    """Asks the embedded DNS from inside a container's network; a process of its own.

    With each question it asks an echo server of its own, which tells what the machine does to an
    exchange between two processes.
    """

    PROGRAM = """
import socket, struct, sys, time
identity = 0
echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
echo.settimeout(10)
echo.connect(("127.0.0.1", 7))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.settimeout(10)
udp.connect(("127.0.0.11", 53))
for line in sys.stdin:
    name, count = line.split()
    times, echoes = [], []
    for number in range(int(count) + 1):
        began = time.perf_counter()
        echo.send(b"x")
        echo.recv(9)
        echoes.append(time.perf_counter() - began)
        identity = (identity + 1) % 65536
        label = name.encode()
        ask = struct.pack(">6HB", identity, 256, 1, 0, 0, 0, len(label)) + label
        ask += struct.pack(">xHH", 1, 1)
        began = time.perf_counter()
        if number < int(count):
            udp.send(ask)
            answer = udp.recv(512)
        else:
            with socket.create_connection(("127.0.0.11", 53), 10) as tcp:
                tcp.sendall(struct.pack(">H", len(ask)) + ask)
                answer = b""
                while len(answer) < 2 or len(answer) < 2 + int.from_bytes(answer[:2], "big"):
                    answer += tcp.recv(512)
            answer = answer[2:]
        times.append(time.perf_counter() - began)
        assert int.from_bytes(answer[:2], "big") == identity
    print(socket.inet_ntoa(answer[-4:]), *echoes, *times, flush=True)
"""
    ECHO = """
import socket
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 7))
print(flush=True)
while True:
    udp.sendto(*udp.recvfrom(9))
"""

    def __init__(self, pid: int) -> None:
        self.echo, self.process = (
            subprocess.Popen(
                ["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-c", program],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for program in (self.ECHO, self.PROGRAM)
        )  # fmt: skip
        assert self.echo.stdout is not None
        self.echo.stdout.readline()

    def ask(self, name: str) -> tuple[str, list[float], list[float]]:
        """Return the address of the last answer, and how long each echo and answer took.

        The last answer is TCP's.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{name} {QUESTIONS}\n")
        self.process.stdin.flush()
        address, *times = self.process.stdout.readline().split()
        seconds = [float(one) for one in times]
        return address, seconds[: QUESTIONS + 1], seconds[QUESTIONS + 1 :]

    def close(self) -> None:
        for process in (self.echo, self.process):
            process.kill()
            process.communicate()


def pid_of(engine: Engine, name: str) -> int:
    return int(engine.state(name, "Pid"))


def one_block(engine: Engine, asker: Asker) -> Block:
    """Start, ask for and end each innocent container."""
    block = Block()
    client = Client(engine.folder / "engine.sock")
    for number in range(ROUNDS * INNOCENT):
        name = f"i{number % INNOCENT}"
        with block.timed("start"):
            assert client.call("POST", f"/containers/{name}/start")[0] == 204
        _, shown = client.call("GET", f"/containers/{name}/json")
        address, echoes, times = asker.ask(name)
        assert address == shown["NetworkSettings"]["Networks"]["village"]["IPAddress"]
        block.times.setdefault(ECHO, []).extend(echoes)
        block.times.setdefault("dns", []).extend(times[:-1])
        block.times.setdefault("dns by tcp", []).append(times[-1])
        with block.timed("end"):
            assert client.call("POST", f"/containers/{name}/kill")[0] == 204
        assert client.call("GET", f"/containers/{name}/json")[1]["State"]["ExitCode"] == 137
    client.close()
    return block


def hostile_clients(engine: Engine, end: threading.Event) -> None:
    """Ask the engine for what makes it read the hostile container's files and output."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
    sock = engine.folder / "engine.sock"
    follow = raw(sock, "GET", "/containers/hostile/logs?follow=1&stdout=1&stderr=1")
    held: list[socket.socket] = []
    command = ["sh", "-c", "renice -n 19 -p $$; yes | head -c 3000000"]
    execs = {"AttachStdout": True, "AttachStderr": True, "Cmd": command}
    with contextlib.closing(Client(sock)) as client:
        for number in itertools.count():
            if end.wait(0.5):
                break
            status, made = client.call("POST", "/containers/hostile/exec", execs)
            if status == 201:
                one = raw(sock, "POST", f"/exec/{made['Id']}/start", '{"Detach": false}')
                held.append(one)
            if len(held) > CLIENTS_THAT_DO_NOT_READ:
                held.pop(0).close()
            # the container's output waits for whoever is attached, so this one leaves soon
            raw(sock, "POST", "/containers/hostile/attach?stream=1&logs=1&stdout=1").close()
            action = "disconnect" if number % 2 else "connect"
            client.call("POST", f"/networks/bridge/{action}", {"Container": "hostile"})
            client.call("GET", "/containers/hostile/json")
            client.call("GET", "/containers/hostile/logs?stdout=1&tail=1")
            client.call("POST", "/containers/hostile/rename?name=hostile")
    for one in (follow, *held):
        one.close()


def raw(sock: Path, method: str, path: str, body: str = "") -> socket.socket:
    """Send a request and read nothing of its answer."""
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(WAIT_S)
    one.connect(str(sock))
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    one.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    return one


@contextmanager
def hostile(engine: Engine) -> Iterator[None]:
    """Run the hostile containers and their clients; remove them, which must succeed, at the end."""
    common = ("--network", "village", "--log-opt", "max-size=20m", "--log-opt", "max-file=3")
    engine.docker(
        "run", "-d", "--name", "hostile", *common, "--cap-add", "NET_ADMIN", "--dns", "127.0.0.99",
        "-v", f"{HERE}/hostile.sh:/hostile.sh:ro", IMAGE, "sh", "/hostile.sh",
    )  # fmt: skip
    engine.docker("run", "-d", "--name", "restless", *common, "--restart", "always", IMAGE, "true")
    pid = pid_of(engine, "hostile")
    storm = subprocess.Popen(
        ["nice", "-n", "19", "nsenter", f"--net=/proc/{pid}/ns/net",
         sys.executable, HERE / "hostile_storm.py", str(pid)],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert storm.stdout is not None
    assert storm.stdout.readline() == b"storm\n"
    end = threading.Event()
    clients = threading.Thread(target=hostile_clients, args=(engine, end))
    clients.start()
    try:
        yield
        steps = Path(f"/proc/{pid}/root/steps")
        until("it has done all once", lambda: set(steps.read_text().splitlines()) >= STEPS, 60)
    finally:
        end.set()
        clients.join(WAIT_S)
        assert storm.poll() is None, "the storm ended by itself"
        storm.kill()
        storm.communicate()
        assert engine.state("hostile") == "running", "it ended by itself"
        engine.docker("rm", "-f", "hostile", "restless")


NEW_MAX = 3
"""What a moment brings: a client's connection, a namespace that is made ahead."""


def resources(engine: Engine) -> Counter[str]:
    """Count the engine's threads, and its descriptors by what they lead to."""
    assert engine.process is not None
    proc = Path(f"/proc/{engine.process.pid}")
    found = Counter({"threads": len(list((proc / "task").iterdir()))})
    for descriptor in (proc / "fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            found[re.sub(r"[0-9a-f]{12,}|\d+", "N", str(descriptor.readlink()))] += 1
    return found


def new(engine: Engine, before: Counter[str]) -> Counter[str]:
    """Count what the engine has more than before; its pool grows with its work, and stays."""
    return resources(engine) - before - Counter({"threads": WORKERS})


@contextmanager
def high_priority() -> Iterator[None]:
    """Go before the machine's other work, with all that is started here."""
    os.setpriority(os.PRIO_PROCESS, 0, -15)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, 0)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with high_priority(), own_engine(tmp_path) as one:
        yield one


def test_twenty_innocent_containers_beside_a_hostile_one(engine, capsys) -> None:
    engine.start()
    load_image(engine.docker)
    engine.docker("network", "create", "--subnet", "10.91.0.0/24", "village")
    for number in range(INNOCENT):
        engine.docker(
            "create", "--name", f"i{number}", "--network", "village", IMAGE, "sleep", "600"
        )
    engine.docker("run", "-d", "--name", "witness", "--network", "village", IMAGE, "sleep", "600")
    asker = Asker(pid_of(engine, "witness"))
    try:
        one_block(engine, asker)  # the first starts make what later ones find
        with hostile(engine):
            pass
        before = resources(engine)
        slow = measure(engine, asker, capsys)
        if slow:  # red twice, as at the gate: a busy machine is not the engine
            slow = {name: ratio for name, ratio in measure(engine, asker, capsys).items()
                    if name in slow}  # fmt: skip
    finally:
        asker.close()
    assert slow == {}
    # nothing of it is left: neither in the engine, nor on its disk
    with contextlib.suppress(AssertionError):
        until("as before", lambda: new(engine, before).total() < NEW_MAX)
    more = new(engine, before)
    assert more.total() < NEW_MAX, f"threads and descriptors that were not there before: {more}"
    assert "Traceback" not in engine.log()
    assert len(engine.docker("ps", "-aq").split()) == INNOCENT + 1
    assert len(list((engine.folder / "data/overlay").iterdir())) == INNOCENT + 1
    engine.docker("rm", "-f", "witness")
    assert engine.namespaces() == set()
    assert not [name for name in engine.links() if name.startswith("veth")]
    assert engine.end(signal.SIGTERM) == 0


def measure(engine: Engine, asker: Asker, capsys) -> dict[str, float]:
    """Measure alone and beside in turn; return the operations that are slower than they may be."""
    pairs = []
    for _ in range(REPEATS):
        alone = one_block(engine, asker)
        with hostile(engine):
            beside = one_block(engine, asker)
        pairs.append((alone, beside))
    with capsys.disabled():
        ratios = report(pairs)
    return {name: ratio for name, ratio in ratios.items() if ratio > MAX_RATIO}


def report(pairs: list[tuple[Block, Block]]) -> dict[str, float]:
    """Print the table and return, by operation, the median of the repeats' ratios of p95."""
    medians = {}
    print(f"\n{'p95 in ms':12}{'alone':>8}{'beside':>8}  ratios of {len(pairs)} repeats, median")
    for name in pairs[0][0].times:
        ratios = [
            beside.p95(name) / max(alone.p95(name), beside.p95(ECHO), SHORTEST_S)
            for alone, beside in pairs
        ]
        medians[name] = median(ratios)
        alone_ms, beside_ms = (
            median(one.p95(name) for one in kind) * 1000 for kind in zip(*pairs, strict=True)
        )
        shown = " ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"{name:12}{alone_ms:8.2f}{beside_ms:8.2f}  {shown}, {medians[name]:.2f}")
    return medians
