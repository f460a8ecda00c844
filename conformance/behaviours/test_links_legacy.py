"""Legacy links: lines in the hosts file and variables in the environment of the linker."""

from itertools import pairwise

from conformance.assertions import (
    expect_equal,
    expect_fields,
    expect_in,
    expect_not_equal,
    expect_refused,
)
from conformance.observe.files import addresses_of
from conformance.registry import behaviour


def address_of(container):
    container.reload()
    return container.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]


def occupy(run, address):
    """Start containers until one has the address, three at most."""
    for _ in range(3):
        if address_of(run()) == address:
            return


def come_back_elsewhere(run, container):
    """Stop a container and start it while another one has its address; give its new one.

    Others who are at work on the engine may free a lower address, which is given first, and free
    the container's own before it starts: then it is tried again.
    """
    before = address_of(container)
    for _ in range(5):
        container.stop(timeout=0)
        occupy(run, before)
        container.start()
        if address_of(container) != before:
            break
    expect_not_equal("the target's address", before, address_of(container))
    return address_of(container)


def hosts_of(exec_in, container):
    return exec_in(container, "cat", "/etc/hosts").stdout


def run_exposing(workbench, *ports):
    answer = workbench.create_raw({"ExposedPorts": {port: {} for port in ports}})
    container = workbench.client.containers.get(answer.json()["Id"])
    container.start()
    return container


def environment_of(exec_in, container):
    pairs = (line.partition("=") for line in exec_in(container, "env").lines)
    return {name: value for name, _, value in pairs}


@behaviour(
    "links.legacy.hosts-line",
    "A legacy link MUST put the line `<address>\\t<alias> <hostname> <name>` of its target into "
    "the linker's /etc/hosts.",
    source="moby daemon buildSandboxOptions v17.06",
)
def test_link_is_a_line_in_the_hosts_file(run, exec_in):
    target = run(hostname="thost")
    linker = run(links={target.name: "peer"})
    lines = hosts_of(exec_in, linker).splitlines()
    expect_in("the lines", f"{address_of(target)}\tpeer thost {target.name}", lines)
    ping = exec_in(linker, "ping", "-c", "1", "-W", "2", "peer")
    expect_equal("a ping by the alias", 0, ping.exit_code)


@behaviour(
    "links.legacy.hosts-line-own-name",
    "A legacy link whose alias is its target's name MUST put that name into its line once.",
    source="moby daemon buildSandboxOptions v17.06",
)
def test_name_as_alias_is_written_once(run, exec_in):
    target = run(hostname="thost")
    linker = run(links={target.name: target.name})
    lines = hosts_of(exec_in, linker).splitlines()
    expect_in("the lines", f"{address_of(target)}\t{target.name} thost", lines)


def legacy_links(setup):
    """Give each container with a link on the default network, and the link's target."""
    every = {one.name: one for one in setup.containers}
    for one in setup.containers:
        for link in one.links:
            target = every.get(link.partition(":")[0].lstrip("/"))
            if target:
                yield one, target


def exposed(target):
    """Give the ports of a target as a link shows them: (number, protocol), sorted."""
    ports = (port.partition("/") for port in {*target.exposed, *target.ports})
    return sorted((int(number), kind or "tcp") for number, _, kind in ports if number.isdigit())


def with_mixed_links(setup):
    for one, target in legacy_links(setup):
        ports = exposed(target)
        if ports and ports[0][1] != "tcp" and any(kind == "tcp" for _, kind in ports):
            why = f"{target.name}, to which it has a link, exposes UDP below TCP"
            yield one.effect("environment", why, "the port that stands for the link is another")


@behaviour(
    "links.legacy.environment-ports",
    "A legacy link MUST add `<ALIAS>_PORT` for the target's lowest exposed port, and for each one "
    "`<ALIAS>_PORT_<n>_<PROTO>` with `_ADDR`, `_PORT` and `_PROTO`.",
    source="moby daemon/links Link.ToEnv v17.06",
    concerns=with_mixed_links,
)
def test_link_adds_ports_to_the_environment(workbench, run, exec_in):
    target = run_exposing(workbench, "80/tcp", "53/udp")
    found = environment_of(exec_in, run(links={target.name: "the-peer"}))
    address = address_of(target)
    wanted = {
        "THE_PEER_PORT": f"udp://{address}:53",
        "THE_PEER_PORT_53_UDP": f"udp://{address}:53",
        "THE_PEER_PORT_80_TCP": f"tcp://{address}:80",
        "THE_PEER_PORT_80_TCP_ADDR": address,
        "THE_PEER_PORT_80_TCP_PORT": "80",
        "THE_PEER_PORT_80_TCP_PROTO": "tcp",
    }
    expect_fields("the environment", wanted, found)


def with_linked_ranges(setup):
    for one, target in legacy_links(setup):
        ports = exposed(target)
        if any(after == (port[0] + 1, port[1]) for port, after in pairwise(ports)):
            why = f"{target.name}, to which it has a link, exposes ports in a row"
            yield one.effect("environment", why, "the variables of ranges are others")


@behaviour(
    "links.legacy.environment-port-range",
    "Three or more exposed ports in a row MUST be announced as a range, too: "
    "`<ALIAS>_PORT_<n>_<PROTO>_START`, `_END`, `_PORT_START` and `_PORT_END`.",
    source="moby daemon/links Link.ToEnv, nextContiguous v17.06",
    concerns=with_linked_ranges,
)
def test_ports_in_a_row_are_a_range(workbench, run, exec_in):
    ports = (8000, 8001, 8002, 9000, 9001)
    target = run_exposing(workbench, *(f"{port}/tcp" for port in ports))
    found = environment_of(exec_in, run(links={target.name: "peer"}))
    wanted = {
        "PEER_PORT_8000_TCP_START": f"tcp://{address_of(target)}:8000",
        "PEER_PORT_8000_TCP_END": f"tcp://{address_of(target)}:8002",
        "PEER_PORT_8000_TCP_PORT_START": "8000",
        "PEER_PORT_8000_TCP_PORT_END": "8002",
        "PEER_PORT_8002_TCP_PORT": "8002",
        "PEER_PORT_9000_TCP_START": None,
    }
    expect_fields("the environment", wanted, found)


@behaviour(
    "links.legacy.environment-of-target",
    "A legacy link MUST add `<ALIAS>_NAME`, which is `/<linker>/<alias>`, and `<ALIAS>_ENV_<name>` "
    "for each variable of the target but HOME and PATH.",
    source="moby daemon/links Link.ToEnv v17.06",
    bugs=("moby#14606",),
)
def test_link_adds_name_and_variables_to_the_environment(run, exec_in):
    target = run(environment={"COLOUR": "red=blue", "HOME": "/x", "PATH": "/bin"})
    linker = run(links={target.name: "peer"})
    found = environment_of(exec_in, linker)
    wanted = {
        "PEER_NAME": f"/{linker.name}/peer",
        "PEER_ENV_COLOUR": "red=blue",
        "PEER_ENV_HOME": None,
        "PEER_ENV_PATH": None,
    }
    expect_fields("the environment", wanted, found)


@behaviour(
    "links.legacy.address-updated",
    "When the target of a legacy link comes back with another address, the linker's line MUST get "
    "that address at once.",
    source="moby daemon buildSandboxOptions: OptionParentUpdate v17.06",
)
def test_linkers_line_follows_the_target(run, exec_in):
    target = run()
    linker = run(links={target.name: "peer"})
    after = come_back_elsewhere(run, target)
    text = hosts_of(exec_in, linker)
    expect_equal("the alias's addresses", [after], addresses_of(text, "peer"))
    expect_equal("a ping", 0, exec_in(linker, "ping", "-c", "1", "-W", "2", "peer").exit_code)


@behaviour(
    "links.legacy.target-stopped",
    "A container with a link to one that does not run MUST fail to start.",
    source="moby daemon setupLinkedContainers v17.06",
)
def test_stopped_target_fails_the_start(create):
    target = create()
    linker = create(links={target.name: "peer"})
    expect_refused(linker.start)


@behaviour(
    "links.legacy.target-unknown",
    "A link to a container that does not exist MUST be refused at create.",
    source="moby daemon registerLinks v20.10",
)
def test_unknown_target_is_refused(create_raw, new_name):
    missing = new_name("missing")
    expect_refused(lambda: create_raw({"HostConfig": {"Links": [f"{missing}:peer"]}}))


@behaviour(
    "links.legacy.target-elsewhere",
    "A link to a container that is not on the default network MUST fail the start.",
    source="moby daemon isLinkable v17.06",
)
def test_target_on_another_network_fails_the_start(create, run, network):
    target = run(network_mode=network().name)
    linker = create(links={target.name: "peer"})
    expect_refused(linker.start)


@behaviour(
    "links.legacy.target-in-host-mode",
    "A link to a container in host mode MUST be refused at create.",
    source="moby daemon registerLinks v20.10",
)
def test_target_in_host_mode_is_refused(run, create_raw):
    target = run(network_mode="host")
    expect_refused(lambda: create_raw({"HostConfig": {"Links": [f"{target.name}:peer"]}}))


@behaviour(
    "links.legacy.malformed",
    "A link of more than two parts MUST be refused.",
    source="moby opts.ParseLink v17.06",
)
def test_malformed_link_is_refused(run, create_raw):
    link = f"{run().name}:b:c"
    expect_refused(lambda: create_raw({"HostConfig": {"Links": [link]}}))


@behaviour(
    "links.legacy.target-is-joiner",
    "A link to a joiner MUST be one to the container whose network it shares.",
    source="moby daemon registerLinks v17.06",
    tier="quirk",
)
def test_link_to_a_joiner_leads_to_its_target(run, exec_in, inspect):
    target = run(hostname="thost")
    joiner = run(network_mode=f"container:{target.id}")
    linker = run(links={joiner.name: "peer"})
    text = hosts_of(exec_in, linker)
    expect_equal("the addresses", [address_of(target)], addresses_of(text, "peer"))
    links = inspect(linker)["HostConfig"]["Links"]
    expect_equal("the links", [f"/{target.name}:/{linker.name}/peer"], links)


def with_several_links(setup):
    for one in setup.containers:
        if len(one.links) > 1:
            why = f"it has {len(one.links)} legacy links"
            yield one.effect("later", why, "removing one takes the others from its hosts file, too")


@behaviour(
    "links.legacy.removed",
    "`DELETE /containers/<linker>/<alias>?link=1` MUST take the link's line out of the linker's "
    "/etc/hosts; its other links stay.",
    source="moby daemon/delete.go rmLink v17.06",
    bugs=("moby#49778",),
    concerns=with_several_links,
)
def test_removed_link_leaves_the_hosts_file(run, exec_in, inspect, client):
    target = run()
    linker = run(links=[(target.name, "one"), (target.name, "two")])
    client.api.remove_container(f"{linker.name}/one", link=True)
    text = hosts_of(exec_in, linker)
    expect_equal("the removed alias", [], addresses_of(text, "one"))
    expect_equal("the other alias", [address_of(target)], addresses_of(text, "two"))
    expect_equal("the own line", 1, len(addresses_of(text, linker.attrs["Config"]["Hostname"])))
    links = inspect(linker)["HostConfig"]["Links"]
    expect_equal("the links", [f"/{target.name}:/{linker.name}/two"], links)


@behaviour(
    "links.legacy.removed-unknown",
    "Removing a link that is not there MUST be refused, and MUST leave the linker its links.",
    source="moby daemon/delete.go rmLink v17.06",
)
def test_unknown_link_cannot_be_removed(run, create, inspect, api):
    linker = create(links={run().name: "peer"})
    before = inspect(linker)["HostConfig"]["Links"]
    expect_refused(lambda: api("DELETE", f"/containers/{linker.name}/nope?link=1"))
    expect_equal("the links", before, inspect(linker)["HostConfig"]["Links"])


@behaviour(
    "links.legacy.removed-text",
    "The removal of a link MUST be answered with 204, that of one that is not there with 404.",
    source="moby daemon/delete.go rmLink v17.06",
    tier="quirk",
)
def test_statuses_of_a_links_removal(run, create, api):
    path = f"/containers/{create(links={run().name: 'peer'}).name}/peer?link=1"
    statuses = [api("DELETE", path).status for _ in range(2)]
    expect_equal("the statuses of the first and the second removal", [204, 404], statuses)


@behaviour(
    "links.legacy.alias-is-a-name",
    "`<linker>/<alias>` MUST be a name of the target: inspect finds it, the list shows it, and it "
    "goes with the link.",
    source="moby daemon registerLink: ReserveName v17.06",
)
def test_alias_is_a_name_of_the_target(run, api, client):
    target = run()
    linker = run(links={target.name: "peer"})
    path = f"/containers/{linker.name}/peer"
    found = api("GET", f"{path}/json")
    expect_equal("the status of an inspect", 200, found.status)
    expect_equal("who is found", target.id, found.json()["Id"])
    [row] = client.api.containers(filters={"id": target.id})
    names = {f"/{target.name}", f"/{linker.name}/peer"}
    expect_equal("the names", names, set(row["Names"]))
    api("DELETE", f"{path}?link=1")
    expect_refused(lambda: api("GET", f"{path}/json"))


@behaviour(
    "links.legacy.alias-taken",
    "Of two links with the same alias the first one MUST count.",
    source="moby daemon registerLink: a reserved name is left alone v17.06",
    tier="quirk",
)
def test_first_link_of_an_alias_counts(run, create_raw, inspect, new_name):
    targets = sorted((run() for _ in range(2)), key=lambda target: target.name)
    for first, second in (targets, targets[::-1]):
        name = new_name("linker")
        links = [f"{first.name}:peer", f"{second.name}:peer"]
        expect_equal(
            "the status", 201, create_raw({"HostConfig": {"Links": links}}, name=name).status
        )
        found = inspect(name)["HostConfig"]["Links"]
        expect_equal("the links", [f"/{first.name}:/{name}/peer"], found)


@behaviour(
    "links.legacy.names-follow-rename",
    "A link MUST follow the names of both ends: after a rename inspect shows the new ones, and the "
    "alias is found under the linker's new name alone.",
    source="moby daemon/rename.go v17.06",
    bugs=("moby#23973",),
)
def test_links_follow_a_rename(run, inspect, new_name, api):
    target = run()
    linker = run(links={target.name: "peer"})
    old, linker_name, target_name = linker.name, new_name("linker"), new_name("target")
    linker.rename(linker_name)
    target.rename(target_name)
    links = inspect(linker)["HostConfig"]["Links"]
    expect_equal("the links", [f"/{target_name}:/{linker_name}/peer"], links)
    found = api("GET", f"/containers/{linker_name}/peer/json")
    expect_equal("the status under the new name", 200, found.status)
    expect_refused(lambda: api("GET", f"/containers/{old}/peer/json"))


@behaviour(
    "links.legacy.target-removed",
    "A link whose target is removed MUST stay in inspect, and MUST keep the linker from starting "
    "again.",
    source="moby daemon linkIndex.delete v17.06: the parent's side stays",
)
def test_link_to_a_removed_container_stays(run, inspect):
    target = run()
    linker = run(links={target.name: "peer"})
    target.remove(force=True)
    links = inspect(linker)["HostConfig"]["Links"]
    expect_equal("the links", [f"/{target.name}:/{linker.name}/peer"], links)
    expect_refused(lambda: linker.restart(timeout=0))


@behaviour(
    "links.legacy.survives-the-engine",
    "Links MUST survive a restart of the engine.",
    source="moby daemon restore: registerLinks v17.06",
)
def test_links_survive_a_restart_of_the_engine(own_daemon):
    daemon = own_daemon()
    target, linker = daemon.create(), daemon.new_name("linker")
    linker = daemon.create(links={target.name: "peer"}, name=linker)
    daemon.engine.restart()
    links = daemon.inspect(linker)["HostConfig"]["Links"]
    expect_equal("the links", [f"/{target.name}:/{linker.name}/peer"], links)
    for container in (target, linker):
        daemon.client.containers.get(container.id).start()
    text = daemon.exec_in(linker, "cat", "/etc/hosts").stdout
    own = daemon.inspect(target)["NetworkSettings"]["IPAddress"]
    expect_equal("the alias", [own], addresses_of(text, "peer"))
