"""Default mode: no network mode given, so the container is put on the network `bridge`."""

from conformance.assertions import expect_equal
from conformance.registry import behaviour


@behaviour(
    "init.default.bridge-network",
    "A container created without a network mode MUST be put on the network `bridge`, alone.",
    source="seed allocateNetwork: updateContainerNetworkSettings; runconfig DefaultNetwork",
)
def test_default_mode_uses_the_network_bridge(run):
    container = run()
    networks = container.attrs["NetworkSettings"]["Networks"]
    expect_equal("the networks of the container", ["bridge"], sorted(networks))


@behaviour(
    "init.default.interface-matches-inspect",
    "The running container MUST have an eth0 with the address, the prefix length and the MAC "
    "address that inspect reports, and a default route via the reported gateway.",
    source="seed allocateNetwork: connectToNetwork; moby daemon UpdateJoinInfo v17.03",
)
def test_interface_is_what_inspect_reports(run, host):
    container = run()
    reported = container.attrs["NetworkSettings"]["Networks"]["bridge"]
    netns = host.netns_of(container.attrs["State"]["Pid"])
    address = f"{reported['IPAddress']}/{reported['IPPrefixLen']}"
    expect_equal("eth0's addresses", [address], netns.addresses("eth0"))
    expect_equal("eth0's MAC address", reported["MacAddress"], netns.mac("eth0"))
    expect_equal("the default route's gateway", reported["Gateway"], netns.default_gateway())
