"""The embedded DNS of user networks: names that a container gets late, or on several networks."""

from conformance.assertions import expect_equal, expect_refused
from conformance.observe.sockets import address_in
from conformance.registry import behaviour


@behaviour(
    "dns.changes.rename-before-start",
    "A container whose name was generated, and that was renamed before it was connected and "
    "started, MUST resolve by its new name, after a restart too.",
    source="moby daemon/rename.go v17.06: the endpoint is no longer anonymous",
    bugs=("moby#22466",),
)
def test_rename_of_a_created_container(create, run, network, dns, new_name):
    net, name = network(), new_name("renamed")
    asker, peer = run(network=net.name), create(name=None)
    peer.rename(name)
    net.connect(peer)
    peer.start()
    expect_equal("the addresses", [address_in(peer, net)], dns.addresses(asker, name))
    peer.restart(timeout=0)
    expect_equal("after a restart", [address_in(peer, net)], dns.addresses(asker, name))


@behaviour(
    "dns.changes.rename-to-itself",
    "A rename of a container to the name that it has MUST be refused; the name MUST go on "
    "resolving, and the container MUST be found by it.",
    source="moby#23319, v1.12: daemon/rename.go",
    bugs=("moby#23319",),
)
def test_rename_to_the_same_name(run, network, dns, inspect):
    net = network()
    asker, peer = run(network=net.name), run(network=net.name)
    name, address = peer.name, address_in(peer, net)
    expect_refused(lambda: peer.rename(name))
    expect_equal("the addresses", [address], dns.addresses(asker, name))
    expect_equal("who is found by the name", peer.id, inspect(name)["Id"])


@behaviour(
    "dns.alias.each-network",
    "On each of its networks a container MUST resolve by the alias that it has there, on those "
    "that it was connected to later as well as on the first.",
    source="libnetwork CreateOptionMyAlias v17.06",
    bugs=("podman#9492",),
)
def test_alias_on_each_network(run, network, dns):
    nets = [network(), network()]
    peer = run()
    for net, alias in zip(nets, ("one", "two"), strict=True):
        asker = run(network=net.name)
        net.connect(peer, aliases=[alias])
        expect_equal(alias, [address_in(peer, net)], dns.addresses(asker, alias))
