"""What happened: the last events, and everybody who wants to hear of the next.

Mirrors: moby daemon/events/{events,filter}.go, daemon/events.go (v20.10).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from refimpl.daemon.backend import Filters, Wire
from refimpl.daemon.containers.container import Container
from refimpl.errors import EngineError, InvalidParameter
from refimpl.libnetwork.network import Network
from refimpl.model.strconv import parse_int

KEPT = 256
"""How many past events are kept, as in moby (eventsLimit)."""
QUEUED = 4096
"""How many events a reader may lag behind before the oldest are dropped for it."""
_ACTORS = (
    "config", "container", "daemon", "network", "node", "plugin", "secret", "service", "volume",
)  # fmt: skip


class Subscription:
    """One reader of events."""

    def __init__(self, until: datetime | None, clock: Callable[[], datetime]) -> None:
        self.ended = False
        self.queue: deque[Wire] = deque(maxlen=QUEUED)
        self.changed = threading.Condition()
        self._until = until
        self._clock = clock

    def read(self, timeout_s: float) -> Wire | None:
        """Return the next event, or None when none came in time or none will come."""
        with self.changed:
            if not self.queue and not self.ended:
                self.changed.wait(min(timeout_s, self._left_s(timeout_s)))
            if self.queue:
                return self.queue.popleft()
            if self._until is not None and self._clock() >= self._until:
                self.ended = True
            return None

    def _left_s(self, longest_s: float) -> float:
        if self._until is None:
            return longest_s
        return max(0.0, (self._until - self._clock()).total_seconds())

    def push(self, event: Wire) -> None:
        """Hand over one event."""
        with self.changed:
            self.queue.append(event)
            self.changed.notify()

    def close(self) -> None:
        """End the subscription; the service forgets it with its next event."""
        with self.changed:
            self.ended = True
            self.queue.clear()
            self.changed.notify_all()


class Events:
    """The ring of past events and the live subscriptions."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._past: deque[Wire] = deque(maxlen=KEPT)
        self._live: list[tuple[Subscription, Filters]] = []

    def log(self, kind: str, action: str, actor_id: str, attributes: Mapping[str, str]) -> None:
        """Record one event and hand it to everybody whose filters it passes."""
        moment = self._clock()
        nanoseconds = int(moment.timestamp()) * 10**9 + moment.microsecond * 1000
        event: Wire = {
            "Type": kind,
            "Action": action,
            "Actor": {"ID": actor_id, "Attributes": dict(attributes)},
            "scope": "local",
            "time": nanoseconds // 10**9,
            "timeNano": nanoseconds,
        }
        if kind in {"container", "image"}:
            # what clients of before 1.22 read; empty ones are left out
            image = attributes.get("image", "") if kind == "container" else ""
            old = {"status": action, "id": actor_id, "from": image}
            event = {name: value for name, value in old.items() if value} | event
        with self._lock:
            self._past.append(event)
            self._live = [entry for entry in self._live if not entry[0].ended]
            for subscription, filters in self._live:
                if matches(event, filters):
                    subscription.push(event)

    def log_container(
        self, container: Container, action: str, attributes: Mapping[str, str] | None = None
    ) -> None:
        """Tell that something happened to a container; its labels are attributes too.

        Mirrors: moby daemon/events.go LogContainerEventWithAttributes (v20.10).
        """
        self.log(
            "container",
            action,
            container.id,
            {
                **(container.config.labels or {}),
                **(attributes or {}),
                "image": container.config.image,
                "name": container.name.removeprefix("/"),
            },
        )

    def log_network(
        self, network: Network, action: str, attributes: Mapping[str, str] | None = None
    ) -> None:
        """Tell that something happened to a network (moby: LogNetworkEventWithAttributes)."""
        self.log(
            "network",
            action,
            network.id,
            {**(attributes or {}), "name": network.name, "type": network.type},
        )

    def subscribe(self, since: str, until: str, filters: Filters) -> Subscription:
        """Open a subscription, beginning with the past events that `since` asks for.

        Raises:
            InvalidParameter, EngineError: a time that Docker refuses.
        """
        first = parse_moment(since)
        last = parse_moment(until)
        if first is not None and last is not None and last < first:
            raise InvalidParameter(f"`since` time ({since}) cannot be after `until` time ({until})")
        subscription = Subscription(last, self._clock)
        with self._lock:
            if first is not None:
                for event in self._past:
                    at = event["timeNano"] / 1e9
                    wanted = at >= first.timestamp() and (last is None or at <= last.timestamp())
                    if wanted and matches(event, filters):
                        subscription.push(event)
            self._live.append((subscription, filters))
        return subscription

    def listeners(self) -> int:
        """Return how many subscriptions are open."""
        with self._lock:
            return sum(not subscription.ended for subscription, _ in self._live)


def parse_moment(text: str) -> datetime | None:
    """Read seconds since 1970 with a fraction; "" is None. Clients send nothing else.

    Raises:
        EngineError: it is something else (moby: parseTimestamp; v20.10 answers with a 500).
    """
    if not text:
        return None
    digits, _, fraction = text.partition(".")
    try:
        seconds = parse_int(digits, "ParseInt")
        parse_int(fraction or "0", "ParseInt")
    except ValueError as error:
        raise EngineError(str(error)) from None
    try:
        whole = datetime.fromtimestamp(seconds, UTC)
        return whole + timedelta(microseconds=int(fraction.ljust(6, "0")[:6]))
    except (ValueError, OverflowError, OSError):
        # before the calendar begins, or after it ends
        return (datetime.min if seconds < 0 else datetime.max).replace(tzinfo=UTC)


def matches(event: Wire, filters: Filters) -> bool:
    """Tell whether an event passes every filter (moby: Filter.Include); unknown ones pass."""
    attributes = event["Actor"]["Attributes"]
    checks: dict[str, Callable[[Sequence[str]], bool]] = {
        # an exec's event carries its command line behind the action
        "event": lambda wanted: event["Action"].partition(":")[0] in wanted,
        "type": lambda wanted: event["Type"] in wanted,
        "scope": lambda wanted: event["scope"] in wanted,
        "label": lambda wanted: all(_has_label(attributes, one) for one in wanted),
        "image": lambda wanted: any(one in _image_names(event) for one in wanted),
    }
    for kind in _ACTORS:
        checks[kind] = partial(_names_actor, event)
    return all(
        checks[name](wanted) for name, wanted in filters.items() if wanted and name in checks
    )


def _names_actor(event: Wire, wanted: Sequence[str]) -> bool:
    """Tell whether an event is about one of the named objects, by the start of a name or an id.

    Docker does not ask of what kind the event is: `container=web` finds a network `website` too.
    """
    actor = event["Actor"]["ID"]
    name = event["Actor"]["Attributes"].get("name", "")
    return any(name.startswith(one) or actor.startswith(one) for one in wanted)


def _image_names(event: Wire) -> set[str]:
    """Return what an event's image may be called by: its id, its name with and without tag."""
    attributes = event["Actor"]["Attributes"]
    key = "name" if event["Type"] == "image" else "image"
    name = attributes.get(key, "")
    return {event["Actor"]["ID"], name, name.partition(":")[0]}


def _has_label(attributes: Mapping[str, str], wanted: str) -> bool:
    key, separator, value = wanted.partition("=")
    return key in attributes and (not separator or attributes[key] == value)
