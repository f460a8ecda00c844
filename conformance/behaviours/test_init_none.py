"""None mode: a namespace of the container's own with nothing in it but `lo`."""

from conformance.assertions import expect_empty, expect_equal, expect_hex_id, expect_in
from conformance.registry import behaviour


@behaviour(
    "init.none.only-loopback",
    "A none-mode container MUST run in a namespace of its own that has only `lo`, up, and no "
    "route.",
    source="seed allocateNetwork with network `none`; libnetwork null driver",
)
def test_none_mode_has_only_loopback(run, host):
    container = run(network_mode="none")
    netns = host.netns_of(container.attrs["State"]["Pid"])
    links = netns.links()
    expect_equal("the links in the container", ["lo"], sorted(links))
    expect_in("lo's flags", "UP", links["lo"]["flags"])
    expect_equal("the routes in the container", [], netns.routes())


@behaviour(
    "init.none.endpoint-without-address",
    "A none-mode container MUST have exactly the network `none`, with an endpoint id, no address "
    "and no gateway, and MUST be listed in that network's inspect.",
    source="moby daemon connectToNetwork v17.03; libnetwork null driver",
)
def test_none_mode_has_an_endpoint_without_address(run, inspect_network):
    container = run(network_mode="none")
    networks = container.attrs["NetworkSettings"]["Networks"]
    expect_equal("the networks of the container", ["none"], sorted(networks))
    endpoint = networks["none"]
    expect_hex_id("the endpoint's id", endpoint["EndpointID"])
    for field in ("IPAddress", "Gateway", "MacAddress", "IPPrefixLen"):
        expect_empty(f"the endpoint's {field}", endpoint[field])
    expect_in("the members of `none`", container.id, inspect_network("none")["Containers"])
