"""What the engine announces at /events.

A collector notes the engine's own time before the act and later asks for what happened since:
the engine replays it in order, so nothing is missed and no thread is needed.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from conformance.engines.base import Engine, EngineError
from conformance.observe.poll import eventually
from conformance.rawapi import request

# Podman ends its answer when `until` has come, and may not have read all events by then: what is
# asked for must lie a little ahead (docs/findings.md).
_GRACE_S = {"podman": 0.3}
_TIME = re.compile(r"(?P<second>[^.Z+]+)(?:\.(?P<fraction>\d+))?(?:Z|\+00:00)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One announced event."""

    type: str
    action: str
    actor: str
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def pair(self) -> tuple[str, str]:
        """Type and action: what rows on the order of events compare."""
        return self.type, self.action


class EventCollector:
    """Collects what the engine announces from the moment it was made or `restart`ed."""

    def __init__(self, engine: Engine, is_ours: Callable[[Event], bool]) -> None:
        """Begin now; events of objects that are not ours are left out."""
        self._engine = engine
        self._is_ours = is_ours
        self._since = self._now()

    def restart(self) -> None:
        """Forget what happened so far."""
        self._since = self._now()

    def collect(self, type: str = "", *, actor: str = "") -> list[Event]:
        """Give what was announced so far, in order; all, or of one type, or of one actor.

        The actor is an id, or the value of the attribute `container` (network events).
        """
        # Not through the SDK: it cuts the time off to whole seconds or milliseconds.
        query = f"since={self._since}&until={self._now(_GRACE_S.get(self._engine.family, 0))}"
        answer = request(self._engine, "GET", f"/events?{query}")
        if answer.status != 200:
            raise EngineError(f"/events answered {answer.status}: {answer.message}")
        found = []
        for raw in (json.loads(line) for line in answer.body.splitlines() if line.strip()):
            about = raw.get("Actor") or {}
            event = Event(
                type=raw.get("Type", ""),
                action=raw.get("Action", ""),
                actor=about.get("ID", ""),
                attributes=dict(about.get("Attributes") or {}),
            )
            if (not type or event.type == type) and self._is_ours(event):
                found.append(event)
        return [e for e in found if not actor or actor in (e.actor, e.attributes.get("container"))]

    def wait_for(
        self,
        type: str,
        action: str,
        *,
        actor: str = "",
        timeout_s: float = 10,
    ) -> list[Event]:
        """Wait until an event is announced; give all that was collected by then, in order."""

        def seen() -> list[Event]:
            events = self.collect(actor=actor)
            return events if any(event.pair == (type, action) for event in events) else []

        return eventually(f"an event {type} {action}", seen, timeout_s=timeout_s)

    def _now(self, grace_s: float = 0) -> str:
        """Give the engine's own clock, and some time on top, as `seconds.nanoseconds`."""
        return wire_time(str(self._engine.client().info()["SystemTime"]), grace_s)


def wire_time(text: str, grace_s: float = 0) -> str:
    """Turn an RFC 3339 time in UTC into the `seconds.nanoseconds` of the events API, or later."""
    match = _TIME.match(text)
    if match is None:
        raise ValueError(f"not a time in UTC: {text!r}")
    whole = int(datetime.fromisoformat(f"{match['second']}+00:00").timestamp())
    nanoseconds = int(f"{(match['fraction'] or '0'):0<9}"[:9]) + round(grace_s * 1e9)
    return f"{whole + nanoseconds // 10**9}.{nanoseconds % 10**9:09}"
