"""Events: what was, what comes, and for whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from refimpl.daemon.events.events import KEPT, Events, parse_moment
from refimpl.errors import EngineError, InvalidParameter

START = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def events() -> Events:
    return Events(Clock())


def start(events: Events, name: str) -> None:
    events.log("container", "start", f"id-{name}", {"name": name, "image": "i"})


def stamp(seconds: int) -> str:
    return str(START.timestamp() + seconds)


def read_all(stream):
    read = []
    while (event := stream.read(0)) is not None:
        read.append(event["Actor"]["Attributes"]["name"])
    return read


def test_container_event_has_dockers_fields(events):
    start(events, "c")
    event = events.subscribe(stamp(0), "", {}).read(0)
    assert event == {
        "status": "start",
        "id": "id-c",
        "from": "i",
        "Type": "container",
        "Action": "start",
        "Actor": {"ID": "id-c", "Attributes": {"name": "c", "image": "i"}},
        "scope": "local",
        "time": int(START.timestamp()) + 1,
        "timeNano": (int(START.timestamp()) + 1) * 10**9,
    }


def test_network_event_has_no_old_fields(events):
    events.log("network", "connect", "n", {"name": "bridge"})
    event = events.subscribe(stamp(0), "", {}).read(0)
    assert event is not None
    assert not {"status", "id", "from"} & set(event)


def test_live_subscription_begins_now(events):
    start(events, "before")
    stream = events.subscribe("", "", {})
    start(events, "after")
    assert read_all(stream) == ["after"]


def test_since_and_until_bound_the_past(events):
    for name in ("one", "two", "three", "four"):
        start(events, name)
    stream = events.subscribe(stamp(2), stamp(3), {})
    assert read_all(stream) == ["two", "three"]
    assert stream.ended


def test_ring_keeps_the_newest(events):
    for number in range(KEPT + 10):
        start(events, str(number))
    assert read_all(events.subscribe(stamp(0), "", {}))[0] == "10"


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"type": ["network"]}, ["net"]),
        ({"event": ["die"]}, ["two"]),
        ({"event": ["exec_create"]}, ["exec"]),
        ({"container": ["one"]}, ["one"]),
        ({"container": ["id-tw"]}, ["two"]),
        ({"label": ["k=v"]}, ["two"]),
        ({"label": ["k=w"]}, []),
        ({"network": ["net"]}, ["net"]),
        ({"image": ["i"]}, ["one", "two", "exec"]),
        ({"type": []}, ["one", "two", "exec", "net"]),
        ({"bogus": ["x"]}, ["one", "two", "exec", "net"]),
        ({"container": ["t"]}, ["two"]),
        ({"daemon": ["nobody"]}, []),
        # Docker does not ask what kind of object has the name
        ({"container": ["net"]}, ["net"]),
    ],
)
def test_filters(events, filters, names):
    start(events, "one")
    events.log("container", "die", "id-two", {"name": "two", "image": "i:latest", "k": "v"})
    events.log("container", "exec_create: ls ", "id-exec", {"name": "exec", "image": "i"})
    events.log("network", "connect", "id-net", {"name": "net"})
    assert read_all(events.subscribe(stamp(0), "", filters)) == names


def test_closed_subscription_ends_and_is_forgotten(events):
    stream = events.subscribe("", "", {})
    assert events.listeners() == 1
    stream.close()
    start(events, "c")
    assert stream.read(0) is None
    assert events.listeners() == 0


def test_since_after_until_is_refused(events):
    with pytest.raises(InvalidParameter, match="cannot be after `until`"):
        events.subscribe(stamp(5), stamp(1), {})


def test_bad_time_is_refused(events):
    with pytest.raises(EngineError, match=r'strconv\.ParseInt: parsing "x": invalid syntax'):
        events.subscribe("x", "", {})


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("99999999999999", datetime.max),
        ("9223372036854775807.9", datetime.max),
        ("-99999999999999", datetime.min),
        ("-62135596800.-9", datetime.min),
    ],
)
def test_a_moment_beyond_the_calendar_is_its_nearest_end(text, moment):
    assert parse_moment(text) == moment.replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["1.99999999999999999999", "9" * 5000, "1." + "9" * 5000])
def test_a_moment_of_too_many_digits_is_out_of_range(text):
    with pytest.raises(EngineError, match="value out of range"):
        parse_moment(text)
