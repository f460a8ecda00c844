"""Addresses: which one a container gets, when it is free again, and what it may ask for."""

import ipaddress

import pytest

from conformance.assertions import (
    expect_api_error,
    expect_equal,
    expect_in,
    expect_not_equal,
    expect_refused,
    violated,
)
from conformance.registry import behaviour

ALLOCATOR = "libnetwork ipam/allocator.go v17.06"


def address_of(container, net):
    """Give a container's IPv4 address on a network, as it is now."""
    container.reload()
    return container.attrs["NetworkSettings"]["Networks"][net.name]["IPAddress"]


def small(network, subnets, prefix=29):
    """Make a network on a small subnet; give both."""
    subnet = next(ipaddress.ip_network(subnets.ipv4()).subnets(new_prefix=prefix))
    return network(subnet=str(subnet)), subnet


def filled(net, subnet, run):
    """Run containers until every address but the gateway's is taken; give them."""
    return [run(network_mode=net.name) for _ in range(subnet.num_addresses - 3)]


def wishing(net, **ipam):
    """Give the body of a container that wants an address of its own choice."""
    wish = {"EndpointsConfig": {net.name: {"IPAMConfig": ipam}}}
    return {"HostConfig": {"NetworkMode": net.name}, "NetworkingConfig": wish}


def created(create_raw, client, body):
    """Create a container with a body of the row's own; give it."""
    answer = create_raw(body)
    expect_equal("the status of create", 201, answer.status)
    return client.containers.get(answer.json()["Id"])


def refusal(create_raw, api, body):
    """Create and start a container that must not run; give the step that refused, and how."""
    answer = create_raw(body)
    if answer.status != 201:
        return "create", answer
    started = api("POST", f"/containers/{answer.json()['Id']}/start")
    if started.status in (204, 304):
        violated("the answer", expected="a refusal", actual="the container runs")
    return "start", started


@behaviour(
    "ipam.address.lowest-free",
    "Containers MUST get the addresses of a subnet lowest first, the gateway's aside.",
    source=f"{ALLOCATOR}: SetAny",
)
def test_lowest_free_address_is_given(run, network, subnets):
    net, subnet = small(network, subnets)
    given = [address_of(run(network_mode=net.name), net) for _ in range(3)]
    expect_equal("the addresses", [str(subnet[number]) for number in (2, 3, 4)], given)


@behaviour(
    "ipam.address.freed-by-stop",
    "The address of a container that has stopped MUST be free for another one, also where it is "
    "the only one of its network.",
    source="libnetwork endpoint.releaseAddress v17.06",
)
def test_stopped_containers_address_is_given_away(create, run, network, subnets):
    net, _ = small(network, subnets, prefix=30)
    first, heir = run(network_mode=net.name), create(network_mode=net.name)
    freed = address_of(first, net)
    expect_refused(heir.start)
    first.stop()
    heir.start()
    expect_equal("the heir's address", freed, address_of(heir, net))
    expect_refused(first.start)


@behaviour(
    "ipam.address.freed-by-disconnect",
    "The address of a running container that leaves a network MUST be free for others at once.",
    source="libnetwork endpoint.Delete v17.06: releaseAddress",
)
def test_address_is_free_after_a_disconnect(run, network, subnets):
    net, _ = small(network, subnets, prefix=30)
    container = run(network_mode=net.name)
    freed = address_of(container, net)
    net.disconnect(container)
    expect_equal("the heir's address", freed, address_of(run(network_mode=net.name), net))


@behaviour(
    "ipam.address.freed-comes-next",
    "An address that has been freed MUST be the next one given, where no lower one is free, and "
    "its former container MUST get another when it is started again.",
    source=f"{ALLOCATOR}: SetAny",
    tier="quirk",
)
def test_freed_address_comes_next(run, network, subnets):
    net, _ = small(network, subnets)
    first, second = run(network_mode=net.name), run(network_mode=net.name)
    freed, other = address_of(first, net), address_of(second, net)
    first.stop()
    expect_equal("the heir's address", freed, address_of(run(network_mode=net.name), net))
    first.start()
    expect_not_equal("the address after the start", freed, address_of(first, net))
    expect_equal("the other one's address", other, address_of(second, net))


@behaviour(
    "ipam.address.kept-by-restart",
    "A container that is restarted MUST get the address that it had, where nobody took it and no "
    "lower one is free.",
    source=f"{ALLOCATOR}: SetAny",
)
def test_restart_keeps_the_address(run, network, subnets):
    net, _ = small(network, subnets)
    containers = [run(network_mode=net.name) for _ in range(3)]
    before = address_of(containers[1], net)
    containers[1].restart(timeout=1)
    expect_equal("the address", before, address_of(containers[1], net))


@behaviour(
    "ipam.static.not-handed-out",
    "An address that a running container has chosen MUST NOT go to one that has not.",
    source=f"{ALLOCATOR}: RequestAddress sets the bit",
)
def test_chosen_address_is_skipped(create_raw, client, run, network, subnets):
    net, subnet = small(network, subnets)
    body = wishing(net, IPv4Address=str(subnet[3]))
    created(create_raw, client, body).start()
    given = [address_of(run(network_mode=net.name), net) for _ in range(2)]
    expect_equal("the addresses", [str(subnet[2]), str(subnet[4])], given)


@behaviour(
    "ipam.static.kept-over-restart",
    "A container with an address of its own choice MUST have it after each start, also where lower "
    "ones are free.",
    source="moby daemon cleanOperationalData v17.03: IPAMConfig stays",
    bugs=("podman#15708",),
)
def test_chosen_address_is_used_at_each_start(create_raw, client, start, network, subnets):
    net, subnet = small(network, subnets)
    wish = str(subnet[5])
    container = created(create_raw, client, wishing(net, IPv4Address=wish))
    for number in (1, 2):
        start(container)
        expect_equal(f"the address of start {number}", wish, address_of(container, net))
        container.stop()


@behaviour(
    "ipam.static.not-reserved",
    "A chosen address is not reserved while its container is stopped: another one MUST get it, and "
    "the first one's start is refused until it is free again.",
    source=f"{ALLOCATOR}: RequestAddress; moby#26284",
)
def test_chosen_address_is_not_kept_for_a_stopped_one(create_raw, client, network, subnets):
    net, subnet = small(network, subnets)
    body = wishing(net, IPv4Address=str(subnet[4]))
    first, second = created(create_raw, client, body), created(create_raw, client, body)
    first.start()
    first.stop()
    second.start()
    expect_equal("the second one's address", str(subnet[4]), address_of(second, net))
    expect_refused(first.start)
    second.stop()
    first.start()
    expect_equal("the first one's address", str(subnet[4]), address_of(first, net))


@behaviour(
    "ipam.static.taken-text",
    "A start with an address that another container has MUST be refused with 403 and `Address "
    "already in use`.",
    source="libnetwork ipamapi.ErrIPAlreadyAllocated v17.06; the status since v17.09",
    tier="quirk",
)
def test_text_for_a_taken_address(create_raw, client, run, network):
    net = network()
    taken = address_of(run(network_mode=net.name), net)
    container = created(create_raw, client, wishing(net, IPv4Address=taken))
    expect_api_error(container.start, 403, "Address already in use")
    container.reload()
    expect_in("the error", "Address already in use", container.attrs["State"]["Error"])


@behaviour(
    "ipam.static.reserved",
    "A container MUST NOT run with the gateway's address of its network, nor with the first or the "
    "last one of the subnet.",
    source=f"{ALLOCATOR}: the bits are set with the pool",
)
def test_reserved_addresses_are_nobodys(create_raw, api, run, network, subnets):
    net, subnet = small(network, subnets)
    for place in (0, 1, -1):
        refusal(create_raw, api, wishing(net, IPv4Address=str(subnet[place])))
    expect_equal("the next address", str(subnet[2]), address_of(run(network_mode=net.name), net))


@behaviour(
    "ipam.static.outside",
    "A container MUST NOT run with an address outside the subnets of its network.",
    source="libnetwork endpoint.assignAddressVersion v17.06",
)
def test_address_outside_the_subnet_is_nobodys(create_raw, api, run, network, subnets):
    net, subnet = small(network, subnets)
    stranger = str(ipaddress.ip_network(subnets.ipv4())[9])
    refusal(create_raw, api, wishing(net, IPv4Address=stranger))
    expect_equal("the next address", str(subnet[2]), address_of(run(network_mode=net.name), net))


@behaviour(
    "ipam.static.outside-at-start",
    "An address outside the subnets MUST be refused at the start: 500 `Invalid address <ip>: It "
    "does not belong to any of this network's subnets`.",
    source="libnetwork endpoint.assignAddressVersion v17.06",
    docker="<25.0",
    tier="quirk",
)
def test_text_for_an_address_outside(create_raw, api, network, subnets):
    stranger = str(ipaddress.ip_network(subnets.ipv4())[9])
    step, answer = refusal(create_raw, api, wishing(network(), IPv4Address=stranger))
    expect_equal("the step and the status", ("start", 500), (step, answer.status))
    text = f"Invalid address {stranger}: It does not belong to any of this network's subnets"
    expect_in("the message", text, answer.message)


def with_address_outside(setup):
    for one in setup.containers:
        for end in one.endpoints:
            pools = setup.network(end.network).pools
            if end.ipv4 and pools and not any(pool.holds(end.ipv4) for pool in pools):
                why = f"its address {end.ipv4} is outside of {end.network}"
                yield one.effect("anew", why, "its create is refused, and not its start")


@behaviour(
    "ipam.static.outside-at-create",
    "An address outside the subnets MUST be refused at create: 400 `no configured subnet or "
    "ip-range contain the IP address <ip>`.",
    source="moby#46183 v25.0",
    docker=">=25.0",
    tier="quirk",
    replaces=("ipam.static.outside-at-start",),
    concerns=with_address_outside,
)
def test_text_for_an_address_outside_since_25(create_raw, api, network, subnets):
    stranger = str(ipaddress.ip_network(subnets.ipv4())[9])
    step, answer = refusal(create_raw, api, wishing(network(), IPv4Address=stranger))
    expect_equal("the step and the status", ("create", 400), (step, answer.status))
    text = f"no configured subnet or ip-range contain the IP address {stranger}"
    expect_in("the message", text, answer.message)


@behaviour(
    "ipam.static.unparsable",
    "A container MUST NOT be created with an address that is none.",
    source="moby daemon verifyNetworkingConfig v17.03",
)
@pytest.mark.parametrize("word", ["hello", "10.0.0.300", "10.0.0.5/24"])
def test_unparsable_address_is_refused_at_create(create_raw, network, word):
    answer = create_raw(wishing(network(), IPv4Address=word))
    if answer.status == 201:
        violated("the answer", expected="a refusal", actual="the container is made")


@behaviour(
    "ipam.static.other-family",
    "A container MUST NOT be created with an IPv6 address in the place of its IPv4 address.",
    source="moby daemon verifyNetworkingConfig v17.03",
)
def test_address_of_the_other_family_is_refused_at_create(create_raw, network):
    answer = create_raw(wishing(network(), IPv4Address="fd00::1"))
    if answer.status == 201:
        violated("the answer", expected="a refusal", actual="the container is made")


@behaviour(
    "ipam.static.unparsable-text",
    "An address that is none MUST be refused at create with 400 and `invalid IPv4 address: <ip>`.",
    source="moby daemon verifyNetworkingConfig v17.03",
    tier="quirk",
)
def test_text_for_an_unparsable_address(create_raw, network):
    answer = create_raw(wishing(network(), IPv4Address="hello"))
    expect_equal("the status", 400, answer.status)
    expect_in("the message", "invalid IPv4 address: hello", answer.message)


@behaviour(
    "ipam.static.unchosen-subnet",
    "A container MUST NOT run with an address of its own choice on a network whose subnet nobody "
    "chose: 400 `only when connecting to networks with user configured subnets`.",
    source="moby daemon validateNetworkingConfig v17.03",
    tier="quirk",
)
def test_address_needs_a_subnet_that_was_chosen(create_raw, api, network):
    net = network(ipam=None)
    wish = str(ipaddress.ip_network(net.attrs["IPAM"]["Config"][0]["Subnet"])[9])
    _, answer = refusal(create_raw, api, wishing(net, IPv4Address=wish))
    expect_equal("the status", 400, answer.status)
    text = "only when connecting to networks with user configured subnets"
    expect_in("the message", text, answer.message)


@behaviour(
    "ipam.exhausted.start",
    "A start on a network without a free address MUST be refused, and MUST succeed when another "
    "container has left.",
    source="libnetwork endpoint.assignAddressVersion v17.06",
)
def test_start_waits_for_a_free_address(create, run, network, subnets):
    net, subnet = small(network, subnets)
    holders, late = filled(net, subnet, run), create(network_mode=net.name)
    expect_refused(late.start)
    freed = address_of(holders[2], net)
    holders[2].remove(force=True)
    late.start()
    expect_equal("the address", freed, address_of(late, net))


@behaviour(
    "ipam.exhausted.connect",
    "Connecting a running container to a network without a free address MUST be refused, and the "
    "container keeps the network that it has.",
    source="libnetwork endpoint.assignAddressVersion v17.06",
)
def test_connect_to_a_full_network_is_refused(run, network, subnets, inspect_network):
    net, subnet = small(network, subnets)
    holders, home = filled(net, subnet, run), network()
    container = run(network_mode=home.name)
    before = address_of(container, home)
    expect_refused(lambda: net.connect(container))
    expect_equal("the members", len(holders), len(inspect_network(net)["Containers"]))
    expect_equal("the address at home", before, address_of(container, home))


@behaviour(
    "ipam.exhausted.text",
    "A start on a full network MUST fail with 500, `no available IPv4 addresses on this network's "
    "address pools: <name> (<id>)` and exit code 128.",
    source="libnetwork endpoint.assignAddressVersion v17.06",
    tier="quirk",
)
def test_text_of_a_full_network(create, run, network, subnets, inspect):
    net, subnet = small(network, subnets)
    filled(net, subnet, run)
    late = create(network_mode=net.name)
    text = f"no available IPv4 addresses on this network's address pools: {net.name} ({net.id})"
    expect_api_error(late.start, 500, text)
    expect_equal("the exit code", 128, inspect(late)["State"]["ExitCode"])


@behaviour(
    "ipam.exhausted.chosen-address",
    "On a full network an address of one's own choice that is taken MUST be refused with 500 and "
    "`No available addresses on this pool`, not as one in use.",
    source=f"{ALLOCATOR}: getAddress looks first whether any bit is free",
    docker="<23.0",
    tier="quirk",
)
def test_text_for_a_chosen_address_on_a_full_network(run, network, subnets):
    net, subnet = small(network, subnets)
    filled(net, subnet, run)
    container, wish = run(network_mode="none"), str(subnet[3])
    container.client.networks.get("none").disconnect(container)
    text = "No available addresses on this pool"
    expect_api_error(lambda: net.connect(container, ipv4_address=wish), 500, text)


@behaviour(
    "ipam.link-local.on-the-interface",
    "Link-local addresses that a container asks for MUST be on its interface beside the one that "
    "the network gives it.",
    source="libnetwork CreateOptionIpam v17.06: llIPList",
)
def test_link_local_addresses_are_on_the_interface(create_raw, client, network, subnets, host):
    net, subnet = small(network, subnets)
    wish = ["169.254.7.7", "169.254.7.8"]
    container = created(create_raw, client, wishing(net, LinkLocalIPs=wish))
    container.start()
    container.reload()
    netns = host.netns_of(container.attrs["State"]["Pid"])
    expected = {f"{subnet[2]}/29", *(f"{address}/16" for address in wish)}
    expect_equal("the addresses of eth0", expected, set(netns.addresses("eth0")))


@behaviour(
    "ipam.link-local.others-refused",
    "A container MUST NOT run with a link-local address that is none.",
    source="libnetwork network.CreateEndpoint v17.06",
)
@pytest.mark.parametrize("word", ["hello", "10.1.1.1", "fd00::1"])
def test_other_addresses_are_not_link_local(create_raw, api, run, network, subnets, word):
    net, subnet = small(network, subnets)
    refusal(create_raw, api, wishing(net, LinkLocalIPs=[word]))
    expect_equal("the next address", str(subnet[2]), address_of(run(network_mode=net.name), net))


@behaviour(
    "ipam.link-local.refused-at-start",
    "A link-local address that is none MUST be refused at the start: 500 `invalid link local IP "
    "address: <ip>`.",
    source="libnetwork network.CreateEndpoint v17.06",
    docker="<25.0",
    tier="quirk",
)
def test_text_for_an_address_that_is_not_link_local(create_raw, api, network):
    step, answer = refusal(create_raw, api, wishing(network(), LinkLocalIPs=["10.1.1.1"]))
    expect_equal("the step and the status", ("start", 500), (step, answer.status))
    expect_in("the message", "invalid link local IP address: 10.1.1.1", answer.message)


@behaviour(
    "ipam.link-local.refused-as-invalid",
    "A link-local address that is none MUST be refused at the start as a wrong request: 400 "
    "`invalid link local IP address: <ip>`.",
    source="moby libnetwork network.CreateEndpoint v25.0",
    docker=">=25.0",
    tier="quirk",
    replaces=("ipam.link-local.refused-at-start",),
)
def test_text_for_an_address_that_is_not_link_local_since_25(create_raw, api, network):
    step, answer = refusal(create_raw, api, wishing(network(), LinkLocalIPs=["10.1.1.1"]))
    expect_equal("the step and the status", ("start", 400), (step, answer.status))
    expect_in("the message", "invalid link local IP address: 10.1.1.1", answer.message)
