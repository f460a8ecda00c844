"""A network's pools: what its row brings back gives the same addresses as what it was made from."""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Network

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from refimpl.errors import EngineError, InvalidParameter
from refimpl.libnetwork.ipam import NoAvailableAddress, PoolAllocator
from refimpl.libnetwork.pools import (
    PoolInfo,
    allocate_pools,
    check_ipam,
    release_pools,
    restore_pools,
)
from refimpl.limits import NETWORK_SUBNETS_MAX
from refimpl.model.network import IPAMPool, NetworkOptions

OFFSETS = st.integers(0, 255)


@st.composite
def requests(draw: st.DrawFn) -> IPAMPool:
    """Return a request of a network with a subnet of 8 to 256 addresses."""
    prefix = draw(st.integers(24, 29))
    subnet = IPv4Network(f"10.7.0.0/{prefix}")
    at = [subnet[offset % subnet.num_addresses] for offset in draw(st.lists(OFFSETS, max_size=4))]
    range_prefix = draw(st.integers(prefix, 32))
    anchor = subnet[draw(OFFSETS) % subnet.num_addresses]
    ip_range = IPv4Network((int(anchor), range_prefix), strict=False)
    gateway = subnet[draw(OFFSETS) % subnet.num_addresses]
    return IPAMPool(
        subnet=str(subnet),
        ip_range=str(ip_range) if draw(st.booleans()) else "",
        gateway=str(gateway) if draw(st.booleans()) else "",
        aux_addresses={f"aux{number}": str(address) for number, address in enumerate(at)},
    )


def allocate(allocator: PoolAllocator, request: IPAMPool) -> PoolInfo:
    (info,) = allocate_pools(allocator, "net", NetworkOptions(ipam=(request,)))
    return info


def given_out(info: PoolInfo, count: int) -> list[str]:
    found: list[str] = []
    for _ in range(count):
        try:
            found.append(str(info.pool.request()))
        except NoAvailableAddress:
            found.append("full")
    return found


@given(request=requests())
@settings(deadline=None)
def test_a_restored_pool_gives_the_same_addresses(request):
    allocator = PoolAllocator(lambda: [])
    try:
        made = allocate(allocator, request)
    except EngineError:
        assume(False)
    release_pools(allocator, [made])
    (restored,) = restore_pools(allocator, [made.to_row()])
    assert (restored.gateway, restored.pool.subnet) == (made.gateway, made.pool.subnet)
    assert given_out(restored, 12) == given_out(made, 12)


@given(request=requests())
@settings(deadline=None)
def test_what_is_reserved_is_never_given_out(request):
    try:
        made = allocate(PoolAllocator(lambda: []), request)
    except EngineError:
        assume(False)
    subnet = IPv4Network(request.subnet)
    reserved = {
        *request.aux_addresses.values(),
        *(str(edge) for edge in (subnet[0], subnet[-1], made.gateway.ip)),
    }
    bounds = IPv4Network(request.ip_range or request.subnet)
    within = {str(address) for address in bounds} - reserved
    addresses = given_out(made, len(within) + 1)
    assert {one.split("/")[0] for one in addresses[:-1]} == within
    assert addresses[-1] == "full"


@given(request=requests())
@settings(deadline=None)
def test_a_refused_request_leaves_its_subnet_free(request):
    allocator = PoolAllocator(lambda: [])
    with contextlib.suppress(EngineError):
        release_pools(allocator, [allocate(allocator, request)])
    allocator.request_pool(request.subnet)


def test_an_auxiliary_address_is_named_in_what_is_said_of_it():
    request = IPAMPool(subnet="10.7.0.0/24", aux_addresses={"router": "10.7.0.1"})
    with pytest.raises(EngineError) as raised:
        allocate(PoolAllocator(lambda: []), request)
    assert str(raised.value) == (
        "failed to allocate secondary ip address (router:10.7.0.1): Address already in use"
    )


def test_a_network_of_very_many_subnets_is_refused_before_one_is_compared():
    """Each is compared with all others: one request must not keep the engine busy for minutes."""
    entries = (IPAMPool(subnet="10.1.0.0/24"),) * NETWORK_SUBNETS_MAX
    check_ipam(NetworkOptions(ipam=entries))
    with pytest.raises(InvalidParameter, match="more than 256 subnets"):
        check_ipam(NetworkOptions(ipam=(*entries, IPAMPool(subnet="nonsense"))))
