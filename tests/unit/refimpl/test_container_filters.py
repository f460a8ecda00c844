"""Which containers a list shows, by the filters of `docker ps`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from refimpl.daemon.containers.container import Container, NetworkSettings
from refimpl.daemon.views.container_filters import ContainerFilters
from refimpl.errors import EngineError, InvalidParameter, NotFound
from refimpl.model.wire_container import Config, HostConfig

START = datetime(2026, 11, 27, tzinfo=UTC)


def a_container(name: str, number: int, **config: object) -> Container:
    return Container(
        id=f"{number:x}" * 64,
        name=f"/{name}",
        created=START + timedelta(seconds=number),
        root="/nowhere",
        image_id="sha256:image",
        path="sh",
        args=[],
        config=Config.from_wire(dict(config)),
        host_config=HostConfig(),
        network_settings=NetworkSettings(),
    )


WEB = a_container("web", 1, Labels={"tier": "front"})
DB = a_container("db", 2)
ALL = {one.id: one for one in (WEB, DB)}


def find(ref: str) -> Container:
    for one in ALL.values():
        if one.name == f"/{ref}" or (ref and one.id.startswith(ref)):
            return one
    raise NotFound(f"No such container: {ref}")


def find_image(ref: str) -> str:
    if ref != "image":
        raise NotFound(ref)
    return "sha256:image"


def listed(**filters: list[str]) -> list[str]:
    given = {name.replace("_", "-"): values for name, values in filters.items()}
    wanted = ContainerFilters(given, find, find_image)
    return [one.name for one in ALL.values() if wanted.passes(one)]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, ["/web", "/db"]),
        ({"name": ["w"]}, ["/web"]),
        ({"name": ["^web$"]}, ["/web"]),
        ({"name": ["^/web$", "db"]}, ["/web", "/db"]),
        ({"id": ["1"]}, ["/web"]),
        ({"id": ["web"]}, []),
        ({"id": ["f", "2"]}, ["/db"]),
        ({"label": ["tier=front"]}, ["/web"]),
        ({"status": ["created"]}, ["/web", "/db"]),
        ({"status": ["running"]}, []),
        ({"exited": ["+0"]}, []),
        ({"before": ["db"]}, ["/web"]),
        ({"since": ["web"]}, ["/db"]),
        ({"ancestor": ["nope"]}, []),
        ({"ancestor": ["nope", "image"]}, ["/web", "/db"]),
        ({"is-task": ["true"]}, []),
        ({"is-task": ["false"]}, ["/web", "/db"]),
        ({"health": ["none"]}, ["/web", "/db"]),
    ],
)
def test_a_filter_chooses(filters: dict[str, list[str]], names: list[str]) -> None:
    assert listed(**filters) == names


@pytest.mark.parametrize(
    ("filters", "status", "text"),
    [
        ({"bogus": ["x"]}, 400, "Invalid filter 'bogus'"),
        ({"status": ["gone"]}, 400, "Invalid filter 'status=gone'"),
        ({"is-task": ["x"]}, 400, "Invalid filter 'is-task=[x]'"),
        ({"health": ["x"]}, 400, "Unrecognised filter value for health: x"),
        ({"exited": ["x"]}, 500, 'strconv.Atoi: parsing "x": invalid syntax'),
        ({"exited": ["9" * 30]}, 500, f'strconv.Atoi: parsing "{"9" * 30}": value out of range'),
        ({"before": ["nope"]}, 500, "no such container nope"),
    ],
)
def test_a_filter_that_can_never_match_is_refused(
    filters: dict[str, list[str]], status: int, text: str
) -> None:
    with pytest.raises(EngineError) as refused:
        ContainerFilters(filters, find, find_image)
    assert (refused.value.status, str(refused.value)) == (status, text)


def test_too_long_patterns_are_refused_before_any_container_is_looked_at() -> None:
    with pytest.raises(InvalidParameter, match="longer than"):
        ContainerFilters({"name": ["(a|b)*" * 1000]}, find, find_image)


def test_a_container_is_looked_for_once_however_many_there_are() -> None:
    """To look for each id again for each container would take the square of their number."""
    asked: list[str] = []

    def counting(ref: str) -> Container:
        asked.append(ref)
        return find(ref)

    wanted = ContainerFilters({"id": ["1", "2"], "since": ["web"]}, counting, find_image)
    for _ in range(10):
        for one in ALL.values():
            wanted.passes(one)
    assert asked == ["1", "2", "web"]


@pytest.mark.parametrize("name", ["exited", "status", "before", "since"])
def test_some_filters_ask_for_stopped_containers_too(name: str) -> None:
    values = {"exited": "0", "status": "exited", "before": "web", "since": "web"}
    assert ContainerFilters({name: [values[name]]}, find, find_image).want_stopped
    assert not ContainerFilters({"name": ["web"]}, find, find_image).want_stopped
