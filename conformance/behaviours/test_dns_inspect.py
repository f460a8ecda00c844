"""What a container's inspect says of its names on a network, in later releases."""

from conformance.assertions import expect_equal
from conformance.impact.setup import nobody
from conformance.registry import behaviour


def with_aliases(setup):
    for one in setup.containers:
        if one.user_endpoints:
            why = "it is on a user network"
            yield one.effect("shown", why, "its short id is no longer among its Aliases in inspect")


@behaviour(
    "dns.inspect.aliases-of-user",
    "`Aliases` in inspect MUST list the aliases that the user gave the endpoint, and no other "
    "name.",
    source="moby v26.0, API 1.45",
    docker=">=26.0",
    api=">=1.45",
    replaces=("dns.inspect.aliases",),
    concerns=with_aliases,
)
def test_inspect_lists_the_users_aliases(run, network, inspect):
    net, other = network(), network()
    container = run(network_mode=other.name, hostname="given")
    net.connect(container, aliases=["db", "store"])
    listed = inspect(container)["NetworkSettings"]["Networks"]
    expect_equal("the aliases", ["db", "store"], sorted(listed[net.name]["Aliases"] or []))
    expect_equal("the aliases on the other", [], listed[other.name]["Aliases"] or [])


@behaviour(
    "dns.inspect.names",
    "`DNSNames` in inspect MUST list the names that the endpoint has in the embedded DNS: the "
    "container's name, its aliases, its short id and the hostname that it was given.",
    source="moby v25.0, API 1.44: EndpointSettings.DNSNames",
    docker=">=25.0",
    api=">=1.44",
    concerns=nobody,
)
def test_inspect_lists_the_dns_names(run, network, inspect):
    net = network()
    container = run(hostname="given")
    net.connect(container, aliases=["db"])
    listed = inspect(container)["NetworkSettings"]["Networks"][net.name]["DNSNames"] or []
    expected = sorted([container.name, "db", container.id[:12], "given"])
    expect_equal("the names", expected, sorted(listed))


@behaviour(
    "dns.inspect.names-follow-rename",
    "`DNSNames` in inspect MUST have the new name of a container that was renamed, and not the old "
    "one.",
    source="moby v25.0 daemon/rename.go, API 1.44: EndpointSettings.DNSNames",
    docker=">=25.0",
    api=">=1.44",
    concerns=nobody,
)
def test_dns_names_follow_a_rename(run, network, inspect, new_name):
    net = network()
    container = run(network_mode=net.name)
    renamed = new_name("renamed")
    old = container.name
    container.rename(renamed)
    listed = inspect(container)["NetworkSettings"]["Networks"][net.name]["DNSNames"] or []
    expect_equal("the new name, the old name", (True, False), (renamed in listed, old in listed))
