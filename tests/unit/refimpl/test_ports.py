"""Goal: ports as clients write them, as the allocator gives them out, as the kernel is told.

Method: pure functions, and a controller on a kernel in memory.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import re
import resource
import socket
import struct
import time
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest

from refimpl.daemon.containers import verify
from refimpl.errors import EngineError, InvalidParameter
from refimpl.kernel import conntrack, nftables
from refimpl.kernel.base import PublishedPort
from refimpl.kernel.ports import Ports, _elements, claim
from refimpl.kernel.relay import Relay
from refimpl.libnetwork import portallocator
from refimpl.libnetwork.portallocator import PortAllocator
from refimpl.model.network import EndpointOptions, NetworkOptions, PortBinding, SandboxOptions
from refimpl.model.ports import parse_host_port, parse_port, parse_port_range, split_proto_port
from refimpl.model.wire_container import HostConfig
from tests.unit.refimpl.libnetwork_world import World
from tests.unit.refimpl.work import lines_run

ANY, ANY6 = IPv4Address(0), IPv6Address(0)
HTTP = PortBinding("tcp", 80, None, 8080, 8080)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("80", ("tcp", "80")),
        ("80/udp", ("udp", "80")),
        ("80/", ("tcp", "80")),
        ("/udp", ("", "")),
        ("", ("", "")),
        ("8000-8010/sctp/x", ("sctp", "8000-8010")),
    ],
)
def test_port_and_protocol_are_told_apart(text, parts) -> None:
    assert split_proto_port(text) == parts


def test_numbers_are_read_as_go_reads_them() -> None:
    assert [parse_port(text) for text in ("", "0", "080", "65535")] == [0, 0, 80, 65535]
    assert parse_port_range("80-90-100") == (80, 90)
    assert parse_host_port("8080/udp") == (8080, 8080)
    assert parse_host_port("/udp") == (0, 0)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("x", 'strconv.ParseUint: parsing "x": invalid syntax'),
        ("+80", 'strconv.ParseUint: parsing "+80": invalid syntax'),
        ("²", 'strconv.ParseUint: parsing "²": invalid syntax'),
        ("65536", 'strconv.ParseUint: parsing "65536": value out of range'),
        ("9" * 5000, f'strconv.ParseUint: parsing "{"9" * 5000}": value out of range'),
        ("", "Empty string specified for ports."),
        ("80-", 'strconv.ParseUint: parsing "": invalid syntax'),
        ("90-80", "Invalid range specified for the Port: 90-80"),
    ],
    ids=itertools.count(),
)
def test_what_is_no_range_is_refused_in_gos_words(text, error) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(error)}$"):
        parse_port_range(text)


@pytest.mark.parametrize(
    ("key", "host_port", "refused"),
    [
        ("80/tcp", "x", "x"),
        ("80/tcp", "9-8", "9-8"),
        ("80/tcp", "70000", "70000"),
        ("80/tcp", " 1", " 1"),
        ("80-81/tcp", "", "80-81"),
        ("x", "", "x"),
        ("80/tcp", "8080/udp", None),
        ("80/tcp", "80-90-100", None),
        ("", "", None),
    ],
)
def test_bindings_of_a_create_are_checked(key, host_port, refused) -> None:
    host_config = HostConfig.from_wire({"PortBindings": {key: [{"HostPort": host_port}]}})
    if refused is None:
        verify.verify_host_config(host_config)
        return
    with pytest.raises(InvalidParameter) as refusal:
        verify.verify_host_config(host_config)
    assert str(refusal.value) == f'invalid port specification: "{refused}"'


def allocator() -> PortAllocator:
    return PortAllocator(lambda: (100, 103))


def test_ephemeral_ports_go_round() -> None:
    ports = allocator()
    given = [ports.request(ANY, "tcp", 0, 0) for _ in range(3)]
    assert given == [100, 101, 102]
    ports.release(ANY, "tcp", 100)
    # the one after the last, and not the lowest: a client may still ask the one that is free again
    assert ports.request(ANY, "tcp", 0, 0) == 103
    assert ports.request(ANY, "tcp", 0, 0) == 100
    with pytest.raises(EngineError, match="all ports are allocated"):
        ports.request(ANY, "tcp", 0, 0)
    assert ports.request(ANY, "udp", 0, 0) == 100
    assert ports.request(IPv4Address("127.0.0.1"), "tcp", 0, 0) == 100


def test_fixed_port_is_given_once() -> None:
    ports = allocator()
    assert ports.request(ANY, "tcp", 80, 80) == 80
    with pytest.raises(EngineError, match=r"Bind for 0\.0\.0\.0:80 failed: port is already al"):
        ports.request(ANY, "tcp", 80, 80)
    assert ports.request(ANY6, "tcp", 80, 80) == 80
    with pytest.raises(EngineError, match="Bind for :::80 failed: port is already allocated"):
        ports.request(ANY6, "tcp", 80, 80, preferred=80)
    ports.release(ANY, "tcp", 80)
    ports.release(ANY, "tcp", 80)
    ports.release(ANY, "sctp", 80)
    assert ports.request(ANY, "tcp", 80, 80) == 80


def test_range_goes_on_after_the_last_one() -> None:
    ports = allocator()
    assert [ports.request(ANY, "tcp", 9000, 9002) for _ in range(2)] == [9000, 9001]
    ports.release(ANY, "tcp", 9000)
    assert [ports.request(ANY, "tcp", 9000, 9002) for _ in range(2)] == [9002, 9000]


def test_other_family_gets_the_same_port_where_it_is_free() -> None:
    ports = allocator()
    ports.request(ANY6, "tcp", 100, 100)
    assert ports.request(ANY6, "tcp", 0, 0, preferred=102) == 102
    assert ports.request(ANY6, "tcp", 0, 0, preferred=100) == 103


def test_memory_of_ranges_is_bounded() -> None:
    ports = allocator()
    for first in range(1, 2000):
        ports.request(ANY, "tcp", first, first + 1)
    ((known),) = ports._ports.values()
    assert len(known.last) <= 256


def test_search_is_not_the_longer_the_more_ports_are_taken() -> None:
    def lines(count: int) -> int:
        ports = allocator()
        return lines_run(
            portallocator,
            lambda: [ports.request(ANY, "tcp", 1, 60000 - one) for one in range(count)],
        )

    assert lines(800) < 8 * lines(200)


@pytest.mark.parametrize(
    ("taken", "first", "last", "given"),
    [
        pytest.param([], 10, 20, 10, id="nothing"),
        pytest.param([10, 11, 13], 10, 20, 12, id="gap"),
        pytest.param([8, 9, 10, 11], 10, 12, 12, id="run-from-before"),
        pytest.param([12, 11, 10], 10, 13, 13, id="run-to-the-end"),
        pytest.param([65534], 65534, 65535, 65535, id="last-port"),
    ],
)
def test_first_free_port_of_a_range(taken, first, last, given) -> None:
    ports = allocator()
    for port in taken:
        ports.request(ANY, "tcp", port, port)
    assert ports.request(ANY, "tcp", first, last) == given


def test_port_that_was_given_back_twice_is_free_once() -> None:
    ports = allocator()
    ports.request(ANY, "tcp", 80, 80)
    for _ in range(2):
        ports.release(ANY, "tcp", 80)
    assert ports.request(ANY, "tcp", 80, 81) == 80
    assert ports.request(ANY, "tcp", 80, 81) == 81


def test_addresses_without_a_port_are_forgotten() -> None:
    ports = allocator()
    for number in range(1, 100):
        address = IPv4Address(number)
        ports.release(address, "tcp", ports.request(address, "tcp", 80, 80))
    assert len(ports._ports) == 0


def test_ports_leave_descriptors_to_the_rest_of_the_engine() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as at_end:
        free = at_end.enter_context(claim("tcp", IPv4Address("127.0.0.1"), 0)).fileno()
        at_end.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (2 * free, hard))
        numbers = []
        with contextlib.suppress(OSError):
            while True:
                one = at_end.enter_context(claim("tcp", IPv4Address("127.0.0.1"), 0))
                numbers.append(one.fileno())
        assert max(numbers) < 1.5 * free
        assert at_end.enter_context(socket.socket()).fileno() < 2 * free


def test_elements_of_maps_and_sets() -> None:
    own4, own6 = ip_address("10.0.0.2"), ip_address("fd00::2")
    found = _elements(
        [
            PublishedPort("tcp", ANY, 8080, own4, 80),
            PublishedPort("tcp", ip_address("127.0.0.1"), 8081, own4, 80),
            PublishedPort("udp", ANY6, 8080, own6, 53),
            # those are the relay's
            PublishedPort("tcp", ANY6, 8080, own4, 80),
            PublishedPort("tcp", ip_address("::1"), 8080, own6, 80),
        ]
    )
    tcp, udp = b"\x06\0\0\0", b"\x11\0\0\0"
    target4, target6 = own4.packed + b"\0\x50\0\0", own6.packed + b"\0\x35\0\0"
    assert found == {
        "published4": [(tcp + b"\x1f\x90\0\0", target4)],
        "published4_at": [(b"\x7f\0\0\1" + tcp + b"\x1f\x91\0\0", target4)],
        "open4": [(own4.packed + tcp + b"\0\x50\0\0", b"")],
        "published6": [(udp + b"\x1f\x90\0\0", target6)],
        "open6": [(own6.packed + udp + b"\0\x35\0\0", b"")],
    }


def test_target_of_two_ports_is_opened_once() -> None:
    own = ip_address("10.0.0.2")
    found = _elements([PublishedPort("tcp", ANY, port, own, 80) for port in (8080, 8081)])
    assert [len(found[name]) for name in ("published4", "open4")] == [2, 1]


def test_work_for_many_ports_grows_with_their_number_only() -> None:
    own = ip_address("10.0.0.2")

    def work_s(count: int) -> float:
        ports = [PublishedPort("tcp", ANY, port, own, port) for port in range(1, count + 1)]
        begun = time.process_time()
        _elements(ports)
        return time.process_time() - begun

    few = min(work_s(2000) for _ in range(3))
    assert min(work_s(16000) for _ in range(2)) < 24 * few


def test_missing_element_does_not_make_each_of_the_others_a_change_of_its_own(monkeypatch) -> None:
    own = ip_address("10.0.0.2")
    published = [PublishedPort("tcp", ANY, port, own, port) for port in range(1, 1001)]
    there = {(name, key) for name, ones in _elements(published).items() for key, _ in ones}
    there.remove(("published4", b"\x06\0\0\0\0\x05\0\0"))
    changes = 0

    def change(self, change, elements, doing) -> None:
        nonlocal changes
        changes += 1
        asked = {(name, key) for name, ones in elements.items() for key, _ in ones}
        if change is nftables.no_set_elements and not asked <= there:
            raise FileNotFoundError(errno.ENOENT, doing)
        there.difference_update(asked)

    monkeypatch.setattr(Ports, "_change", change)
    monkeypatch.setattr(conntrack, "forget_flows_from", lambda _addresses: None)
    Ports("tt", Relay("tt", lambda work: work())).unpublish(published)
    assert there == set()
    assert changes < 50


def test_elements_are_encoded_as_nft_encodes_them() -> None:
    """Compared with what nft 1.0.6 sends for the same element, byte by byte."""
    (message,) = nftables.set_elements(
        "tt", "any4", [(b"\x06\0\0\0\x1f\x91\0\0", b"\x0a\1\2\3\0\x51\0\0")]
    )
    (length,) = struct.unpack_from("=I", message)
    assert length == len(message) == 80
    assert message[-40:] == bytes.fromhex(
        "28000380 24000180 10000180 0c000100 06000000 1f910000 10000280 0c000100 0a010203 00510000"
    )


def test_many_elements_are_more_than_one_message() -> None:
    many = [(struct.pack(">I", number), b"") for number in range(1201)]
    assert len(nftables.no_set_elements("tt", "open4", many)) == 3


# -- endpoints -------------------------------------------------------------------------------------


@pytest.fixture
def world():
    one = World()
    yield one
    one.close()


class Stage:
    def __init__(self, world: World, **config: Any) -> None:
        self.world = world
        self.kernel = world.kernel
        self.controller = world.boot(**config)
        self.numbers = itertools.count()

    def network(self, name: str, **options: Any):
        return self.controller.new_network(name, NetworkOptions(**options))

    def sandbox(self, *ports: PortBinding):
        number = next(self.numbers)
        return self.controller.new_sandbox(
            SandboxOptions(f"c{number}", f"/c{number}/hosts", f"/c{number}/resolv", ports=ports)
        )

    def join(self, network, sandbox):
        endpoint = network.create_endpoint(f"e{next(self.numbers)}", EndpointOptions())
        endpoint.join(sandbox)
        return endpoint

    def published(self) -> set[tuple[str, int, str]]:
        return {(str(p.host_ip), p.host_port, str(p.ip)) for p in self.kernel.published}


def test_ports_are_those_of_the_default_route(world) -> None:
    stage = Stage(world)
    inner = stage.network("aaa", internal=True)
    near, far = stage.network("mmm"), stage.network("nnn")
    sandbox = stage.sandbox(HTTP)
    stage.join(inner, sandbox)
    sandbox.populate()
    assert stage.published() == set()
    on_far = stage.join(far, sandbox)
    assert stage.published() == {(a, 8080, str(on_far.info.ipv4.ip)) for a in ("0.0.0.0", "::")}
    on_near = stage.join(near, sandbox)
    assert stage.published() == {(a, 8080, str(on_near.info.ipv4.ip)) for a in ("0.0.0.0", "::")}
    assert on_far.published == ()
    on_near.leave(sandbox)
    assert [one.host_port for one in on_far.published] == [8080, 8080]
    on_far.leave(sandbox)
    assert stage.published() == set()
    assert stage.kernel.held_ports() == set()
    sandbox.delete()


def test_taken_port_undoes_the_join_and_nothing_else(world) -> None:
    stage = Stage(world)
    one, two = stage.network("one"), stage.network("two")
    first, second = stage.sandbox(HTTP), stage.sandbox(PortBinding("udp", 53), HTTP)
    carrier = stage.join(one, first)
    before = dict(stage.kernel.published)
    endpoint = two.create_endpoint("e", EndpointOptions())
    with pytest.raises(EngineError) as refusal:
        endpoint.join(second)
    assert str(refusal.value) == (
        f"driver failed programming external connectivity on endpoint e ({endpoint.id}): "
        "Bind for 0.0.0.0:8080 failed: port is already allocated"
    )
    assert endpoint.sandbox is None
    assert second.endpoints() == ()
    assert stage.kernel.published == before
    assert {port for _, _, port in stage.kernel.held_ports()} == {8080}
    assert carrier.published


def test_failed_move_brings_the_ports_back(world) -> None:
    stage = Stage(world)
    near, far = stage.network("mmm"), stage.network("nnn")
    sandbox = stage.sandbox(HTTP)
    on_far = stage.join(far, sandbox)
    stage.kernel.fail["publish_ports"] = OSError(errno.ENOSPC, "no room")
    with pytest.raises(EngineError, match="no room"):
        stage.join(near, sandbox)
    assert sandbox.endpoints() == (on_far,)
    assert {one.ip for one in stage.kernel.published} == {on_far.info.ipv4.ip}


def test_process_of_the_host_has_the_port(world) -> None:
    stage = Stage(world)
    stage.kernel.foreign_ports.add(("tcp", ANY6, 8080))
    with pytest.raises(EngineError, match=r"listen tcp6 \[::\]:8080: bind: address already in use"):
        stage.join(stage.network("one"), stage.sandbox(HTTP))
    assert stage.kernel.held_ports() == set()
    stage.kernel.foreign_ports.update({("tcp", ANY, 32768), ("tcp", ANY6, 32769)})
    endpoint = stage.join(stage.network("two"), stage.sandbox(PortBinding("tcp", 80)))
    assert [one.host_port for one in endpoint.published] == [32769, 32770]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (errno.EADDRNOTAVAIL, "listen tcp4 0.0.0.0:8080: bind: cannot assign requested address"),
        (errno.EPROTONOSUPPORT, "protocol not supported"),
    ],
)
def test_refusals_of_the_kernel_are_20_10s(world, error, text) -> None:
    stage = Stage(world)
    stage.kernel.fail["claim_port"] = OSError(error, "refused")
    with pytest.raises(EngineError) as refusal:
        stage.join(stage.network("one"), stage.sandbox(HTTP))
    assert str(refusal.value).endswith(f": Error starting userland proxy: {text}")


def test_kernel_without_ipv6_publishes_on_ipv4(world, monkeypatch) -> None:
    stage = Stage(world)
    claim = stage.kernel.claim_port

    def claim_ipv4_only(protocol, address, port):
        if address.version == 6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return claim(protocol, address, port)

    monkeypatch.setattr(stage.kernel, "claim_port", claim_ipv4_only)
    endpoint = stage.join(stage.network("one"), stage.sandbox(HTTP))
    assert [str(one.host_ip) for one in endpoint.published] == ["0.0.0.0"]


def test_range_from_zero_is_no_range() -> None:
    ports = allocator()
    with pytest.raises(EngineError, match=r"^invalid port range: 0-5$"):
        ports.request(ANY, "tcp", 0, 5)


def test_without_the_relay_nobody_speaks_of_it(world) -> None:
    stage = Stage(world, userland_proxy=False)
    stage.kernel.foreign_ports.add(("tcp", ANY, 8080))
    with pytest.raises(EngineError, match=r"\): listen tcp4 0\.0\.0\.0:8080: bind: address alrea"):
        stage.join(stage.network("one"), stage.sandbox(HTTP))


def test_protocol_that_cannot_be_published(world) -> None:
    stage = Stage(world)
    with pytest.raises(EngineError, match="invalid transport protocol: icmp"):
        stage.join(stage.network("one"), stage.sandbox(PortBinding("icmp", 80)))


@pytest.mark.parametrize(
    ("options", "config", "hosts"),
    [
        ({}, {}, ["0.0.0.0", "::"]),
        ({}, {"userland_proxy": False}, ["0.0.0.0"]),
        ({"com.docker.network.bridge.host_binding_ipv4": "127.0.0.1"}, {}, ["127.0.0.1"]),
        ({"com.docker.network.bridge.host_binding_ipv4": "::1"}, {}, ["::1"]),
    ],
    ids=["default", "no-relay", "loopback", "ipv6"],
)
def test_addresses_of_the_host(world, options, config, hosts) -> None:
    stage = Stage(world, **config)
    endpoint = stage.join(stage.network("one", options=options), stage.sandbox(HTTP))
    assert [str(one.host_ip) for one in endpoint.published] == hosts
    assert bool(stage.kernel.relayed) == (":" in hosts[-1])


def test_table_that_somebody_deleted_is_written_with_all_ports(world) -> None:
    stage = Stage(world)
    network = stage.network("one")
    stage.join(network, stage.sandbox(HTTP))
    before = dict(stage.kernel.published)
    stage.kernel.published.clear()
    stage.kernel.fail["publish_ports"] = FileNotFoundError(errno.ENOENT, "no table")
    stage.join(network, stage.sandbox(PortBinding("tcp", 80, None, 9090, 9090)))
    assert before.items() <= stage.kernel.published.items()
    assert len(stage.kernel.published) == 4


def test_ports_that_cannot_be_taken_back_are_free_with_the_sandbox(world) -> None:
    stage = Stage(world)
    network = stage.network("one")
    sandbox = stage.sandbox(HTTP)
    stage.join(network, sandbox)
    sandbox.populate()
    stage.kernel.fail["unpublish_ports"] = OSError(errno.EIO, "once")
    sandbox.delete()  # tried again
    assert stage.published() == set()
    assert stage.kernel.held_ports() == set()


def test_without_ports_the_kernel_is_asked_for_nothing_more(world) -> None:
    stage = Stage(world)
    sandbox = stage.sandbox()
    stage.join(stage.network("one"), sandbox)
    stage.kernel.operations.clear()
    sandbox.populate()
    sandbox.delete()
    assert not [one for one in stage.kernel.operations if "port" in one]
