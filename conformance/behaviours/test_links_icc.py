"""Networks whose containers must not talk to each other, and the holes that links make."""

from conformance.assertions import expect_equal, expect_not_equal
from conformance.observe.poll import eventually
from conformance.registry import behaviour

SERVE = "for port in 80 81; do httpd -p $port; done; trap 'exit 0' TERM; sleep 3600 & wait"


def address_on(container, network="bridge"):
    return container.attrs["NetworkSettings"]["Networks"][network]["IPAddress"]


def reaches(bench, container, address, port):
    """Tell whether a TCP connection from a container comes to be."""
    command = f"nc -w 1 {address} {port} </dev/null"
    return bench.exec_in(container, "sh", "-c", command).exit_code == 0


def serve(bench, **host_config):
    """Run a container that listens on two ports, of which it exposes one; return once it does."""
    body = {
        "Cmd": ["sh", "-c", SERVE],
        "ExposedPorts": {"80/tcp": {}},
        "HostConfig": host_config,
    }
    container = bench.client.containers.get(bench.create_raw(body).json()["Id"])
    container.start()
    container.reload()
    eventually("the server listens", lambda: listens(bench, container))
    return container


def listens(bench, container):
    return all(reaches(bench, container, "127.0.0.1", port) for port in (80, 81))


@behaviour(
    "links.icc.daemon-option-off",
    "With the engine's option `icc` off a container MUST NOT reach another one on the default "
    "network.",
    source="libnetwork drivers/bridge setIcc v17.06",
    needs=("icc-option",),
)
def test_icc_off_keeps_containers_apart(own_daemon):
    daemon = own_daemon({"icc": False})
    server, client = serve(daemon), daemon.run()
    expect_equal("TCP", False, reaches(daemon, client, address_on(server), 80))
    ping = daemon.exec_in(client, "ping", "-c", "1", "-W", "1", address_on(server))
    expect_equal("the ping's exit code", 1, ping.exit_code)
    gateway = client.attrs["NetworkSettings"]["Networks"]["bridge"]["Gateway"]
    ping = daemon.exec_in(client, "ping", "-c", "1", "-W", "2", gateway)
    expect_equal("the ping's exit code at the gateway", 0, ping.exit_code)


@behaviour(
    "links.icc.hole-for-link",
    "With `icc` off a linker MUST reach the exposed ports of its target, and no other port of it; "
    "the target MUST NOT reach the linker.",
    source="libnetwork drivers/bridge/link.go v17.06",
    needs=("icc-option",),
)
def test_link_opens_the_exposed_ports(own_daemon):
    daemon = own_daemon({"icc": False})
    target = serve(daemon)
    linker = serve(daemon, Links=[f"{target.name}:peer"])
    expect_equal("the exposed port", True, reaches(daemon, linker, "peer", 80))
    expect_equal("another port", False, reaches(daemon, linker, "peer", 81))
    expect_equal("the way back", False, reaches(daemon, target, address_on(linker), 80))
    stranger = daemon.run()
    expect_equal("a stranger", False, reaches(daemon, stranger, address_on(target), 80))


@behaviour(
    "links.icc.hole-closes",
    "With `icc` off the hole of a link MUST be closed when the linker stops: whoever gets its "
    "address next does not reach the target.",
    source="libnetwork drivers/bridge Leave, RevokeExternalConnectivity v17.06",
    needs=("icc-option",),
)
def test_hole_closes_with_the_linker(own_daemon):
    daemon = own_daemon({"icc": False})
    target = serve(daemon)
    linker = daemon.run(links={target.name: "peer"})
    address = address_on(linker)
    expect_equal("the linker", True, reaches(daemon, linker, "peer", 80))
    linker.remove(force=True)
    heir = next(x for x in (daemon.run() for _ in range(3)) if address_on(x) == address)
    expect_equal("the heir", False, reaches(daemon, heir, address_on(target), 80))


@behaviour(
    "links.icc.hole-after-restarts",
    "With `icc` off the hole of a link MUST lead to the target's new address once target and "
    "linker were restarted.",
    source="libnetwork drivers/bridge Join: the addresses of that moment v17.06",
    needs=("icc-option",),
)
def test_hole_leads_to_the_new_address(own_daemon):
    daemon = own_daemon({"icc": False})
    target = serve(daemon)
    linker = daemon.run(links={target.name: "peer"})
    before = address_on(target)
    target.stop(timeout=0)
    daemon.run()  # takes the address that is free now
    target.start()
    eventually("the server listens", lambda: listens(daemon, target))
    target.reload()
    expect_not_equal("the target's address", before, address_on(target))
    linker.restart(timeout=0)
    expect_equal("the exposed port", True, reaches(daemon, linker, "peer", 80))
    expect_equal("another port", False, reaches(daemon, linker, "peer", 81))


@behaviour(
    "links.icc.network-option-off",
    "On a network with the option enable_icc off a container MUST NOT reach another one; another "
    "network of the engine is not touched by that.",
    source="libnetwork drivers/bridge setIcc v17.06",
)
def test_network_without_icc_keeps_containers_apart(workbench):
    option = {"com.docker.network.bridge.enable_icc": "false"}
    closed, other = workbench.network(options=option), workbench.network()
    for net, expected in ((closed, False), (other, True)):
        server = serve(workbench, NetworkMode=net.name)
        client = workbench.run(network_mode=net.name)
        found = reaches(workbench, client, address_on(server, net.name), 80)
        expect_equal(f"TCP on {net.name}", expected, found)
