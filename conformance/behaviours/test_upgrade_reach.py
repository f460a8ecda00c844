"""Names, links and ports of containers that an older release made, and who reaches whom."""

import contextlib
import re

from conformance.assertions import expect_equal, expect_in, expect_not_in, expect_true
from conformance.observe.dns import DnsClient
from conformance.observe.files import addresses_of
from conformance.observe.ports import host_port, ports_of
from conformance.observe.sockets import Sockets
from conformance.registry import behaviour
from conformance.upgraded import BLUE, CHOSEN_PORT, RED, USER_RULE

_OURS = re.compile(r"\b(?:10\.213|172\.17)\.\d+\.\d+\b(?!/(?:1|2)\d)")


def address_of(upgraded, role, network=RED):
    return upgraded.now.seen(role).endpoint(network)["IPAddress"]


def expect_names(upgraded, asker, names):
    """Expect that a container gets these addresses for these names."""
    with contextlib.closing(Sockets(upgraded.bench.host)) as sockets:
        dns, container = DnsClient(sockets), upgraded.container(asker)
        for name, address in names.items():
            expect_equal(f"{name} for {asker}", [address], dns.addresses(container, name))


@behaviour(
    "upgrade.names.resolve",
    "After an upgrade containers on a user network MUST be found under their names, their chosen "
    "aliases and their short ids.",
    source="libnetwork Network.addSvcRecords v20.10-v28; moby#46853 v25.0; users: libnetwork#1548",
    docker=">=23.0",
    needs=("own-daemon", "host-view"),
    bugs=("libnetwork#1548",),
)
def test_names_resolve(upgraded):
    first = address_of(upgraded, "first")
    names = {"first": first, "shop": first, upgraded.ids["first"][:12]: first}
    expect_names(upgraded, "always", names)
    pair = address_of(upgraded, "pair", BLUE)
    expect_names(upgraded, "fixed", {"second": pair})


def with_chosen_hostname(setup):
    for one in setup.containers:
        names = {one.name, *(alias for end in one.user_endpoints for alias in end.aliases)}
        is_new = one.has_chosen_hostname and one.hostname not in names
        if is_new and one.user_endpoints and setup.crosses("25.0"):
            why = f"it has the hostname {one.hostname}"
            yield one.effect("names", why, "its peers find it by that, too")


@behaviour(
    "upgrade.names.hostname",
    "After an upgrade a container MUST be found under its hostname by its peers.",
    source="moby daemon buildEndpointDNSNames v25.0",
    docker=">=25.0",
    needs=("own-daemon", "host-view"),
    concerns=with_chosen_hostname,
)
def test_hostnames_resolve(upgraded):
    expect_names(upgraded, "always", {"first-host": address_of(upgraded, "first")})


@behaviour(
    "upgrade.names.aliases-shown",
    "After an upgrade inspect MUST show the aliases that were chosen for a container.",
    source="moby EndpointSettings.Aliases v20.10-v28",
    docker=">=23.0",
    needs=("own-daemon",),
)
def test_aliases_are_shown(upgraded):
    for role, network, alias in (("first", RED, "shop"), ("pair", BLUE, "second")):
        shown = upgraded.now.seen(role).endpoint(network)["Aliases"]
        expect_in(f"the aliases of {role}", alias, shown or [])


@behaviour(
    "upgrade.links.legacy",
    "After an upgrade a container with a link on the network `bridge` MUST have its target's "
    "address of now in its /etc/hosts.",
    source="moby daemon.registerLinks, buildSandboxOptions v20.10-v28",
    docker=">=23.0",
    needs=("own-daemon",),
)
def test_legacy_links_hold(upgraded):
    text = upgraded.bench.exec_in(upgraded.container("linker"), "cat", "/etc/hosts").stdout
    target = address_of(upgraded, "plain", "bridge")
    expect_equal("the addresses of the link", [target], addresses_of(text, "store"))


@behaviour(
    "upgrade.links.user",
    "After an upgrade a link on a user network MUST resolve to its target for the linker.",
    source="moby EndpointSettings.Links v20.10-v28",
    docker=">=23.0",
    needs=("own-daemon", "host-view"),
)
def test_user_links_hold(upgraded):
    expect_names(upgraded, "user-linker", {"store": address_of(upgraded, "first")})


@behaviour(
    "upgrade.files.hosts",
    "After an upgrade a container MUST have its addresses of now in its /etc/hosts, and no other "
    "ones of its networks.",
    source="libnetwork sandbox.updateHostsFile v20.10-v28",
    docker=">=23.0",
    needs=("own-daemon",),
)
def test_hosts_files_are_written_anew(upgraded):
    for role, networks in (("first", [RED]), ("fixed", [RED, BLUE])):
        text = upgraded.bench.exec_in(upgraded.container(role), "cat", "/etc/hosts").stdout
        wanted = sorted(address_of(upgraded, role, network) for network in networks)
        expect_equal(f"those of {role}", wanted, sorted(addresses_of(text, f"{role}-host")))


@behaviour(
    "upgrade.ports.chosen",
    "After an upgrade a published port MUST lead to its container: the chosen one, from the "
    "engine's own addresses and from a container at the gateway of its network.",
    source="libnetwork drivers/bridge, portmapper v20.10-v28; users: moby#49536",
    docker=">=23.0",
    needs=("own-daemon", "host-view"),
    bugs=("moby#49536",),
)
def test_chosen_port_leads_on(upgraded):
    with ports_of(upgraded.bench.host) as ports:
        ports.answer(upgraded.container("plain"), 80, "plain")
        for where, address in ((None, "127.0.0.1"), (None, "10.213.1.1"), ("first", "10.213.1.1")):
            asker = upgraded.container(where) if where else None
            answer = ports.ask(asker, address, int(CHOSEN_PORT))
            expect_equal(f"the answer at {address} for {where or 'the engine'}", "plain", answer)


def with_ports_of_the_engines_choice(setup):
    for one in setup.containers:
        for key, wanted in one.ports.items():
            if one.has_own_network and any(port in ("", "0") or "-" in port for _, port in wanted):
                why = f"the engine chose the port for {key}"
                yield one.effect("ports", why, "it can be another", is_certain=False)


@behaviour(
    "upgrade.ports.engines-choice",
    "After an upgrade a port whose number the engine chose MUST lead to its container under the "
    "number that inspect shows now.",
    source="libnetwork portallocator v20.10-v28",
    docker=">=23.0",
    needs=("own-daemon", "host-view"),
    concerns=with_ports_of_the_engines_choice,
)
def test_port_of_the_engines_choice_leads_on(upgraded):
    container = upgraded.container("published")
    with ports_of(upgraded.bench.host) as ports:
        ports.answer(container, 80, "published")
        answer = ports.ask(None, "127.0.0.1", host_port(container, "80/tcp"))
        expect_equal("the answer", "published", answer)


@behaviour(
    "upgrade.rules.current",
    "After an upgrade no rule of the firewall MUST name an address of a container that no "
    "container has.",
    source="moby daemon releaseNetwork at shutdown; moby#49518 removes rules of older releases",
    docker=">=23.0",
    needs=("own-daemon", "host-view"),
)
def test_no_rule_is_left_of_before(upgraded):
    bench = upgraded.bench
    known = {"10.213.5.254"}
    for listed in bench.client.api.networks():
        document = bench.inspect_network(listed["Id"])
        for member in (document.get("Containers") or {}).values():
            known.add(member["IPv4Address"].partition("/")[0])
    named = {rule: set(_OURS.findall(rule)) for rule in bench.host.daemon_netns().rules()}
    expect_true("there are rules with addresses of before", any(named.values()))
    left = [rule for rule, addresses in named.items() if addresses - known]
    expect_equal("the rules for nobody", [], left)


@behaviour(
    "upgrade.rules.users",
    "A rule of a user in the chain DOCKER-USER MUST be there after an upgrade, and MUST be asked "
    "before any rule of the engine.",
    source="moby daemon/libnetwork setupUserChain v20.10-v28; moby#49518; users: moby#49511",
    docker=">=23.0",
    needs=("own-daemon", "host-view"),
    bugs=("moby#49511",),
)
def test_rule_of_a_user_is_kept(upgraded):
    rules = upgraded.bench.host.daemon_netns().rules()
    source = USER_RULE[3].partition("/")[0]
    users = [r for r in rules if "DOCKER-USER:" in r]
    expect_true("the rule is first in its chain", users and source in users[0])
    forward = [
        r for r in rules if "filter: " in r and "FORWARD:" in r and "DOCKER-FORWARD:" not in r
    ]
    expect_in("the first rule of FORWARD", "DOCKER-USER", (forward or ["none"])[0])


@behaviour(
    "upgrade.reach.peers",
    "After an upgrade containers of one network MUST reach each other, on each of their networks "
    "and on an internal one.",
    source="libnetwork drivers/bridge v20.10-v28",
    docker=">=23.0",
    needs=("own-daemon", "host-view"),
)
def test_peers_reach_each_other(upgraded):
    newcomers = {mode: upgraded.bench.run(network_mode=mode) for mode in ("bridge", "n-inner")}
    flows = [
        (upgraded.container("first"), "fixed", RED),
        (upgraded.container("pair"), "fixed", BLUE),
        (newcomers["bridge"], "plain", "bridge"),
        (newcomers["n-inner"], "inner", "n-inner"),
    ]
    with contextlib.closing(Sockets(upgraded.bench.host)) as sockets:
        for asker, role, network in flows:
            address = address_of(upgraded, role, network)
            server = sockets.serve(upgraded.container(role), address)
            outcome = sockets.outcome(asker, address, server.getsockname()[1], timeout_s=5)
            expect_equal(f"{role} on {network}", "connected", outcome)


@behaviour(
    "upgrade.reach.isolated",
    "After an upgrade a container MUST NOT reach one of another network, nor an internal one.",
    source="libnetwork drivers/bridge setupIsolation v20.10-v28",
    docker=">=23.0",
    needs=("own-daemon", "host-view"),
)
def test_networks_are_apart(upgraded):
    with contextlib.closing(Sockets(upgraded.bench.host)) as sockets:
        for role, network in (("ranged", "n-ranged"), ("inner", "n-inner"), ("plain", "bridge")):
            address = address_of(upgraded, role, network)
            server = sockets.serve(upgraded.container(role), address)
            port = server.getsockname()[1]
            near = sockets.outcome(None, address, port)
            expect_equal(f"{role} for the machine", "connected", near)
            outcome = sockets.outcome(upgraded.container("first"), address, port)
            expect_not_in(f"{role} for first", outcome, ("connected", "refused"))
