"""The engine as a program, in a network namespace of its own, for tests that start and end it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kernel.docker_cli import ROOT, WAIT_S, Docker, answers, installed_clis, tool, until

NETNS = f"ni-prog-{os.getpid()}"


class Engine:
    """One data-root, and at most one daemon on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self.docker = Docker(installed_clis()[0], f"unix://{folder}/engine.sock")

    def command(self, *options: str) -> list[str]:
        folder = self.folder
        return [
            "nsenter", f"--net=/run/netns/{NETNS}", sys.executable, "-m", "refimpl",
            "--host", f"unix://{folder}/engine.sock", "--data-root", f"{folder}/data",
            "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid", *options,
        ]  # fmt: skip

    def start(self, *options: str) -> None:
        sock = self.folder / "engine.sock"
        sock.unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = process = subprocess.Popen(
                self.command(*options), cwd=ROOT, stdout=log, stderr=log
            )
        until("the engine answers", lambda: answers(sock) or process.poll() is not None)
        assert process.poll() is None, self.log()
        self.docker("network", "ls")  # answered once the networks are restored

    def end(self, number: int) -> int:
        """Send a signal and return the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(WAIT_S)

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def links(self) -> set[str]:
        shown = subprocess.run(
            ["ip", "-n", NETNS, "-br", "link"], capture_output=True, text=True, check=True
        )
        return {line.split()[0].partition("@")[0] for line in shown.stdout.splitlines()}

    def tables(self) -> dict[str, str]:
        """Return the nftables tables of the network namespace, and what they say."""
        nft = ["nsenter", f"--net=/run/netns/{NETNS}", "nft"]
        listed = subprocess.run(
            [*nft, "list", "tables"], capture_output=True, text=True, check=True
        ).stdout.split()
        return {
            name: subprocess.run(
                [*nft, "list", "table", "inet", name], capture_output=True, text=True, check=True
            ).stdout
            for name in listed[2::3]
        }

    def second(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run one more program with roots of its own, which is expected to end."""
        folder = self.folder
        roots = ("--data-root", f"{folder}/data2", "--exec-root", f"{folder}/exec2")
        return subprocess.run(
            self.command(*roots, *options),
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=WAIT_S,
        )  # fmt: skip

    def namespaces(self) -> set[str]:
        return {path.name for path in (self.folder / "exec/netns").iterdir()}

    def state(self, name: str, field: str = "Status") -> str:
        return self.docker("inspect", "--format", f"{{{{.State.{field}}}}}", name)


@contextmanager
def own_engine(folder: Path) -> Iterator[Engine]:
    """Yield an engine that was not started yet; what runs at the end is removed and ended."""
    if not installed_clis():
        pytest.skip("no docker CLI on this machine")
    tool("ip", "netns", "add", NETNS)
    tool("ip", "-n", NETNS, "link", "set", "lo", "up")
    engine = Engine(folder)
    try:
        yield engine
    finally:
        if engine.process is not None and engine.process.poll() is None:
            for name in engine.docker("ps", "-q").split():
                engine.docker("rm", "-f", name)
            engine.end(signal.SIGTERM)
        tool("ip", "netns", "delete", NETNS)
