"""What the docker CLI's tests stand on: an engine, a command line, a terminal.

The engine is the reference, started as a user starts it, in a network namespace of its own. With
NETINIT_CLI_HOST=unix:///path the same tests run against that engine instead: this is how their
expectations were taken from Docker 20.10.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from conformance.image import build_archive

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 30.0
NUDGE_S = 0.5
IMAGE = "cli-busybox:latest"


@dataclass(frozen=True)
class Answer:
    """What a command printed, and how it ended."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Docker:
    """One docker CLI, pointed at one engine."""

    program: str
    host: str

    def run(self, *arguments: str, stdin: bytes | None = None) -> Answer:
        """Run a command to its end, whatever that is."""
        done = subprocess.run(
            self.command(*arguments),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=WAIT_S,
            env=self.environment(),
            check=False,
        )
        return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())

    def __call__(self, *arguments: str, stdin: bytes | None = None) -> str:
        """Run a command that must succeed and return what it printed."""
        answer = self.run(*arguments, stdin=stdin)
        assert answer.status == 0, f"docker {' '.join(arguments)}: {answer}"
        return answer.out.removesuffix("\n")

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command and return it; the caller ends it."""
        return subprocess.Popen(
            self.command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment(),
        )

    def command(self, *arguments: str) -> list[str]:
        return [self.program, *arguments]

    def environment(self) -> dict[str, str]:
        # a home of its own: the user's contexts and plugins are not part of the test
        return {"DOCKER_HOST": self.host, "HOME": "/nonexistent", "PATH": os.environ["PATH"]}


class Terminal:
    """A command on a real terminal, of 24 rows and 80 columns."""

    def __init__(self, docker: Docker, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        self.resize(24, 80)
        self.process = subprocess.Popen(
            # its controlling terminal: that is how it learns of another size
            ["setsid", "--ctty", *docker.command(*arguments)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=docker.environment() | {"TERM": "xterm"},
        )
        os.close(slave)
        self.seen = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(WAIT_S)
        os.close(self._master)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def expect(self, text: str, nudge: Callable[[], None] | None = None) -> str:
        """Read until `text` is on the screen; return what came up to and with it.

        Now and then `nudge` is called: what it does may come too early the first time.
        """
        deadline = time.monotonic() + WAIT_S
        while text not in self.seen:
            ready, _, _ = select.select([self._master], [], [], NUDGE_S)
            if not ready:
                late = f"{text!r} did not come within {WAIT_S:.0f} s after {self.seen!r}"
                assert time.monotonic() < deadline, late
                if nudge is not None:
                    nudge()
                continue
            with contextlib.suppress(OSError):
                if data := os.read(self._master, 65536):
                    self.seen += data.decode("utf-8", "replace")
                    continue
            raise AssertionError(f"the terminal ended before {text!r}, after {self.seen!r}")
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def status(self) -> int:
        """Wait for the command's end and return its exit status."""
        return self.process.wait(WAIT_S)


@contextmanager
def reference(folder: Path) -> Iterator[str]:
    """Run the reference in a network namespace of its own; yield its DOCKER_HOST."""
    name = f"ni-cli-{os.getpid()}"
    tool("ip", "netns", "add", name)
    try:
        tool("ip", "-n", name, "link", "set", "lo", "up")
        with _daemon(folder, name) as host:
            yield host
    finally:
        tool("ip", "netns", "delete", name)


def answers(sock: Path) -> bool:
    """Whether an engine answers there, and has its networks.

    It is reachable a moment before that, and its file is there earlier.
    """
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(WAIT_S)
        try:
            client.connect(str(sock))
            client.sendall(b"GET /networks HTTP/1.1\r\nHost: netinit\r\nConnection: close\r\n\r\n")
            return client.recv(64).startswith(b"HTTP/1.1 200")
        except OSError:
            return False


@contextmanager
def _daemon(folder: Path, netns: str) -> Iterator[str]:
    sock = folder / "engine.sock"
    command = ["nsenter", f"--net=/run/netns/{netns}", sys.executable, "-m", "refimpl"]
    command += ["--host", f"unix://{sock}", "--data-root", str(folder / "data")]
    command += ["--exec-root", str(folder / "exec")]
    log = folder / "engine.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT)
    try:
        until("the engine answers", lambda: answers(sock) or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield f"unix://{sock}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(WAIT_S)
    text = log.read_text()
    assert "Traceback" not in text, text


def load_image(docker: Docker) -> None:
    """Give the engine the image that every test runs."""
    if docker.run("image", "inspect", IMAGE).status != 0:
        docker("import", "-", IMAGE, stdin=build_archive())


def tool(*command: str) -> None:
    """Run a tool of the host that must succeed."""
    subprocess.run(command, check=True, capture_output=True, timeout=WAIT_S)


def until(condition: str, holds: Callable[[], bool], seconds: float = WAIT_S) -> None:
    """Poll `holds()` until it is true, or fail naming the condition."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {condition}"
        time.sleep(0.02)


def installed_clis() -> list[str]:
    """Return the docker CLIs of this machine, the distribution's and a later one."""
    places = ["/usr/bin/docker", "/usr/local/bin/docker"]
    found = [place for place in places if Path(place).exists()]
    return found or [path for path in [shutil.which("docker")] if path]
