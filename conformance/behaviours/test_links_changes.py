"""Legacy links: odd forms of a link, and links whose ends change or that are removed."""

import re

from conformance.assertions import expect_equal
from conformance.behaviours.test_links_icc import address_on, reaches, serve
from conformance.behaviours.test_links_legacy import come_back_elsewhere
from conformance.observe.files import addresses_of
from conformance.registry import behaviour


def address_of(container):
    container.reload()
    return address_on(container)


def routes_of(exec_in, container):
    """Give a container's routes, whatever the interface's number is."""
    return [
        re.sub(r"dev eth\d+", "dev eth", line) for line in exec_in(container, "ip", "route").lines
    ]


def addresses_in(exec_in, container, *names):
    """Give the addresses that each name has in a container's hosts file."""
    text = exec_in(container, "cat", "/etc/hosts").stdout
    return [addresses_of(text, name) for name in names]


@behaviour(
    "links.legacy.inspect-form",
    "A link in the form in which inspect shows it, `/<target>:/<linker>/<alias>`, MUST be taken at "
    "create for the link that it is.",
    source="docker opts.ParseLink v17.06: kept for what inspect gives",
)
def test_link_as_inspect_shows_it(run, exec_in, inspect, new_name):
    target, name = run(), new_name("linker")
    linker = run(links=[(f"/{target.name}", f"/{name}/peer")], name=name)
    shown = inspect(linker)["HostConfig"]["Links"]
    expect_equal("the links", [f"/{target.name}:/{name}/peer"], shown)
    expect_equal("the alias", [[address_of(target)]], addresses_in(exec_in, linker, "peer"))


@behaviour(
    "links.legacy.target-joins-a-joiner",
    "A link to a container that joins a joiner MUST lead to the container whose network they all "
    "share.",
    source="moby daemon registerLinks v17.06: followed until it is no container mode",
)
def test_link_to_a_joiner_of_a_joiner(run, exec_in, inspect):
    target = run()
    joiner = run(network_mode=f"container:{target.id}")
    last = run(network_mode=f"container:{joiner.id}")
    linker = run(links={last.name: "peer"})
    expect_equal("the alias", [[address_of(target)]], addresses_in(exec_in, linker, "peer"))
    links = inspect(linker)["HostConfig"]["Links"]
    expect_equal("the links", [f"/{target.name}:/{linker.name}/peer"], links)


@behaviour(
    "links.legacy.address-updated-alone",
    "When the target of a link comes back with another address, the lines of other links MUST stay "
    "as they are, also where their alias begins or ends with the same letters.",
    source="moby#19080, v1.10: libnetwork etchosts.Update",
    bugs=("moby#19080",),
)
def test_only_the_line_of_the_target_changes(run, exec_in):
    target, other = run(), run()
    aliases = ("db", "db2", "db-2", "mydb", "my-db")
    linker = run(links=[(target.name, "db"), *((other.name, alias) for alias in aliases[1:])])
    after, same = come_back_elsewhere(run, target), [address_of(other)]
    found = addresses_in(exec_in, linker, *aliases)
    expect_equal("the addresses", [[after], same, same, same, same], found)


@behaviour(
    "links.legacy.name-taken-over",
    "A link to a name that one container gave up by a rename and another one took MUST lead to the "
    "latter.",
    source="moby#10744, v1.6: daemon/rename.go",
    bugs=("moby#10744",),
)
def test_link_to_a_name_that_was_taken_over(run, exec_in, new_name):
    first = run()
    name = first.name
    first.rename(new_name("renamed"))
    second = run(name=name)
    linker = run(links={name: "peer"})
    expect_equal("the alias", [[address_of(second)]], addresses_in(exec_in, linker, "peer"))


@behaviour(
    "links.legacy.removed-keeps-network",
    "A running container that loses a link MUST keep its address and its routes, and reach its "
    "former target.",
    source="moby PR 49778, v28.1",
    bugs=("moby#49778",),
)
def test_removal_of_a_link_leaves_the_interface(run, exec_in, client):
    target = run()
    linker = run(links=[(target.name, "one"), (target.name, "two")])
    before = routes_of(exec_in, linker)
    for alias in ("one", "two"):
        client.api.remove_container(f"{linker.name}/{alias}", link=True)
        address = address_on(linker)
        expect_equal("the address in inspect", address, address_of(linker))
        expect_equal("the routes", before, routes_of(exec_in, linker))
        ping = exec_in(linker, "ping", "-c", "1", "-W", "2", address_of(target))
        expect_equal("a ping of the target", 0, ping.exit_code)


@behaviour(
    "links.legacy.removed-for-good",
    "A link that was removed MUST NOT be back after a restart of the engine, the last one of a "
    "container included.",
    source="moby daemon/delete.go rmLink v17.06",
)
def test_removed_links_stay_away(own_daemon):
    daemon = own_daemon()
    target = daemon.create()
    linkers = [
        daemon.create(links=[(target.name, alias) for alias in aliases])
        for aliases in (("one", "two"), ("one",))
    ]
    for linker in linkers:
        daemon.client.api.remove_container(f"{linker.name}/one", link=True)
    daemon.engine.restart()
    left, none = (daemon.inspect(linker)["HostConfig"]["Links"] for linker in linkers)
    expect_equal("the other link", [f"/{target.name}:/{linkers[0].name}/two"], left)
    expect_equal("the links of the one that has none", [], none or [])


@behaviour(
    "links.icc.hole-of-a-lost-link",
    "With `icc` off the hole of a link MUST close when the link is removed, and when the linker "
    "leaves the default network: whoever gets its address next does not reach the target.",
    source="libnetwork drivers/bridge/link.go, endpoint.sbLeave v17.06",
    needs=("icc-option",),
)
def test_hole_closes_without_the_link(own_daemon):
    daemon = own_daemon({"icc": False})
    target = serve(daemon)
    one, two = (daemon.run(links={target.name: "peer"}) for _ in range(2))
    for linker in (one, two):
        expect_equal("a linker", True, reaches(daemon, linker, "peer", 80))
    daemon.client.api.remove_container(f"{one.name}/peer", link=True)
    found = reaches(daemon, one, address_on(target), 80)
    expect_equal("the one that has lost its link", False, found)
    daemon.client.networks.get("bridge").disconnect(two)
    heir = next(x for x in (daemon.run() for _ in range(3)) if address_on(x) == address_on(two))
    expect_equal("the heir", False, reaches(daemon, heir, address_on(target), 80))
