"""Everything again: containers and networks under names that others had, and many at once."""

from conformance.assertions import expect_equal, expect_hex_id, expect_not_in, expect_true
from conformance.observe.sockets import address_in
from conformance.registry import behaviour

NETWORKS = 9


def netns_of(host, container):
    container.reload()
    return host.netns_of(container.attrs["State"]["Pid"])


def end_by_force(container):
    container.remove(force=True)


def end_by_stop(container):
    container.stop(timeout=0)
    container.remove()


def end_after_rename(container):
    container.rename(f"{container.name}-old")
    container.kill()
    container.wait(timeout=30)
    container.remove()


@behaviour(
    "create.anew.same-name",
    "A container that is made anew under the name of one that was removed MUST run on the same "
    "networks with the same chosen addresses, however the former one ended, and each network has "
    "it alone.",
    source="moby daemon cleanupContainer, releaseNetwork v17.03",
    bugs=("moby#33156",),
)
def test_name_and_addresses_are_had_again(
    create, start, network, inspect_network, new_name, subnets
):
    name = new_name("container")
    nets, wanted = [], {}
    for number in (44, 55):
        subnet = subnets.ipv4()
        nets.append(network(subnet=subnet))
        wanted[nets[-1].name] = f"{subnet.rpartition('.')[0]}.{number}"
    for end in (end_by_force, end_by_stop, end_after_rename, end_by_force):
        container = create(name=name, network=nets[0].name)
        nets[0].disconnect(container)
        for net in nets:
            net.connect(container, ipv4_address=wanted[net.name])
        start(container)
        found = {net.name: address_in(container, net) for net in nets}
        expect_equal("the addresses", wanted, found)
        for net in nets:
            expect_equal("the members", [container.id], list(inspect_network(net)["Containers"]))
        end(container)


@behaviour(
    "sandbox.interface.many-networks",
    "A container on nine networks MUST have an interface on each, with the address that inspect "
    "shows, after a start and after it left every second one and was connected again.",
    source="moby daemon allocateNetwork v17.03; interfaces beyond eth7",
)
def test_container_on_many_networks(create, network, host):
    nets = [network() for _ in range(NETWORKS)]
    container = create(network=nets[0].name)
    for net in nets[1:]:
        net.connect(container)
    container.start()
    expect_every_interface(host, container, nets)
    for net in nets[::2]:
        net.disconnect(container)
    expect_every_interface(host, container, nets[1::2])
    for net in reversed(nets[::2]):
        net.connect(container)
    expect_every_interface(host, container, nets)


def expect_every_interface(host, container, nets):
    """Expect one interface for each network, with its address."""
    netns = netns_of(host, container)
    addresses = sorted(
        info["local"]
        for link in netns.ip("-4", "addr", "show")
        for info in link["addr_info"]
        if link["ifname"] != "lo"
    )
    expect_equal("the addresses", sorted(address_in(container, net) for net in nets), addresses)
    expect_equal("the number of links", len(nets) + 1, len(netns.links()))


@behaviour(
    "network.reference.name-first",
    "A network whose name is the beginning of another network's id MUST be the one that this name "
    "leads to: at create, at connect, at inspect and at its removal.",
    source="moby daemon FindNetwork v17.03: full id, then name, then part of an id",
    bugs=("compose#9496",),
)
def test_name_comes_before_a_part_of_an_id(network, run, api, inspect_network):
    other = network()
    expect_hex_id("the id", other.id)
    named = network(other.id[:12])
    expect_equal("its name", other.id[:12], named.name)
    expect_equal("what inspect finds", named.id, inspect_network(named.name)["Id"])
    container = run(network=named.name)
    networks = container.attrs["NetworkSettings"]["Networks"]
    expect_equal("where it is", named.id, networks[named.name]["NetworkID"])
    second = run()
    answer = api("POST", f"/networks/{named.name}/connect", {"Container": second.id})
    expect_equal("the status of connect", 200, answer.status)
    members = sorted(inspect_network(named.id)["Containers"])
    expect_equal("the members", sorted((container.id, second.id)), members)
    for one in (container, second):
        one.remove(force=True)
    expect_equal("the removal", 204, api("DELETE", f"/networks/{named.name}").status)
    expect_equal("what is left", other.id, inspect_network(other.id[:12])["Id"])


@behaviour(
    "network.remove.by-reference",
    "A network MUST be removed by its name, by its id and by a part of that, and its name and its "
    "subnet MUST be free for the next one at once.",
    source="moby daemon DeleteNetwork v17.03",
)
def test_network_is_removed_by_any_reference(network, new_name, subnets, api, client):
    name, subnet = new_name("network"), subnets.ipv4()
    for form in ("name", "id", "part"):
        net = network(name, subnet=subnet)
        reference = {"name": name, "id": net.id, "part": net.id[:12]}[form]
        answer = api("DELETE", f"/networks/{reference}")
        expect_equal(f"the status of the removal by {form}", 204, answer.status)
        expect_not_in("the networks", name, [one.name for one in client.networks.list()])
        expect_true("its id leads nowhere", api("GET", f"/networks/{net.id}").status == 404)
