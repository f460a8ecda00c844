"""Addresses and pools: what is handed out, what is refused, and that nothing goes out twice."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from refimpl.errors import EngineError, Forbidden, NotFound
from refimpl.libnetwork import ipam
from refimpl.libnetwork.ipam import (
    AddressInUse,
    AddressOutOfRange,
    AddressPool,
    NoAvailableAddress,
    PoolAllocator,
    PoolOverlap,
    overlaps,
    parse_cidr,
    parse_ip,
)
from tests.unit.refimpl.work import lines_run


def taken_from(pool: AddressPool, count: int) -> list[str]:
    return [str(pool.request().ip) for _ in range(count)]


def test_addresses_are_handed_out_lowest_first():
    pool = AddressPool(IPv4Network("10.0.0.0/28"))
    assert taken_from(pool, 3) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_an_address_comes_with_the_prefix_of_its_pool():
    assert str(AddressPool(IPv4Network("10.0.0.0/28")).request()) == "10.0.0.1/28"


def test_a_freed_address_is_the_next_one_handed_out():
    pool = AddressPool(IPv4Network("10.0.0.0/28"))
    taken_from(pool, 5)
    for freed in ("10.0.0.4", "10.0.0.2"):
        pool.release(ip_address(freed))
    assert taken_from(pool, 3) == ["10.0.0.2", "10.0.0.4", "10.0.0.6"]


def test_a_full_pool_has_every_address_but_network_and_broadcast():
    pool = AddressPool(IPv4Network("10.0.0.0/29"))
    assert taken_from(pool, 6)[-1] == "10.0.0.6"
    with pytest.raises(NoAvailableAddress, match="No available addresses on this pool"):
        pool.request()


@pytest.mark.parametrize("prefix", [31, 32])
def test_a_subnet_of_two_or_one_has_no_address(prefix):
    with pytest.raises(NoAvailableAddress):
        AddressPool(ip_network(f"10.0.0.0/{prefix}")).request()


@pytest.mark.parametrize(
    ("subnet", "address"),
    [
        ("10.0.0.0/31", "10.0.0.0"),
        ("10.0.0.0/31", "10.0.0.1"),
        ("10.0.0.0/32", "10.0.0.0"),
        ("2001:db8::/128", "2001:db8::"),
        ("10.0.0.0/30", "10.0.0.1"),
        ("10.0.0.0/30", "10.0.0.3"),
    ],
)
def test_in_a_full_subnet_a_given_address_is_not_said_to_be_in_use(subnet, address):
    """Measured: 20.10 looks first whether anything is free."""
    pool = AddressPool(ip_network(subnet))
    with pytest.raises(NoAvailableAddress):
        taken_from(pool, 3)
    with pytest.raises(NoAvailableAddress):
        pool.request(ip_address(address))


def test_a_full_range_is_no_full_subnet():
    pool = AddressPool(IPv4Network("10.0.0.0/24"), IPv4Network("10.0.0.8/31"))
    taken_from(pool, 2)
    with pytest.raises(AddressInUse):
        pool.request(ip_address("10.0.0.8"))


@pytest.mark.parametrize("address", ["10.0.0.0", "10.0.0.15", "10.0.0.1"])
def test_network_broadcast_and_taken_address_are_in_use(address):
    pool = AddressPool(IPv4Network("10.0.0.0/28"))
    pool.request()
    with pytest.raises(AddressInUse, match="Address already in use"):
        pool.request(ip_address(address))


def test_the_last_address_of_an_ipv6_pool_is_no_broadcast():
    pool = AddressPool(IPv6Network("2001:db8::/126"))
    assert str(pool.request(IPv6Address("2001:db8::3"))) == "2001:db8::3/126"


def test_an_ipv6_pool_begins_at_one():
    assert taken_from(AddressPool(IPv6Network("2001:db8::/64")), 2) == [
        "2001:db8::1",
        "2001:db8::2",
    ]


@pytest.mark.parametrize("address", ["10.0.1.1", "2001:db8::1"])
def test_an_address_of_another_subnet_is_out_of_range(address):
    with pytest.raises(AddressOutOfRange, match="Requested address is out of range"):
        AddressPool(IPv4Network("10.0.0.0/24")).request(ip_address(address))


def test_a_refused_request_takes_nothing():
    pool = AddressPool(IPv4Network("10.0.0.0/28"))
    with pytest.raises(AddressOutOfRange):
        pool.request(ip_address("10.0.1.1"))
    assert taken_from(pool, 1) == ["10.0.0.1"]


def test_a_range_bounds_what_nobody_asked_for_by_name():
    pool = AddressPool(IPv4Network("10.0.0.0/24"), IPv4Network("10.0.0.128/30"))
    assert taken_from(pool, 4) == [f"10.0.0.{last}" for last in range(128, 132)]
    with pytest.raises(NoAvailableAddress):
        pool.request()
    assert str(pool.request(ip_address("10.0.0.5")).ip) == "10.0.0.5"


def test_a_range_at_the_start_skips_the_network_address():
    pool = AddressPool(IPv4Network("10.0.0.0/24"), IPv4Network("10.0.0.0/31"))
    assert taken_from(pool, 1) == ["10.0.0.1"]
    with pytest.raises(NoAvailableAddress):
        pool.request()


@pytest.mark.parametrize(
    ("ip_range", "first"), [("10.99.0.64/26", "10.0.0.64"), ("10.0.0.0/16", "10.0.0.1")]
)
def test_only_the_host_part_of_a_range_counts(ip_range, first):
    """Measured: 20.10 accepts such a range and hands out of the subnet."""
    pool = AddressPool(IPv4Network("10.0.0.0/24"), IPv4Network(ip_range))
    assert taken_from(pool, 1) == [first]


def test_releasing_twice_frees_once():
    pool = AddressPool(IPv4Network("10.0.0.0/28"))
    taken_from(pool, 2)
    pool.release(ip_address("10.0.0.1"))
    pool.release(ip_address("10.0.0.1"))
    assert taken_from(pool, 2) == ["10.0.0.1", "10.0.0.3"]


def test_a_freed_address_taken_by_name_is_not_handed_out_again():
    pool = AddressPool(IPv4Network("10.0.0.0/28"))
    taken_from(pool, 2)
    pool.release(ip_address("10.0.0.1"))
    pool.request(ip_address("10.0.0.1"))
    assert taken_from(pool, 1) == ["10.0.0.3"]


def test_an_address_freed_beyond_the_range_is_not_handed_out():
    pool = AddressPool(IPv4Network("10.0.0.0/28"), IPv4Network("10.0.0.0/29"))
    taken_from(pool, 7)
    beyond = pool.request(ip_address("10.0.0.8")).ip
    with pytest.raises(NoAvailableAddress):
        pool.request()
    pool.release(beyond)
    with pytest.raises(NoAvailableAddress):
        pool.request()


class CountedSet(set[int]):
    """A set that counts how often somebody asks whether it has something."""

    asked = 0

    def __contains__(self, one: object) -> bool:
        self.asked += 1
        return super().__contains__(one)


def test_an_address_is_found_without_a_search_however_many_are_in_use():
    pool = AddressPool(IPv4Network("10.0.0.0/8"))
    taken = [pool.request() for _ in range(65_000)]
    pool._taken = counted = CountedSet(pool._taken)
    for freed in (taken[0], taken[32_000], taken[-1]):
        pool.release(freed.ip)
        assert pool.request() == freed
    following = pool.request()
    assert int(following.ip) == int(taken[-1].ip) + 1
    pool.request(following.ip + 70_000)
    assert counted.asked <= 12


def test_an_ipv4_address_may_be_written_as_an_ipv6_one():
    """As Go's net.ParseIP reads it."""
    assert parse_ip("::ffff:10.0.0.7") == ip_address("10.0.0.7")
    assert parse_ip("::10.0.0.7") == ip_address("::a00:7")
    assert parse_ip("fe80::1%eth0") is None


class AddressPoolMachine(RuleBasedStateMachine):
    """Any order of requests and releases agrees with a model that is a plain set."""

    @initialize(prefix=st.integers(26, 30), ranged=st.booleans())
    def make(self, prefix, ranged):
        self.subnet = IPv4Network(f"10.0.0.0/{prefix}")
        self.range = IPv4Network(f"10.0.0.0/{prefix + 1}") if ranged else self.subnet
        self.pool = AddressPool(self.subnet, self.range if ranged else None)
        self.taken: set[IPv4Address] = set()

    def usable(self) -> Iterator[IPv4Address]:
        edges = {self.subnet.network_address, self.subnet.broadcast_address}
        return (a for a in self.range if a not in edges and a not in self.taken)

    @rule()
    def request_any(self):
        expected = next(self.usable(), None)
        if expected is None:
            with pytest.raises(NoAvailableAddress):
                self.pool.request()
            return
        assert self.pool.request().ip == expected
        self.taken.add(expected)

    @rule(offset=st.integers(0, 70))
    def request_one(self, offset):
        address = IPv4Address("10.0.0.0") + offset
        edges = {self.subnet.network_address, self.subnet.broadcast_address}
        if address not in self.subnet:
            with pytest.raises(AddressOutOfRange):
                self.pool.request(address)
        elif len(self.taken) == self.subnet.num_addresses - 2:
            with pytest.raises(NoAvailableAddress):
                self.pool.request(address)
        elif address in self.taken or address in edges:
            with pytest.raises(AddressInUse):
                self.pool.request(address)
        else:
            assert self.pool.request(address).ip == address
            self.taken.add(address)

    @rule(offset=st.integers(0, 70))
    def release(self, offset):
        address = IPv4Address("10.0.0.0") + offset
        self.pool.release(address)
        self.taken.discard(address)

    @invariant()
    def agrees(self):
        if hasattr(self, "subnet"):
            assert {a for a in self.subnet if self.pool.is_taken(a)} == self.taken


AddressPoolMachine.TestCase.settings = settings(max_examples=60, deadline=None)
TestAddressPool = AddressPoolMachine.TestCase


# -- pools ---------------------------------------------------------------------------------


def allocator(*host: str, **options) -> PoolAllocator:
    return PoolAllocator(lambda: [ip_network(text) for text in host], **options)


def test_default_pools_go_round_robin_and_do_not_come_back_at_once():
    pools = allocator()
    first = pools.request_default_pool()
    pools.release_pool(first)
    assert str(first.subnet) == "172.17.0.0/16"
    assert str(pools.request_default_pool().subnet) == "172.18.0.0/16"


def test_after_172_31_come_sixteen_parts_of_192_168():
    pools = allocator()
    given = [str(pools.request_default_pool().subnet) for _ in range(31)]
    assert given[14:17] == ["172.31.0.0/16", "192.168.0.0/20", "192.168.16.0/20"]
    assert given[-1] == "192.168.240.0/20"


def test_with_every_default_pool_used_there_is_none():
    pools = allocator(defaults=[("10.0.0.0/23", 24)])
    given = [pools.request_default_pool() for _ in range(2)]
    with pytest.raises(NotFound) as raised:
        pools.request_default_pool()
    assert str(raised.value) == (
        "could not find an available, non-overlapping IPv4 address pool among the defaults to "
        "assign to the network"
    )
    pools.release_pool(given[0])
    assert str(pools.request_default_pool().subnet) == "10.0.0.0/24"


def test_after_the_last_default_pool_the_turn_begins_with_the_first():
    """As in 20.10, where it does not go on from the pool that was found then."""
    pools = allocator(defaults=[("10.0.0.0/22", 24)])
    given = [pools.request_default_pool() for _ in range(4)]
    pools.release_pool(given[2])
    pools.request_default_pool()
    pools.release_pool(given[0])
    pools.release_pool(given[1])
    first = pools.request_default_pool()
    assert str(first.subnet) == "10.0.0.0/24"
    pools.release_pool(first)
    assert str(pools.request_default_pool().subnet) == "10.0.0.0/24"


@pytest.mark.parametrize(
    ("host", "given"),
    [
        pytest.param(["0.0.0.0/1"], None, id="whole-base"),
        pytest.param(["9.255.255.0/24", "10.0.1.0/24"], "10.0.0.0/24", id="before-and-after"),
        pytest.param(["10.0.0.128/32", "10.0.2.0/23"], "10.0.1.0/24", id="part-of-a-part"),
        pytest.param(["10.0.2.0/24", "10.0.0.0/23", "10.0.1.7/32"], "10.0.3.0/24", id="disorder"),
        pytest.param(["fd00::/8", "10.0.0.0/24"], "10.0.1.0/24", id="other-version"),
    ],
)
def test_first_default_pool_that_nothing_on_the_host_touches(host, given):
    pools = allocator(*host, defaults=[("10.0.0.0/22", 24)])
    if given is None:
        with pytest.raises(NotFound):
            pools.request_default_pool()
    else:
        assert str(pools.request_default_pool().subnet) == given


def test_work_for_the_first_default_grows_with_the_networks_only():
    def lines(count: int) -> int:
        pools = allocator(
            *(f"10.{one >> 8}.{one & 255}.0/24" for one in range(count)),
            defaults=[("10.0.0.0/8", 24)],
        )
        return lines_run(ipam, pools.first_default)

    assert lines(400) < 8 * lines(100)


def test_a_large_route_is_passed_in_one_step():
    """10.0.0.0/8 has 16 million parts of /32."""
    pools = allocator("10.0.0.0/9", "10.128.0.0/10", defaults=[("10.0.0.0/8", 32)])
    assert str(pools.first_default()) == "10.192.0.0/32"
    assert str(pools.request_default_pool().subnet) == "10.192.0.0/32"


def test_default_pools_of_both_families_are_told_apart():
    pools = allocator(defaults=[("10.0.0.0/23", 24), ("fd00::/48", 64), ("10.1.0.0/24", 24)])
    assert str(pools.request_default_pool(6).subnet) == "fd00::/64"
    assert str(pools.request_default_pool(6).subnet) == "fd00:0:0:1::/64"
    given = [str(pools.request_default_pool(4).subnet) for _ in range(3)]
    assert sorted(given) == ["10.0.0.0/24", "10.0.1.0/24", "10.1.0.0/24"]


@given(
    sizes=st.lists(st.integers(22, 26), min_size=1, max_size=3),
    busy=st.lists(st.tuples(st.integers(0, 4095), st.integers(20, 28)), max_size=6),
    turns=st.integers(0, 5),
)
def test_a_default_pool_is_the_first_that_is_free_counted_from_the_turn(sizes, busy, turns):
    defaults = [(f"10.{number}.0.0/22", size) for number, size in enumerate(sizes)]
    host = [ip_network((int(IPv4Address("10.0.0.0")) + at * 64, 32)) for at, _ in busy]
    host = [one.supernet(new_prefix=length) for one, (_, length) in zip(host, busy, strict=True)]
    parts = [part for base, size in defaults for part in ip_network(base).subnets(new_prefix=size)]
    pools = PoolAllocator(lambda: host, defaults)
    start, taken = 0, list(host)
    for _ in range(turns + 1):
        free = [
            (index < start, index)
            for index, part in enumerate(parts)
            if not any(part.overlaps(other) for other in taken)
        ]
        if not free:
            with pytest.raises(NotFound):
                pools.request_default_pool()
            return
        wrapped, index = min(free)
        assert pools.request_default_pool().subnet == parts[index]
        taken.append(parts[index])
        start = 0 if wrapped else (index + 1) % len(parts)


def test_a_default_pool_avoids_the_routes_of_the_host():
    assert str(allocator("172.17.5.0/24").request_default_pool().subnet) == "172.18.0.0/16"


def test_a_default_route_would_forbid_everything_and_is_no_subnet():
    with pytest.raises(NotFound):
        allocator("0.0.0.0/0").request_default_pool()


def test_there_are_no_default_ipv6_pools():
    with pytest.raises(NotFound, match="IPv6"):
        allocator().request_default_pool(6)


def test_the_default_bridge_takes_the_first_pool_and_leaves_the_turn_alone():
    pools = allocator()
    assert str(pools.first_default()) == "172.17.0.0/16"
    pools.request_pool("172.17.0.0/16")
    assert str(pools.request_default_pool().subnet) == "172.18.0.0/16"


@pytest.mark.parametrize("subnet", ["10.0.0.0/24", "10.0.0.128/25", "10.0.0.0/8", "0.0.0.0/0"])
def test_overlapping_subnets_are_refused(subnet):
    pools = allocator()
    pools.request_pool("10.0.0.0/24")
    with pytest.raises(PoolOverlap) as raised:
        pools.request_pool(subnet)
    assert str(raised.value) == "Pool overlaps with other one on this address space"
    assert isinstance(raised.value, Forbidden)


def test_a_released_subnet_may_be_used_again():
    pools = allocator()
    pools.release_pool(pools.request_pool("10.0.0.0/24"))
    assert str(pools.request_pool("10.0.0.0/24").subnet) == "10.0.0.0/24"


def test_releasing_a_pool_twice_is_no_error():
    pools = allocator()
    pool = pools.request_pool("10.0.0.0/24")
    pools.release_pool(pool)
    pools.release_pool(pool)


def test_with_a_range_only_the_very_same_pool_overlaps():
    """20.10 leaves the rest to the bridge driver (measured)."""
    pools = allocator()
    pools.request_pool("10.0.0.0/24", "10.0.0.0/25")
    pools.request_pool("10.0.0.0/24", "10.0.0.128/25")
    with pytest.raises(PoolOverlap):
        pools.request_pool("10.0.0.0/24", "10.0.0.0/25")


def test_host_bits_of_a_subnet_are_cut_off():
    assert str(allocator().request_pool("10.0.0.5/24").subnet) == "10.0.0.0/24"


def test_an_unreadable_range_is_refused_in_the_allocators_words():
    with pytest.raises(EngineError) as raised:
        allocator().request_pool("10.1.0.0/24", "bad")
    assert str(raised.value) == (
        'failed to parse pool request for address space "LocalDefault" pool "10.1.0.0/24" '
        'subpool "bad": Invalid Address SubPool'
    )


@pytest.mark.parametrize(
    ("subnet", "ip_range", "values"),
    [
        (
            "10.1.0.0/24",
            "fd00::/64",
            "(net.IP{0xfd, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, "
            "0x0}, net.IPMask{0xff, 0xff, 0xff, 0x0})",
        ),
        (
            "fd00::/64",
            "10.1.1.0/24",
            "(net.IP{0xa, 0x1, 0x1, 0x0}, net.IPMask{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, "
            "0xff, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0})",
        ),
    ],
)
def test_a_range_of_the_other_family_is_refused(subnet, ip_range, values):
    pools = allocator()
    with pytest.raises(EngineError) as raised:
        pools.request_pool(subnet, ip_range)
    assert str(raised.value) == (
        f'failed to parse pool request for address space "LocalDefault" pool "{subnet}" subpool '
        f'"{ip_range}": failed to compute range\'s lowest ip address: cannot compute host portion '
        f"ip address because ip and mask are not compatible: {values}"
    )
    pools.request_pool(subnet)


@pytest.mark.parametrize("text", ["", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "a/8", "10.0.0.0/8 "])
def test_what_go_does_not_read_as_a_cidr_is_none(text):
    assert parse_cidr(text) is None


@pytest.mark.parametrize("text", ["", "10.0.0", "10.0.0.256", "fe80::1%eth0", "10.0.0.01"])
def test_what_go_does_not_read_as_an_address_is_none(text):
    assert parse_ip(text) is None


def test_families_never_overlap():
    assert not overlaps(IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
    assert not overlaps(IPv6Network("::/0"), IPv4Network("0.0.0.0/0"))
