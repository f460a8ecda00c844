"""Workers: processes that allocate on request, each in namespaces of its own.

A worker is started by `unshare` with a network and a private mount namespace, so that a link, a
namespace file or a mount that it forgets dies with it, also when it or its parent is killed. It
reads one JSON request per line and answers each with one JSON line:

    {"do": "allocate", "network": "bridge"}   ->  {"seconds": 0.0012}
    {"do": "release"}                         ->  {}
    anything that fails                       ->  {"error": "..."}

The end of its input is the end of the worker.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

ANSWER_TIMEOUT_S = 30.0
EXIT_TIMEOUT_S = 15.0
OWN_PACKAGES = Path(__file__).resolve().parents[1]


class WorkerError(Exception):
    """A worker could not do what it was asked, or did not answer in time."""


def serve(allocate: Callable[[str], float], release: Callable[[], None]) -> None:
    """Answer the requests on standard input; `allocate` returns its own duration in seconds.

    A sandbox that is still there at the end of the input is released.
    """
    print(json.dumps({}), flush=True)
    allocated = False
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any] = {}
        try:
            if request["do"] == "allocate":
                answer = {"seconds": allocate(request["network"])}
                allocated = True
            else:
                allocated = False
                release()
        except Exception as error:  # noqa: BLE001 - the parent is told and decides
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    if allocated:
        release()


class Worker:
    """The parent's side of one worker process."""

    def __init__(
        self,
        module: str,
        *arguments: str,
        log: Path,
        packages: Path = OWN_PACKAGES,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Start the worker and wait until it is ready.

        Args:
            module: the Python module to run as the worker.
            arguments: its command line.
            log: where its standard error goes.
            packages: the folder whose packages it imports before any other of these names.
            environment: what it has in its environment besides ours.

        Raises:
            WorkerError: it did not start; the text has the end of its standard error.
        """
        self._module = module
        self._log = log
        inherited = os.environ.get("PYTHONPATH")
        search_path = f"{packages}:{inherited}" if inherited else str(packages)
        with log.open("wb") as stderr:
            # A session of its own: Ctrl-C is for the parent, which then closes the input.
            self._process = subprocess.Popen(
                [
                    *("unshare", "--net", "--mount", "--propagation", "private", "--"),
                    *(sys.executable, "-m", module, *arguments),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
                cwd=packages,  # `-m` looks there first
                env={**os.environ, "PYTHONPATH": search_path, **environment},
            )
        try:
            self.ready = self._answer("start")
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The worker's process id: the door to its namespaces."""
        return self._process.pid

    def allocate(self, network: str) -> float:
        """Make a sandbox on a network and return how long that took, in seconds."""
        answer = self.ask({"do": "allocate", "network": network})
        return float(answer["seconds"])

    def release(self) -> None:
        """Unmake the sandbox of the last `allocate`."""
        self.ask({"do": "release"})

    def close(self) -> None:
        """End the worker; its namespaces, links and mounts go with it."""
        process = self._process
        if process.stdin is not None and not process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):  # it is dead already
                process.stdin.close()
        try:
            process.wait(EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(EXIT_TIMEOUT_S)
        if process.stdout is not None:
            process.stdout.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and return its answer.

        Raises:
            WorkerError: the worker answered with an error, not in time, or not at all.
        """
        stdin = self._process.stdin
        if stdin is None:
            raise WorkerError(f"{self._module}: no standard input")
        try:
            stdin.write(json.dumps(request).encode() + b"\n")
            stdin.flush()
        except BrokenPipeError as error:
            raise WorkerError(f"{self._module}: it has died: {self._last_words()}") from error
        return self._answer(request["do"])

    def _answer(self, what: str) -> dict[str, Any]:
        stdout = self._process.stdout
        if stdout is None:
            raise WorkerError(f"{self._module}: no standard output")
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            if not selector.select(ANSWER_TIMEOUT_S):
                raise WorkerError(f"{self._module}: {what}: no answer in {ANSWER_TIMEOUT_S:.0f} s")
        line = stdout.readline()
        if not line:
            raise WorkerError(f"{self._module}: {what}: it has died: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"{self._module}: {what}: {answer['error']}")
        return answer

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return " | ".join(lines[-3:]) or "no output"
