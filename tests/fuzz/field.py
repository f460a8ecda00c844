"""Where shots are fired: the reference and, where it is asked for, a real Docker beside it.

After every shot it is asked whether the answer was one, whether a 5xx is in the table or Docker's
too, what the log says and whether the daemon answers pings; after every run of shots whether all
can be removed and whether a thread or a descriptor is left.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from conformance.engines.dockerd import DockerdEngine
from conformance.engines.managed import ManagedEngine, workspace_of
from conformance.engines.reference import ReferenceEngine
from conformance.engines.settings import load_settings
from tests.fuzz import table
from tests.fuzz.routing import Endpoint, endpoint_of
from tests.fuzz.shots import Shot, listing
from tests.fuzz.sides import SETTLE_S, Side, Watch
from tests.fuzz.strategies import BEGIN, Known
from tests.fuzz.wire import Outcome

PING_WAIT_S = 5.0
"""How long a ping may take while anything is done, on a loaded machine."""

RSS_BYTES_MORE_MAX = 20 << 20
_TROUBLE = ("Traceback", "failed unexpectedly", "unexpected failure")


class Fault(AssertionError):
    """The reference did what it must not."""


class Field:
    """The engines, and what was found."""

    def __init__(
        self, reference: Side, docker: Side | None, *, collects: bool, settle_s: float = SETTLE_S
    ) -> None:
        """Furnish the engines and count what the reference holds when nothing is there.

        Args:
            reference: the engine under test.
            docker: the real one that gets the same shots, or None.
            collects: write faults down, in place of raising the first.
            settle_s: how long threads and descriptors may take to go.
        """
        self.reference = reference
        self.docker = docker
        self.collects = collects
        self.found: dict[str, tuple[str, list[Shot]]] = {}
        self.differences: dict[str, tuple[str, Shot]] = {}
        self.tally: Counter[str] = Counter()
        self.for_table: Counter[str] = Counter()
        self.known = Known()
        self.history: list[Shot] = []
        self._pool = ThreadPoolExecutor(2)
        self._entries = table.load()
        for side in self._sides:
            side.furnish()
            # what an engine makes with its first container, exec and network is no leak
            for shot in BEGIN:
                side.shoot(shot)
            side.clear()
        self.watch = Watch(reference, settle_s)
        self._first = self._before = self.watch.settled()

    @property
    def _sides(self) -> list[Side]:
        return [self.reference, *([self.docker] if self.docker else [])]

    def close(self) -> None:
        """Watch no more."""
        self.watch.close()
        self._pool.shutdown()

    def begin(self) -> None:
        """Begin a run of shots on engines that hold nothing."""
        self.known = Known()
        self.history = []
        self.tally["runs"] += 1
        list(self._pool.map(Side.furnish, self._sides))
        self._before = self.watch.settled(self._before)
        for shot in BEGIN:
            self.shoot(shot)

    def shoot(self, shot: Shot) -> None:
        """Send a shot to all and judge what the reference made of it."""
        self.history.append(shot)
        endpoint = None if shot.raw is not None else endpoint_of(shot.method, shot.target)
        pending = None
        if self.docker is not None and _is_for_docker(shot, endpoint):
            pending = self._pool.submit(self.docker.shoot, shot)
        outcome = self.reference.shoot(shot)
        docker = pending.result() if pending is not None else None
        self.known.learn(shot, outcome)
        self.tally["shots"] += 1
        self.tally[f"{outcome.status // 100}xx" if outcome.status else outcome.kind] += 1
        for fault in self._faults(shot, outcome, docker):
            self._report(fault)
        if docker is not None:
            self._compare(shot, outcome, docker)

    def _faults(self, shot: Shot, outcome: Outcome, docker: Outcome | None) -> Iterator[str]:
        endpoint = endpoint_of(shot.method, shot.target) if shot.raw is None else None
        route = endpoint.name if endpoint else "*"
        said = f"{outcome.status} {outcome.message[:300]}".strip()
        if outcome.kind in {"refused", "late", "malformed"}:
            yield f"{route}: {outcome.kind}: {said}"
        if outcome.kind == "closed" and shot.is_whole():
            yield f"{route}: closed without an answer"
        if outcome.status >= 500 and not self._is_dockers(route, outcome, docker):
            beside = f"; Docker: {docker.status} {docker.message[:300]}" if docker else ""
            yield f"{route}: {said}{beside}"
        news = self.watch.news()
        if any(word in news for word in _TROUBLE):
            yield f"the log says:\n{_of_interest(news)}"
        if self.watch.longest_ping_s > PING_WAIT_S:
            yield f"a ping took more than {PING_WAIT_S:.0f} s"
            self.watch.slowest_ping_s = 0.0

    def _compare(self, shot: Shot, outcome: Outcome, docker: Outcome) -> None:
        """Note an answer of another kind than Docker's; that is no fault here, but worth a look."""
        kinds = {outcome.status // 100, docker.status // 100}
        if len(kinds) == 1 or 0 in kinds:
            return
        endpoint = endpoint_of(shot.method, shot.target) if shot.raw is None else None
        ours, theirs = (f"{o.status} {o.message[:200]}" for o in (outcome, docker))
        text = f"{endpoint.name if endpoint else '*'}: {ours}; Docker: {theirs}"
        self.differences.setdefault(_kind(text), (text, shot))

    def _is_dockers(self, route: str, outcome: Outcome, docker: Outcome | None) -> bool:
        if any(e.covers(route, outcome) for e in self._entries):
            return True
        if docker is not None and docker.status == outcome.status:
            self.for_table[f"{route} {docker.status} {_kind(docker.message[:300])}"] += 1
            return True
        return False

    def end(self) -> None:
        """Remove everything, and see that nothing is held that was not held before."""
        cleared = list(self._pool.map(Side.clear, self._sides))
        for fault in cleared[0]:
            self._report(fault)
        now = self.watch.settled(self._before)
        if now.is_within(self._before):
            return
        if now.descriptors > self._before.descriptors:
            more = now.descriptors - self._before.descriptors
            self._report(f"{more} descriptors more than before (it holds {self.watch.held()})")
        else:
            more = now.threads - now.pooled - self._before.threads + self._before.pooled
            self._report(f"{more} threads more than before (it holds {self.watch.stacks()})")
        self._before = now  # reported once

    def conclude(self) -> None:
        """Compare the whole with how it began, and raise what was written down."""
        now = self.watch.counts() if self.found else self.watch.settled(self._first)
        more = now.rss_bytes - self._first.rss_bytes
        if more > RSS_BYTES_MORE_MAX:
            self._report(f"{more >> 20} MB more in memory than at the beginning")
        self.tally["KB of memory more"] = more >> 10
        self.tally["ms of the slowest ping"] = int(self.watch.longest_ping_s * 1000)
        if self.found:
            texts = [f"{fault}\n{listing(shots)}" for fault, shots in self.found.values()]
            raise Fault(f"{len(texts)} kinds of faults:\n\n" + "\n\n".join(texts))

    def _report(self, fault: str) -> None:
        if not self.collects:
            raise Fault(f"{fault}\n{listing(self.history)}")
        self.found.setdefault(_kind(fault), (fault, list(self.history)))

    def summary(self) -> str:
        """Say what was done, and where the answers differ without a fault."""
        lines = [", ".join(f"{count} {what}" for what, count in sorted(self.tally.items()))]
        lines += [f"for the table: {line} ({count})" for line, count in self.for_table.items()]
        lines += [f"differs: {text}\n    {shot!r}" for text, shot in self.differences.values()]
        return "\n".join(lines)


_TRACE_LINE = re.compile(r'File ".*?/(refimpl/\S+)", line \d+, in (\w+)')


def _kind(fault: str) -> str:
    """Give a fault without what differs from case to case."""
    places = _TRACE_LINE.findall(fault)
    if places:
        error = [line for line in fault.splitlines() if re.match(r"\w[\w.]*(:|$)", line)]
        return f"{places[-1]} {error[-1].partition(':')[0] if error else ''}"
    fault = fault.partition(" (it holds")[0].partition(": b'")[0]
    return re.sub(r'"[^"]*"|\b[0-9a-f]{12,64}\b|\d+', "*", fault)


def _of_interest(news: str) -> str:
    """Give the part of a log that begins with the first trouble."""
    lines = news.splitlines()
    first = next(i for i, line in enumerate(lines) if any(word in line for word in _TROUBLE))
    return "\n".join(lines[max(0, first - 1) : first + 40])


def _is_for_docker(shot: Shot, endpoint: Endpoint | None) -> bool:
    """Say whether a real Docker gets a shot: not where it would go to a registry or a swarm."""
    is_unserved = endpoint is not None and endpoint.is_unserved
    return not is_unserved and "fromImage" not in shot.target and "http" not in shot.target


def why_no_docker() -> str:
    """Say in one sentence why this machine has no Docker 20.10; "" = it has one."""
    return _docker("none").why_unavailable()


def _docker(run_id: str) -> ManagedEngine:
    settings = load_settings()["docker-20.10"]
    return DockerdEngine(settings, run_id=run_id, slot="docker", workspace=workspace_of(run_id))


def _reference(run_id: str, program: tuple[str, ...]) -> ManagedEngine:
    settings = load_settings()["reference"]
    if program:
        settings = dataclasses.replace(settings, command=program)
    return ReferenceEngine(settings, run_id=run_id, slot="ref", workspace=workspace_of(run_id))


@contextmanager
def open_field(
    name: str,
    *,
    with_docker: bool = False,
    collects: bool = True,
    settle_s: float = SETTLE_S,
    program: tuple[str, ...] = (),
) -> Iterator[Field]:
    """Start the engines, and take away all that is left of them at the end.

    Args:
        name: tells this field from another of the same process; a few letters.
        with_docker: whether a real Docker 20.10 gets the same shots.
        collects: as of Field.
        settle_s: as of Field.
        program: in the place of `python -m refimpl`.
    """
    run_id = f"fuzz{os.getpid()}{name}"
    with ExitStack() as stack:
        stack.callback(_remove_empty, workspace_of(run_id))
        engines = [_reference(run_id, program)]
        if with_docker:
            engines.append(_docker(run_id))
        for engine in engines:
            stack.callback(engine.stop)
            engine.start()
        sides = [Side(engine) for engine in engines]
        field = Field(
            sides[0], sides[1] if with_docker else None, collects=collects, settle_s=settle_s
        )
        stack.callback(field.close)
        yield field


def _remove_empty(folder: Path) -> None:
    if folder.exists():
        folder.rmdir()
