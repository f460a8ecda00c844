"""Names: who finds whom by what on which network, and where other questions are asked."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from refimpl.errors import Forbidden
from refimpl.libnetwork.sandbox import Sandbox
from refimpl.model.network import IPAMPool, NetworkOptions
from tests.unit.refimpl.libnetwork_world import (
    connect,
    container_id,
    start,
)
from tests.unit.refimpl.test_libnetwork_sandbox import controller, named, world

__all__ = ["controller", "world"]  # fixtures


def resolved(sandbox: Sandbox, name: str, version: int = 4) -> list[str]:
    return [str(address) for address in sandbox.dns.resolve_name(name, version)[0]]


@pytest.mark.parametrize("name", ["db", "DB", "db.", "db.aa", container_id("db")[:12]])
def test_a_peer_is_found_by_every_one_of_its_names(controller, name):
    start(controller, "db", "aa")
    assert resolved(start(controller, "web", "aa"), name) == ["10.2.0.2"]


def test_names_are_those_of_the_shared_networks_only(controller):
    start(controller, "db", "bb")
    sandbox = start(controller, "web", "aa")
    assert resolved(sandbox, "db") == []
    assert resolved(sandbox, "db.bb") == []


def test_the_default_bridge_has_no_names_even_with_the_embedded_dns(controller):
    """Measured on 20.10."""
    start(controller, "db", "bridge")
    sandbox = start(controller, "web", "bridge", "aa")
    assert resolved(sandbox, "db") == []
    assert resolved(sandbox, "db.bridge") == []
    assert resolved(sandbox, "web") == ["10.2.0.2"]
    assert sandbox.dns.resolve_ip(ip_address("172.17.0.2")) == ""


def test_with_two_shared_networks_the_first_by_name_answers(controller):
    start(controller, "db", "cc", "aa")
    sandbox = start(controller, "web", "cc", "aa")
    assert resolved(sandbox, "db") == ["10.2.0.2"]
    assert resolved(sandbox, "db.cc") == ["10.1.0.2"]


def test_names_go_with_the_endpoint_and_follow_a_rename(controller):
    db = start(controller, "db", "aa")
    web = start(controller, "web", "aa")
    db.rename("sql")
    assert (resolved(web, "db"), resolved(web, "sql")) == ([], ["10.2.0.2"])
    assert web.dns.resolve_ip(ip_address("10.2.0.2")) == "sql.aa"
    assert named(controller, "aa").endpoint_by_name("db") is None
    db.delete()
    assert resolved(web, "sql") == []
    assert web.dns.resolve_ip(ip_address("10.2.0.2")) == ""


def test_a_rename_to_a_taken_name_renames_nothing(controller):
    start(controller, "other", "bb")
    db = start(controller, "db", "aa", "bb")
    with pytest.raises(Forbidden):
        db.rename("other")
    assert {endpoint.name for endpoint in db.endpoints()} == {"db"}
    assert resolved(db, "db.aa") == ["10.2.0.2"]


def test_a_shared_alias_has_the_addresses_of_all_holders(controller):
    for name in ("one", "two"):
        sandbox = start(controller, name)
        connect(sandbox, named(controller, "aa"), name, my_aliases=("both",))
    assert resolved(start(controller, "web", "aa"), "both") == ["10.2.0.2", "10.2.0.3"]


def test_a_generated_name_is_no_name_and_the_first_alias_answers_for_the_address(controller):
    sandbox = start(controller, "gen")
    connect(sandbox, named(controller, "aa"), "gen", anonymous=True, my_aliases=("short", "x"))
    web = start(controller, "web", "aa")
    assert (resolved(web, "gen"), resolved(web, "x")) == ([], ["10.2.0.2"])
    assert web.dns.resolve_ip(ip_address("10.2.0.2")) == "short.aa"
    sandbox.rename("named")
    assert resolved(web, "named") == ["10.2.0.2"]


def test_a_private_alias_is_for_its_sandbox_only(controller):
    start(controller, "db", "aa")
    web = start(controller, "web")
    connect(web, named(controller, "aa"), aliases={"sql": "db"})
    assert resolved(web, "sql") == ["10.2.0.2"]
    assert resolved(start(controller, "other", "aa"), "sql") == []


def test_an_ipv4_name_asked_for_ipv6_is_known_and_empty(controller):
    start(controller, "db", "aa")
    web = start(controller, "web", "aa")
    assert web.dns.resolve_name("db", 6) == ((), True)
    assert web.dns.resolve_name("nowhere", 6) == ((), False)


def test_a_name_that_reads_as_an_address_is_a_name(controller):
    start(controller, "10.9.9.9", "aa")
    assert resolved(start(controller, "web", "aa"), "10.9.9.9") == ["10.2.0.2"]


def test_the_name_of_a_network_is_compared_as_it_stands(controller):
    start(controller, "db", "aa")
    web = start(controller, "web", "aa")
    assert resolved(web, "DB.aa") == ["10.2.0.2"]
    assert resolved(web, "db.AA") == []


def test_servers_are_asked_from_the_sandbox_and_the_hosts_own_loopback_from_the_host(
    world, controller
):
    web = start(controller, "web", "a0")
    before = len(world.kernel.operations)
    from_host, from_sandbox = web.dns.upstreams
    for upstream in (from_host, from_sandbox):
        with web.dns.open_socket(upstream, socket.SOCK_DGRAM) as one:
            assert one.type == socket.SOCK_DGRAM
            assert not one.getblocking()
    assert world.kernel.operations[before:] == ["open_socket"]


def test_an_address_of_either_family_has_a_name_until_its_endpoint_goes(controller):
    ipam = (IPAMPool(subnet="10.77.0.0/16"), IPAMPool(subnet="fd00:1::/64"))
    network = controller.new_network("six", NetworkOptions(ipam=ipam, enable_ipv6=True))
    sandbox = start(controller, "six", "six")
    info = sandbox.endpoints()[0].info
    assert info.ipv4 is not None
    assert info.ipv6 is not None
    addresses = [info.ipv4.ip, info.ipv6.ip]
    assert [network.records.reverse(address) for address in addresses] == ["six", "six"]
    sandbox.delete()
    assert [network.records.reverse(address) for address in addresses] == ["", ""]
