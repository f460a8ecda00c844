"""Goal: links and joined namespaces end, whatever graph users make, and an alias stays one name."""

from __future__ import annotations

from typing import Any

import pytest

from refimpl.daemon.containers.container import Container, EndpointState, NetworkSettings
from refimpl.daemon.containers.link_index import LinkIndex
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.lifecycle.restore import start_order
from refimpl.daemon.network.joined import namespace_owner
from refimpl.daemon.network.links import Links
from refimpl.daemon.network.sandbox_options import SandboxSettings
from refimpl.errors import EngineError, InvalidParameter, NotFound
from refimpl.libnetwork.controller import utc_now
from refimpl.model.network_mode import NetworkMode
from refimpl.model.wire_container import Config, EndpointSettings, HostConfig

pytestmark = pytest.mark.timeout(10)  # what these look for is a loop without an end


class World:
    """Containers by name, on the default bridge and running, and their links."""

    def __init__(self) -> None:
        self.index = LinkIndex()
        self.containers = ContainerRegistry(self.index)
        unused: Any = None
        self.links = Links(link_index=self.index, containers=self.containers, files=unused)
        self.settings = SandboxSettings(config=unused, net_controller=unused, links=self.links)

    def add(self, name: str, mode: str = "bridge", address: str = "172.17.0.2") -> Container:
        endpoint = EndpointSettings(endpoint_id="1", ip_address=address)
        container = Container(
            id=name.encode().hex().ljust(64, "0"),
            name=f"/{name}",
            created=utc_now(),
            root="/nowhere",
            image_id="",
            path="true",
            args=[],
            config=Config(hostname=f"{name}.host", exposed_ports={"80/tcp": {}}),
            host_config=HostConfig(network_mode=NetworkMode(mode)),
            network_settings=NetworkSettings(networks={"bridge": EndpointState(settings=endpoint)}),
        )
        container.state.set_running(1, utc_now())
        self.containers.reserve_name(container.id, name)
        self.containers.add(container)
        return container

    def link(self, parent: Container, *links: str) -> None:
        wanted = HostConfig(network_mode=NetworkMode("default"), links=list(links))
        self.links.register_links(parent, wanted)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("link", "shown", "short"),
    [
        ("db", "/db:/web/db", "db"),
        ("db:mysql", "/db:/web/mysql", "mysql"),
        ("db:/mysql", "/db:/web/mysql", "mysql"),
        ("/db:/web/mysql", "/db:/web/mysql", "mysql"),
        ("db:a/b", "/db:/web/a/b", "b"),
        ("db:a/../c//d/", "/db:/web/c/d", "d"),
    ],
)
def test_an_alias_is_a_path_below_its_parent_and_its_last_part_a_name(world, link, shown, short):
    db, web = world.add("db"), world.add("web")
    world.link(web, link)
    assert world.links.link_documents(web) == [shown]
    assert world.containers.get_container(shown.partition(":")[2]) is db
    assert world.containers.get_container(shown.partition(":/")[2]) is db
    hosts = [names.split()[0] for names, _ in world.settings._link_hosts(web)]
    updates = [alias for _, alias, _ in world.settings._parent_updates(db)]
    lines = world.links.setup_linked_containers(web)
    assert hosts == updates == [short]
    assert f"{short.upper()}_NAME={shown.partition(':')[2]}" in lines
    assert all("/" not in line.partition("=")[0] for line in lines)


@pytest.fixture(autouse=True)
def settings_with_a_bridge(world: World) -> None:
    class Bridged:
        disable_bridge = False

    object.__setattr__(world.settings, "config", Bridged())


@pytest.mark.parametrize("alias", ["", "/", ".", "..", "../db", "../other", "a/../.."])
def test_an_alias_that_leads_out_of_its_parent_is_left_out(world, alias):
    web = world.add("web")
    world.add("db")
    world.link(web, f"db:{alias}")
    assert world.links.link_documents(web) is None


@pytest.mark.parametrize("alias", ["a b", "a\tb", "a\nb", "a\x00b", "a\x7fb"])
def test_an_alias_of_two_words_is_refused(world, alias):
    web = world.add("web")
    world.add("db")
    with pytest.raises(InvalidParameter, match="invalid link alias format"):
        world.link(web, f"db:{alias}")
    assert world.links.link_documents(web) is None


@pytest.mark.parametrize(
    ("link", "text"),
    [
        ("ghost:x", "could not get container for ghost: No such container: ghost"),
        (":x", 'could not get container for : invalid name or ID supplied: ""'),
        ("joiner:x", "Could not get container for ghost: No such container: ghost"),
    ],
)
def test_a_link_to_nobody_is_refused(world, link, text):
    web = world.add("web")
    world.add("joiner", "container:ghost")
    with pytest.raises(InvalidParameter) as refusal:
        world.link(web, link)
    assert str(refusal.value) == text


@pytest.mark.parametrize("ring", [("aa",), ("aa", "bb"), ("aa", "bb", "cc")])
def test_a_ring_of_joiners_is_no_target_of_a_link_and_has_no_namespace(world, ring):
    for name, joined in zip(ring, (*ring[1:], ring[0]), strict=True):
        world.add(name, f"container:{joined}")
    web = world.add("web")
    with pytest.raises(EngineError, match="cannot join own network"):
        world.link(web, f"{ring[0]}:x")
    with pytest.raises(EngineError, match="cannot join own network"):
        namespace_owner(world.containers.get_container(ring[0]), world.containers.get_container)


def test_a_rename_that_closes_a_ring_is_found(world):
    first = world.add("first", "container:second")
    second = world.add("other", "container:first")
    with pytest.raises(NotFound):
        namespace_owner(first, world.containers.get_container)
    world.containers.reserve_name(second.id, "second")
    for container in (first, second):
        with pytest.raises(EngineError, match="cannot join own network"):
            namespace_owner(container, world.containers.get_container)


def test_a_way_into_a_ring_ends_too(world):
    outside = world.add("outside", "container:aa")
    world.add("aa", "container:bb")
    world.add("bb", "container:aa")
    with pytest.raises(EngineError, match="cannot join own network"):
        namespace_owner(outside, world.containers.get_container)


def test_links_in_a_circle_are_looked_at_once(world):
    one, two = world.add("one"), world.add("two", address="172.17.0.3")
    world.link(one, "two:peer", "one:self")
    world.link(two, "one:peer")
    assert world.links.link_documents(one) == ["/two:/one/peer", "/one:/one/self"]
    assert len(list(world.settings._link_hosts(one))) == 2
    assert [alias for _, alias, _ in world.settings._parent_updates(one)] == ["self", "peer"]
    assert "PEER_NAME=/two/peer" in world.links.setup_linked_containers(two)

    def needs(container: Container) -> list[Container]:
        return [child for _, child in world.links.linked_children(container)]

    assert set(map(id, start_order([one, two], needs))) == {id(one), id(two)}


def test_nothing_is_no_reference(world):
    world.add("one")
    with pytest.raises(InvalidParameter, match='invalid name or ID supplied: ""'):
        world.containers.get_container("")
