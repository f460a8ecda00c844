"""An engine that shots are sent to, and what of the reference's process is watched meanwhile."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from conformance.engines.managed import ManagedEngine
from conformance.image import build_archive
from tests.fuzz.documents import IMAGE
from tests.fuzz.routing import endpoint_of
from tests.fuzz.shots import Shot
from tests.fuzz.wire import ANSWER_WAIT_S, STREAM_WAIT_S, Outcome, send

STOP_WAIT_S = 3.0
"""How long a client waits for a stop before it leaves; a container may ignore the signal."""

PING_EVERY_S = 0.05
SETTLE_S = 20.0
"""How long threads and descriptors may take to go, on a loaded machine."""

_POOLED = re.compile(r"^thread daemon_\d+:", re.MULTILINE)
_NOBODY = "0" * 64
_BUILT_IN = {"bridge", "host", "none"}


class Side:
    """The reference or a real Docker."""

    def __init__(self, engine: ManagedEngine) -> None:
        """Take an engine that has been started."""
        self.engine = engine
        self.path = engine.address.removeprefix("unix://")
        self._exec = _NOBODY
        self._image = ""

    def shoot(self, shot: Shot) -> Outcome:
        """Send a shot and learn the id of an exec that it made."""
        endpoint = None if shot.raw is not None else endpoint_of(shot.method, shot.target)
        patience_s = ANSWER_WAIT_S
        if endpoint is not None and endpoint.is_stream:
            patience_s = STREAM_WAIT_S
        if endpoint is not None and endpoint.is_stop:
            patience_s = STOP_WAIT_S
        if shot.raw is not None and b"/events" in shot.raw:
            patience_s = STREAM_WAIT_S
        outcome = send(self.path, shot.filled(self._find), patience_s=patience_s)
        is_made = outcome.status == 201 and outcome.kind == "answer"
        if is_made and endpoint is not None and endpoint.path.endswith("/exec"):
            self._exec = str(json.loads(outcome.body)["Id"])
        return outcome

    def ask(self, method: str, target: str, body: bytes | None = None) -> Outcome:
        """Send a request of the fuzzer's own."""
        headers = (("Content-Type", "application/x-tar"),) if body else ()
        return send(self.path, Shot(method, target, body, headers))

    def get(self, target: str) -> Any:
        """Give the document of something that must be shown whatever went before."""
        outcome = self.ask("GET", target)
        assert outcome.status == 200, f"GET {target}: {outcome}"
        return json.loads(outcome.body)

    def furnish(self) -> None:
        """Give the engine its image, if that is not there as it was."""
        found = self.ask("GET", f"/images/{IMAGE}/json")
        if found.status != 200 or json.loads(found.body)["Id"] != self._image:
            self.ask("POST", "/images/create?fromSrc=-&repo=busy&tag=latest", build_archive())
            self._image = str(self.get(f"/images/{IMAGE}/json")["Id"])

    def clear(self) -> list[str]:
        """Remove whatever is there but the image; give what would not go or be listed."""
        faults = []
        try:
            for container in self.get("/containers/json?all=1"):
                faults += self._remove(f"/containers/{container['Id']}?force=1", 204, 404)
            for network in self.get("/networks"):
                if network["Name"] not in _BUILT_IN:
                    faults += self._remove(f"/networks/{network['Id']}", 204)
            for image in self.get("/images/json"):
                if image["Id"] != self._image:
                    target = f"/images/{quote(image['Id'])}?force=1"
                    faults += self._remove(target, 200, 404)
            left = len(self.get("/containers/json?all=1")) + len(self.get("/networks")) - 3
            faults += [f"{left} objects are left after all were removed"] if left else []
        except (AssertionError, ValueError) as error:
            faults.append(f"a list cannot be had: {error}")
        return faults

    def _remove(self, target: str, *accepted: int) -> list[str]:
        outcome = self.ask("DELETE", target)
        return [] if outcome.status in accepted else [f"DELETE {target}: {outcome}"]

    def _find(self, kind: str, name: str) -> str:
        if kind == "exec":
            return self._exec
        if kind == "image":
            return self._image
        target = f"/containers/{name}/json" if kind == "id" else f"/networks/{name}"
        outcome = self.ask("GET", target)
        return str(json.loads(outcome.body)["Id"]) if outcome.status == 200 else _NOBODY


@dataclass(frozen=True)
class Counts:
    """What a process holds.

    Attributes:
        threads: all of them.
        pooled: those of them that were, when last asked, in the daemon's pool, which makes a
            thread when it first needs one and keeps it.
        descriptors: open ones.
        rss_bytes: resident memory.
    """

    threads: int
    pooled: int
    descriptors: int
    rss_bytes: int

    def is_within(self, before: Counts) -> bool:
        """Say whether no more is held than before."""
        return (
            self.threads - self.pooled <= before.threads - before.pooled
            and self.descriptors <= before.descriptors
        )


class Watch:
    """The reference's process: what it holds, what it logs, and whether it still answers."""

    def __init__(self, side: Side, settle_s: float) -> None:
        """Begin to ask for pings.

        Args:
            side: the reference.
            settle_s: how long threads and descriptors may take to go once nothing uses them.
        """
        self._side = side
        self._settle_s = settle_s
        self._pooled = 0
        self._unread = ""
        self._log = side.engine.log_path.open("rb")
        self._answering = threading.Lock()
        self._end = threading.Event()
        self.slowest_ping_s = 0.0
        self._asked_at: float | None = None
        self._thread = threading.Thread(target=self._ping, name="ping", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ask no more."""
        self._end.set()
        self._thread.join()
        self._log.close()

    def counts(self) -> Counts:
        """Count now."""
        inside = self._side.engine.inside()
        process = Path(f"/proc/{inside.pid}")
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        return Counts(
            threads=int(status["Threads"]),
            pooled=self._pooled,
            descriptors=sum(1 for _ in (process / "fd").iterdir()),
            rss_bytes=int(status["VmRSS"].split()[0]) << 10,
        )

    def settled(self, before: Counts | None = None) -> Counts:
        """Count when no more is held than before, or when that has not come; nobody pings then.

        Args:
            before: what was held; None = wait until two counts with a pause between are alike.
        """
        deadline = time.monotonic() + self._settle_s
        with self._answering:
            time.sleep(0 if before else 1)
            earlier = before
            for attempt in itertools.count():
                now = self.counts()
                if earlier is not None and now.is_within(earlier):
                    return now
                if time.monotonic() > deadline:
                    return now
                if attempt % 10 == 9 or before is None:
                    self._pooled = len(_POOLED.findall(self.stacks()))
                if before is None:
                    earlier = now
                time.sleep(0.1)
        raise AssertionError

    def held(self) -> str:
        """Say which descriptors the process has, for whoever looks for a leak."""
        inside = self._side.engine.inside()
        names: dict[str, int] = {}
        for entry in Path(f"/proc/{inside.pid}/fd").iterdir():
            try:
                name = str(entry.readlink()).split(":[")[0]
            except OSError:
                continue
            names[name] = names.get(name, 0) + 1
        return ", ".join(f"{count} {name}" for name, count in sorted(names.items()))

    def stacks(self) -> str:
        """Give what the reference logs of its threads, for whoever looks for a leak."""
        inside = self._side.engine.inside()
        os.kill(inside.pid, signal.SIGUSR1)
        time.sleep(1)
        self._unread += (said := self._read_log())
        return said

    def news(self) -> str:
        """Give what was logged since the last call."""
        said, self._unread = self._unread + self._read_log(), ""
        return said

    def _read_log(self) -> str:
        return self._log.read().decode("utf-8", "replace")

    @property
    def longest_ping_s(self) -> float:
        """How long the slowest ping took, the one that is under way included."""
        asked_at = self._asked_at
        waiting_s = time.monotonic() - asked_at if asked_at is not None else 0.0
        return max(self.slowest_ping_s, waiting_s)

    def _ping(self) -> None:
        while not self._end.wait(PING_EVERY_S):
            with self._answering:
                self._asked_at = asked_at = time.monotonic()
                outcome = send(self._side.path, Shot())
                took_s = time.monotonic() - asked_at
                self._asked_at = None
            # a daemon that does not answer at all shows as the slowest there can be
            self.slowest_ping_s = max(
                self.slowest_ping_s, took_s if outcome.status == 200 else ANSWER_WAIT_S
            )
