"""Sandboxes: order of interfaces, gateway, files, live joins and leaves, teardown."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator

import pytest

from refimpl.errors import EngineError, Forbidden
from refimpl.libnetwork.controller import Controller
from refimpl.libnetwork.network import Network
from refimpl.libnetwork.sandbox import Sandbox
from refimpl.libnetwork.upstream import Upstream
from refimpl.model.network import EndpointOptions, IPAMPool, NetworkOptions
from tests.unit.refimpl.libnetwork_world import (
    NETNS,
    World,
    connect,
    container_id,
    network_options,
    sandbox_options,
    start,
)
from tests.unit.refimpl.test_hosts import TEMPLATE

SHORT_ID = container_id("web")[:12]


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


@pytest.fixture
def controller(world):
    controller = world.boot()
    for number, name in enumerate(("cc", "aa", "bb"), 1):
        controller.new_network(name, network_options(f"10.{number}.0.0/24"))
    controller.new_network("a0", network_options("10.8.0.0/24", internal=True))
    controller.new_network("a1", network_options("10.9.0.0/24", internal=True))
    yield controller
    controller.close()


def named(controller: Controller, name: str) -> Network:
    network = controller.network_by_name(name)
    assert network is not None
    return network


def leave(sandbox: Sandbox, network: str) -> None:
    endpoint = next(each for each in sandbox.endpoints() if each.network.name == network)
    endpoint.delete(force=True)


def refuse(*_arguments: object) -> None:
    raise OSError(errno.EIO, "refused")


def inside(world: World, sandbox: Sandbox) -> dict[str, str]:
    """Name to first address of the interfaces that are really there."""
    interfaces = world.kernel.sandboxes[sandbox.key].interfaces
    return {name: str(plan.addresses[0]) for name, plan in interfaces.items()}


def hosts(world: World, name: str = "web") -> str:
    return world.files.text(f"/c/{name}/hosts").removeprefix(TEMPLATE)


def resolv_conf(world: World, name: str = "web") -> str:
    return world.files.text(f"/c/{name}/resolv.conf")


# -- making --------------------------------------------------------------------------------


def test_the_key_is_named_after_the_first_twelve_digits(controller):
    sandbox = start(controller, "web", "bridge")
    assert sandbox.key == f"{NETNS}/{sandbox.id[:12]}"
    assert controller.get_sandbox(container_id("web")) is sandbox
    assert controller.sandbox_by_id(sandbox.id) is sandbox


def test_each_start_has_a_new_id(controller):
    assert start(controller, "web", "bridge").id != start(controller, "web", "bridge").id


def test_a_start_is_one_kernel_operation_and_one_commit(world, controller):
    operations = len(world.kernel.operations)
    writes = len(world.files.writes)
    start(controller, "web", "bridge", "aa", "bb")
    assert world.kernel.operations[operations:] == ["create_sandbox"]
    assert world.files.writes[writes:] == [
        "/c/web/hosts",
        "/c/web/resolv.conf",
        "/c/web/resolv.conf.hash",
    ]


def test_interfaces_are_numbered_by_network_name_with_internal_ones_last(world, controller):
    """Measured on 20.10: whatever the order of connecting."""
    sandbox = start(controller, "web", "bridge", "a1", "cc", "a0", "aa", "bb")
    assert inside(world, sandbox) == {
        "eth0": "10.2.0.2/24",
        "eth1": "10.3.0.2/24",
        "eth2": "172.17.0.2/16",
        "eth3": "10.1.0.2/24",
        "eth4": "10.8.0.2/24",
        "eth5": "10.9.0.2/24",
    }


def test_the_default_route_goes_through_the_head(world, controller):
    sandbox = start(controller, "web", "cc", "a0", "aa")
    gateway = world.kernel.sandboxes[sandbox.key].gateway
    assert (gateway.ipv4, gateway.interface) == ("10.2.0.1", "eth0")


def test_an_internal_network_alone_is_a_gateway_too(world, controller):
    sandbox = start(controller, "web", "a0")
    assert world.kernel.sandboxes[sandbox.key].gateway.ipv4 == "10.8.0.1"


def test_every_endpoint_reports_its_own_gateway(controller):
    sandbox = start(controller, "web", "cc", "aa")
    assert [str(e.info.gateway4) for e in sandbox.endpoints()] == ["10.2.0.1", "10.1.0.1"]


def test_a_dual_stack_network_is_the_better_gateway(world, controller):
    pools = (IPAMPool(subnet="10.7.0.0/24"), IPAMPool(subnet="2001:db8::/64"))
    controller.new_network("zz", NetworkOptions(ipam=pools, enable_ipv6=True))
    sandbox = start(controller, "web", "aa", "zz")
    made = world.kernel.sandboxes[sandbox.key]
    assert (made.gateway.ipv4, made.gateway.ipv6) == ("10.7.0.1", "2001:db8::1")
    assert made.ipv6
    assert [str(a) for a in made.interfaces["eth0"].addresses] == [
        "10.7.0.2/24",
        "2001:db8::2/64",
    ]


def test_none_has_a_namespace_with_nothing_in_it(world, controller):
    sandbox = start(controller, "web", "none")
    assert world.kernel.sandboxes[sandbox.key].interfaces == {}
    assert sandbox.endpoints()[0].info.ipv4 is None


def test_host_mode_pins_the_hosts_namespace_once_for_all(world, controller):
    one, two = start(controller, "one", "host"), start(controller, "two", "host")
    assert one.key == two.key == f"{NETNS}/default"
    assert one.id != two.id
    assert world.kernel.host_keys == {one.key}
    assert world.kernel.sandboxes == {}
    one.delete()
    assert world.kernel.host_keys == {two.key}
    assert named(controller, "host").endpoints() == two.endpoints()


def test_a_sandbox_without_endpoints_has_a_namespace(world, controller):
    assert inside(world, start(controller, "web")) == {}


def test_a_container_has_one_sandbox(controller):
    start(controller, "web", "bridge")
    with pytest.raises(Forbidden, match=container_id("web")):
        controller.new_sandbox(sandbox_options("web"))


def test_an_impossible_interface_name_fails_the_start_whole(world, controller):
    option = {"com.docker.network.container_iface_prefix": "averyverylongname"}
    controller.new_network("long", network_options("10.7.0.0/24", options=option))
    with pytest.raises(EngineError, match="numerical result out of range"):
        start(controller, "web", "long")
    assert world.kernel.sandboxes == {}
    assert named(controller, "long").endpoints() == ()


# -- files ---------------------------------------------------------------------------------


def test_hosts_has_the_extra_hosts_before_one_own_line_per_endpoint(world, controller):
    sandbox = controller.new_sandbox(
        sandbox_options(hostname="h", domainname="d.e", extra_hosts=(("x", "10.5.5.5"),))
    )
    connect(sandbox, named(controller, "bridge"))
    connect(sandbox, named(controller, "aa"))
    sandbox.populate()
    assert hosts(world) == "10.5.5.5\tx\n172.17.0.2\th.d.e h\n10.2.0.2\th.d.e h\n"


def test_an_ipv6_endpoint_has_a_second_own_line(world, controller):
    pools = (IPAMPool(subnet="10.7.0.0/24"), IPAMPool(subnet="2001:db8::/64"))
    controller.new_network("zz", NetworkOptions(ipam=pools, enable_ipv6=True))
    start(controller, "web", "zz")
    assert hosts(world) == f"10.7.0.2\t{SHORT_ID}\n2001:db8::2\t{SHORT_ID}\n"


def test_on_the_bridge_resolv_conf_has_the_hosts_filtered_servers(world, controller):
    start(controller, "web", "bridge")
    assert resolv_conf(world) == "search example.org\nnameserver 10.0.2.3\n"
    digest = "sha256:" + hashlib.sha256(resolv_conf(world).encode()).hexdigest()
    assert world.files.text("/c/web/resolv.conf.hash") == digest


def test_on_a_user_network_resolv_conf_has_the_embedded_dns(world, controller):
    sandbox = start(controller, "web", "aa")
    assert resolv_conf(world) == ("search example.org\nnameserver 127.0.0.11\noptions ndots:0\n")
    assert sandbox.dns.upstreams == (Upstream("127.0.0.53", from_host=True), Upstream("10.0.2.3"))
    assert world.kernel.sandboxes[sandbox.key].resolver_address == "127.0.0.11"


def test_without_any_server_on_the_host_googles_are_used(world, controller):
    world.files.content["/etc/resolv.conf"] = b""
    sandbox = start(controller, "web", "aa")
    assert sandbox.dns.upstreams == (Upstream("8.8.8.8"), Upstream("8.8.4.4"))
    start(controller, "two", "bridge")
    assert resolv_conf(world, "two") == "\nnameserver 8.8.8.8\nnameserver 8.8.4.4\n"


def test_a_host_without_resolv_conf_is_like_an_empty_one(world, controller):
    del world.files.content["/etc/resolv.conf"]
    start(controller, "web", "bridge")
    assert "8.8.8.8" in resolv_conf(world)


def test_dns_of_the_user_is_literal_on_the_bridge_and_moves_behind_the_embedded_dns(
    world, controller
):
    options = {"dns": ("10.0.0.9", "127.0.0.1"), "dns_search": ("s",), "dns_options": ("ndots:2",)}
    plain = controller.new_sandbox(sandbox_options("plain", **options))
    connect(plain, named(controller, "bridge"), "plain")
    plain.populate()
    assert resolv_conf(world, "plain") == (
        "search s\nnameserver 10.0.0.9\nnameserver 127.0.0.1\noptions ndots:2\n"
    )
    user = controller.new_sandbox(sandbox_options("user", **options))
    connect(user, named(controller, "aa"), "user")
    user.populate()
    assert resolv_conf(world, "user") == "search s\nnameserver 127.0.0.11\noptions ndots:2\n"
    # its loopback is the container's, not the host's
    assert user.dns.upstreams == (Upstream("10.0.0.9"), Upstream("127.0.0.1"))
    assert user.dns.ndots_set


@pytest.mark.parametrize("given", [{"dns_search": ("s",)}, {"dns_options": ("timeout:1",)}])
def test_with_other_settings_of_the_user_the_hosts_servers_stay_the_hosts(world, controller, given):
    sandbox = controller.new_sandbox(sandbox_options("user", **given))
    connect(sandbox, named(controller, "aa"), "user")
    sandbox.populate()
    assert sandbox.dns.upstreams == (Upstream("127.0.0.53", from_host=True), Upstream("10.0.2.3"))


def test_a_line_without_a_newline_is_not_joined_with_the_own_one(world, controller):
    sandbox = start(controller, "web", "aa")
    world.files.content["/c/web/hosts"] += b"192.0.2.7\tmine"
    before = world.files.content["/c/web/hosts"]
    connect(sandbox, named(controller, "bridge"))
    assert world.files.content["/c/web/hosts"].startswith(before + b"\n")


def test_host_mode_copies_the_hosts_files(world, controller):
    sandbox = controller.new_sandbox(
        sandbox_options(
            use_default_sandbox=True,
            origin_hosts_path="/etc/hosts",
            origin_resolv_conf_path="/etc/resolv.conf",
        )
    )
    connect(sandbox, named(controller, "host"))
    sandbox.populate()
    assert world.files.content["/c/web/hosts"] == world.files.content["/etc/hosts"]
    assert world.files.content["/c/web/resolv.conf"] == world.files.content["/etc/resolv.conf"]
    assert "/c/web/resolv.conf.hash" not in world.files.content


def test_a_start_that_fails_in_allocation_leaves_hosts_and_resolv_conf(world, controller):
    """20.10 has written them by then."""
    sandbox = controller.new_sandbox(sandbox_options())
    sandbox.delete()
    assert hosts(world) == ""
    assert resolv_conf(world) == "search example.org\nnameserver 10.0.2.3\n"


def test_a_new_address_of_a_linked_container_reaches_the_linkers_hosts(world, controller):
    linker = controller.new_sandbox(sandbox_options(extra_hosts=(("db 1234 name", "172.17.0.9"),)))
    linker.populate()
    controller.new_sandbox(
        sandbox_options("db", parent_updates=((container_id("web"), "db", "172.17.0.5"),))
    )
    assert hosts(world) == "172.17.0.5\tdb 1234 name\n"


def test_what_a_linker_made_of_its_hosts_does_not_hinder_the_linked_container(
    world, controller, caplog
):
    linker = controller.new_sandbox(sandbox_options())
    linker.populate()
    world.files.content["/c/web/hosts"] = b"#" * ((1 << 20) + 1)
    controller.new_sandbox(
        sandbox_options("db", parent_updates=((container_id("web"), "db", "172.17.0.5"),))
    )
    assert "/c/web/hosts is larger than 1048576 bytes" in caplog.text


def test_a_container_whose_hosts_is_endless_leaves_its_network_all_the_same(
    world, controller, caplog
):
    sandbox = start(controller, "web", "aa", "bb")
    world.files.content["/c/web/hosts"] = b"#" * ((1 << 20) + 1)
    leave(sandbox, "aa")
    assert inside(world, sandbox) == {"eth1": "10.3.0.2/24"}
    assert "/c/web/hosts is larger than 1048576 bytes" in caplog.text
    with pytest.raises(OSError, match="/c/web/hosts is larger than 1048576 bytes"):
        connect(sandbox, named(controller, "aa"))
    assert inside(world, sandbox) == {"eth1": "10.3.0.2/24"}
    sandbox.delete()
    assert world.kernel.sandboxes == {}


# -- live ----------------------------------------------------------------------------------


def test_a_live_join_takes_the_next_number_and_moves_the_gateway(world, controller):
    sandbox = start(controller, "web", "bb")
    connect(sandbox, named(controller, "aa"))
    assert inside(world, sandbox) == {"eth0": "10.3.0.2/24", "eth1": "10.2.0.2/24"}
    gateway = world.kernel.sandboxes[sandbox.key].gateway
    assert (gateway.ipv4, gateway.interface) == ("10.2.0.1", "eth1")
    assert hosts(world) == f"10.3.0.2\t{SHORT_ID}\n10.2.0.2\t{SHORT_ID}\n"


def test_a_live_leave_moves_the_gateway_back_and_frees_the_address_but_not_the_number(
    world, controller
):
    sandbox = start(controller, "web", "aa", "bb")
    leave(sandbox, "aa")
    assert inside(world, sandbox) == {"eth1": "10.3.0.2/24"}
    assert world.kernel.sandboxes[sandbox.key].gateway.ipv4 == "10.3.0.1"
    connect(sandbox, named(controller, "aa"))
    assert inside(world, sandbox) == {"eth1": "10.3.0.2/24", "eth2": "10.2.0.2/24"}


def test_a_live_leave_takes_all_own_lines_with_it(world, controller):
    """moby#34044, measured on 20.10: the default hostname is an alias on the network."""
    sandbox = start(controller, "web", "bridge", "aa", "bb")
    leave(sandbox, "aa")
    assert hosts(world) == ""
    connect(sandbox, named(controller, "aa"))
    assert hosts(world) == f"10.2.0.2\t{SHORT_ID}\n"


def test_leaving_the_bridge_leaves_the_own_lines(world, controller):
    sandbox = start(controller, "web", "bridge")
    leave(sandbox, "bridge")
    assert hosts(world) == f"172.17.0.2\t{SHORT_ID}\n"
    assert inside(world, sandbox) == {}
    assert world.kernel.sandboxes[sandbox.key].gateway.ipv4 is None


def test_edits_of_hosts_survive_live_changes(world, controller):
    sandbox = start(controller, "web", "bridge")
    world.files.content["/c/web/hosts"] += b"10.6.6.6\tmine\n"
    connect(sandbox, named(controller, "aa"))
    assert hosts(world).splitlines()[1] == "10.6.6.6\tmine"


def test_a_live_join_of_a_user_network_switches_resolv_conf_for_good(world, controller):
    sandbox = start(controller, "web", "bridge")
    assert world.kernel.sandboxes[sandbox.key].resolver_address is None
    connect(sandbox, named(controller, "aa"))
    assert "nameserver 127.0.0.11\n" in resolv_conf(world)
    assert world.kernel.sandboxes[sandbox.key].resolver_address == "127.0.0.11"
    leave(sandbox, "aa")
    assert "nameserver 127.0.0.11\n" in resolv_conf(world)


def test_a_live_join_that_the_kernel_refuses_leaves_everything_as_it_was(world, controller):
    sandbox = start(controller, "web", "bb")
    before = (inside(world, sandbox), hosts(world), world.store.load())
    world.kernel.fail["add_interface"] = OSError(errno.EBUSY, "busy")
    with pytest.raises(OSError, match="busy"):
        connect(sandbox, named(controller, "aa"))
    assert (inside(world, sandbox), hosts(world), world.store.load()) == before
    assert named(controller, "aa").endpoints() == ()
    connect(sandbox, named(controller, "aa"))


def test_a_live_join_that_cannot_be_undone_is_remembered(world, controller, monkeypatch):
    sandbox = start(controller, "web", "bridge")
    with monkeypatch.context() as patched:
        for operation in ("open_resolver", "remove_interface"):
            patched.setattr(world.kernel, operation, refuse)
        with pytest.raises(OSError, match="refused"):
            connect(sandbox, named(controller, "aa"))
    rows = world.store.load().endpoints.values()
    assert {row["network_id"] for row in rows} == {
        named(controller, n).id for n in ("aa", "bridge")
    }
    sandbox.delete()
    assert world.kernel.told_at_destroy == [None]
    assert world.store.load().endpoints == {}


def test_a_live_join_that_fails_removes_nothing_that_it_has_not_made(world, controller):
    sandbox = start(controller, "web", "bb")
    world.kernel.fail["add_interface"] = FileExistsError(errno.EEXIST, "exists")
    before = len(world.kernel.operations)
    with pytest.raises(FileExistsError):
        connect(sandbox, named(controller, "aa"))
    assert world.kernel.operations[before:] == ["add_interface"]
    sandbox.delete()
    assert world.kernel.told_at_destroy == [None]


def test_an_endpoint_is_in_one_sandbox_at_a_time(controller):
    one, two = start(controller, "one"), start(controller, "two")
    endpoint = named(controller, "aa").create_endpoint("web", EndpointOptions())
    endpoint.join(one)
    with pytest.raises(Forbidden):
        endpoint.join(two)
    with pytest.raises(Forbidden):
        endpoint.leave(two)
    with pytest.raises(Forbidden, match="has active containers"):
        endpoint.delete()
    endpoint.leave(one)
    endpoint.delete()
