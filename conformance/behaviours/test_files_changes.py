"""The lines of /etc/hosts and resolv.conf that a container's networks add and take away."""

from conformance.assertions import expect_equal, expect_not_in
from conformance.impact.setup import nobody
from conformance.observe.files import addresses_of, parse_hosts, parse_resolv_conf
from conformance.observe.sockets import address_in
from conformance.registry import behaviour


def hosts_of(exec_in, container):
    return exec_in(container, "cat", "/etc/hosts").stdout


def addresses_in_hosts(exec_in, container):
    return [line.address for line in parse_hosts(hosts_of(exec_in, container))]


@behaviour(
    "files.hosts.left-network",
    "When a container leaves a network live, no line of its /etc/hosts MUST have the address that "
    "it had there.",
    source="libnetwork sandbox deleteHostsEntries v17.06",
    bugs=("moby#17342", "podman#13533"),
)
def test_no_line_of_a_left_network(run, network, exec_in):
    first, second = network(), network()
    container = run(network_mode=first.name)
    second.connect(container)
    for net in (second, first):
        address = address_in(container, net)
        net.disconnect(container)
        found = addresses_in_hosts(exec_in, container)
        expect_not_in("the addresses", address, found)


@behaviour(
    "files.hosts.left-network-dotted",
    "When a container with a dotted hostname leaves a network live, the line with its address "
    "there MUST go, and its line of another network MUST stay.",
    source="moby PR 48857, v28.0",
    docker=">=28.0",
    bugs=("moby#34044",),
    concerns=nobody,
)
def test_dotted_hostname_of_a_left_network(run, network, exec_in):
    first, second = network(), network()
    container = run(network_mode=first.name, hostname="alpha.example.org")
    second.connect(container)
    stays, goes = address_in(container, first), address_in(container, second)
    second.disconnect(container)
    found = addresses_of(hosts_of(exec_in, container), "alpha.example.org")
    expect_not_in("the addresses of the hostname", goes, found)
    expect_equal("the addresses of the hostname", [stays], found)


@behaviour(
    "files.hosts.no-final-newline",
    "A line that a container wrote into its /etc/hosts without a newline at its end MUST NOT be "
    "joined with the next one that the engine adds.",
    source="hosts(5): one line per address",
    bugs=("podman#22729",),
)
def test_line_without_a_newline_stays_a_line(run, network, exec_in):
    first, second = network(), network()
    container = run(network_mode=first.name, hostname="alpha")
    exec_in(container, "sh", "-c", "printf '192.0.2.7 mine' >> /etc/hosts")
    second.connect(container)
    text = hosts_of(exec_in, container)
    expect_equal("the line of the container", ["192.0.2.7"], addresses_of(text, "mine"))
    wanted = sorted(address_in(container, net) for net in (first, second))
    expect_equal("the own lines", wanted, sorted(addresses_of(text, "alpha")))


@behaviour(
    "files.hosts.own-line-ipv6",
    "On a network with IPv6 the hostname MUST stand in /etc/hosts with the container's IPv4 and "
    "with its IPv6 address.",
    source="libnetwork sandbox updateHostsFile v20.10",
    docker=">=20.10",
    bugs=("moby#13228",),
)
def test_own_lines_of_both_families(run, ipv6_network, exec_in):
    net = ipv6_network()
    container = run(network_mode=net.name, hostname="alpha")
    fields = ("IPAddress", "GlobalIPv6Address")
    wanted = sorted(address_in(container, net, field) for field in fields)
    found = addresses_of(hosts_of(exec_in, container), "alpha")
    expect_equal("the addresses of the hostname", wanted, sorted(found))


@behaviour(
    "files.resolv-conf.user-ndots-zero",
    "The option `ndots:0` of a container MUST stand in its resolv.conf once.",
    source="moby#37349, v19.03: libnetwork sandbox rebuildDNS",
    bugs=("moby#37349",),
)
def test_ndots_zero_is_written_once(run, network, exec_in):
    container = run(network_mode=network().name, dns_opt=["ndots:0"])
    text = exec_in(container, "cat", "/etc/resolv.conf").stdout
    expect_equal("the options", ("ndots:0",), parse_resolv_conf(text).options)
