"""Networks as objects: what inspect shows, what create takes, and what is made of it."""

import ipaddress
import itertools
from concurrent.futures import ThreadPoolExecutor

import docker

from conformance.assertions import expect_empty, expect_equal, expect_in, expect_true
from conformance.engines.processes import run_tool
from conformance.impact.setup import nobody
from conformance.registry import behaviour

MTU = "com.docker.network.driver.mtu"
NAME_OPTION = "com.docker.network.bridge.name"
FOUND_BRIDGE = "ni-found0"


def pools(*subnets, **options):
    """Give the IPAM settings of a network of these subnets."""
    made = [docker.types.IPAMPool(subnet=subnet, **options) for subnet in subnets]
    return docker.types.IPAMConfig(pool_configs=made)


def bridge_of(host, net):
    """Give the bridge of a network, as `ip link` shows it."""
    name, links = f"br-{net.id[:12]}", host.daemon_netns().links()
    expect_in("the links", name, sorted(links))
    return links[name]


def gateways_shown(attrs):
    """Give the gateways of a network's inspect; it may leave out one that nobody chose."""
    return [config["Gateway"] for config in attrs["IPAM"]["Config"] if config.get("Gateway")]


def with_mtu_and_nobody(setup):
    for network in setup.networks:
        mtu = network.options.get("com.docker.network.driver.mtu", "1500")
        is_used = any(one.runs for one in setup.members(network.name))
        if network.driver == "bridge" and mtu != "1500" and not is_used:
            why = f"it has an MTU of {mtu}, and no container that runs"
            yield network.effect("mtu of the bridge", why, "its bridge has that MTU, and not 1500")


@behaviour(
    "network.bridge.mtu",
    "The bridge of a network MUST have the MTU of the network's option as soon as it is made, over "
    "1500 as well as under, and keep it when a container comes and goes.",
    source="moby#46849 (v25.0): setupMTU",
    bugs=("moby#37937",),
    concerns=with_mtu_and_nobody,
)
def test_bridge_has_the_mtu_of_its_network(network, run, host):
    for mtu in (9000, 1400):
        net = network(options={MTU: str(mtu)})
        expect_equal("the MTU of the bridge", mtu, bridge_of(host, net)["mtu"])
        container = run(network=net.name)
        expect_equal("with a container", mtu, bridge_of(host, net)["mtu"])
        container.remove(force=True)
        expect_equal("without one again", mtu, bridge_of(host, net)["mtu"])


@behaviour(
    "network.bridge.found-stays",
    "A bridge of the machine that was there before a network was made on it MUST be there, and up, "
    "when the network is removed.",
    source="libnetwork drivers/bridge deleteNetwork v17.06: BridgeIfaceCreator",
    bugs=("moby#28125",),
)
def test_found_bridge_stays(own_daemon):
    daemon = own_daemon()
    netns = daemon.host.daemon_netns()
    here = ("nsenter", f"--net={netns.path}", "ip", "link")
    run_tool(*here, "add", FOUND_BRIDGE, "type", "bridge")
    run_tool(*here, "set", FOUND_BRIDGE, "up")
    for _ in range(2):
        net = daemon.network(options={NAME_OPTION: FOUND_BRIDGE})
        daemon.run(network=net.name).remove(force=True)
        net.remove()
        links = netns.links()
        expect_in("the links", FOUND_BRIDGE, links)
        expect_in("its flags", "UP", links[FOUND_BRIDGE]["flags"])


@behaviour(
    "network.inspect.gateway-plain",
    "The gateways in a network's inspect MUST be plain addresses, of either family, before and "
    "after a restart of the engine, and those that were chosen MUST be shown each time.",
    source="moby#49520 (v28.0.1); daemon/network.go buildIPAMResources v17.03",
    bugs=("moby#49520",),
)
def test_gateways_are_plain_addresses(own_daemon):
    daemon = own_daemon()
    pairs = [(daemon.subnets.ipv4(), daemon.subnets.ipv6()) for _ in range(3)]
    chosen = [str(ipaddress.ip_network(subnet)[9]) for subnet in pairs[0]]
    with_gateways = [
        docker.types.IPAMPool(subnet=subnet, gateway=gateway)
        for subnet, gateway in zip(pairs[0], chosen, strict=True)
    ]
    config = docker.types.IPAMConfig
    settings = [config(pool_configs=with_gateways), *(pools(*pair) for pair in pairs[1:])]
    nets = [daemon.network(enable_ipv6=True, ipam=ipam) for ipam in settings]
    nets.append(daemon.network(ipam=config()))
    container = daemon.run(network=nets[1].name)
    for when in ("at once", "after a restart"):
        shown = [gateways_shown(daemon.inspect_network(net.id)) for net in nets]
        expect_equal(f"{when}, the gateways that were chosen", chosen, shown[0])
        lengths = [one for gateways in shown for one in gateways if "/" in one]
        expect_empty(f"{when}, gateways with a length", lengths)
        if when == "at once":
            container.stop(timeout=0)
            daemon.engine.restart()


@behaviour(
    "network.inspect.accepted-by-create",
    "What inspect shows of a network MUST be accepted by create once the network was removed, and "
    "inspect shows the same of the new one.",
    source="moby NetworkInspect and NetworkCreate v17.03: the same fields",
)
def test_inspected_network_is_made_again(run, network, network_raw, inspect_network, subnets):
    subnet = subnets.ipv4()
    start = subnet.rpartition(".")[0]
    ipam = pools(
        subnet, iprange=f"{start}.64/26", gateway=f"{start}.65", aux_addresses={"a": f"{start}.70"}
    )
    options = {MTU: "1400", "com.docker.network.bridge.enable_icc": "false"}
    net = network(ipam=ipam, internal=True, options=options, labels={"b": "c"})
    shown = inspect_network(net)
    net.remove()
    unlike = {"Id", "Created", "Containers"}
    wanted = {key: value for key, value in shown.items() if key not in unlike}
    answer = network_raw(wanted, name=net.name)
    expect_equal("the status of create", 201, answer.status)
    again = inspect_network(answer.json()["Id"])
    expect_equal("what inspect shows", wanted, {key: again[key] for key in wanted})
    run(network=net.name)


@behaviour(
    "network.inspect.no-empty-parts",
    "A network's inspect MUST leave out the parts of a subnet that nobody gave: they are not shown "
    "as empty texts.",
    source="moby api types/network IPAMConfig: omitempty v17.03; moby#51890",
    bugs=("moby#51890",),
)
def test_parts_that_nobody_gave_are_left_out(network, inspect_network):
    configs = inspect_network(network())["IPAM"]["Config"]
    expect_equal("the subnets", 1, len(configs))
    for config in configs:
        empty = [key for key, value in config.items() if value in ("", None)]
        expect_empty("the empty parts", empty)


@behaviour(
    "network.list.while-changing",
    "Networks and containers that several clients list while others make and remove networks MUST "
    "all be listed: every answer is 200 and has the networks that stay.",
    source="moby daemon GetNetworks v17.03",
    bugs=("podman#22330",),
)
def test_lists_are_answered_while_networks_change(run, network, subnets, api):
    stays = {network().name for _ in range(3)}
    run(network=min(stays))
    spare = [subnets.ipv4() for _ in range(3)]
    counter = itertools.count()

    def change(subnet):
        for _ in range(6):
            name = f"{min(stays)}-{next(counter)}"
            body = {"Name": name, "IPAM": {"Config": [{"Subnet": subnet}]}}
            made = api("POST", "/networks/create", body)
            expect_equal("the status of create", 201, made.status)
            gone = api("DELETE", f"/networks/{made.json()['Id']}")
            expect_equal("the status of the removal", 204, gone.status)

    def read(_):
        for _ in range(25):
            answer = api("GET", "/networks")
            expect_equal("the status of the list", 200, answer.status)
            names = {one["Name"] for one in answer.json()}
            expect_empty("the networks that are missing", sorted(stays - names))
            expect_equal("of the containers' list", 200, api("GET", "/containers/json").status)

    with ThreadPoolExecutor(7) as pool:
        done = [pool.submit(change, subnet) for subnet in spare]
        done += [pool.submit(read, number) for number in range(4)]
        for one in done:
            one.result()


@behaviour(
    "network.create.parallel-name",
    "Of several networks of one name that are asked for at once exactly one MUST be made, and the "
    "name leads to it.",
    source="moby#46251 (v25.0): names are unique; reported as moby#20648",
    docker=">=25.0",
    bugs=("moby#20648",),
    concerns=nobody,
)
def test_one_network_of_a_name_is_made(network_raw, new_name, subnets, client):
    name = new_name("network")
    bodies = [{"IPAM": {"Config": [{"Subnet": subnets.ipv4()}]}} for _ in range(5)]
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda body: network_raw(body, name=name), bodies))
    made = [answer.json()["Id"] for answer in answers if answer.status == 201]
    expect_equal("how many were made", 1, len(made))
    expect_equal("what the name leads to", made[0], client.networks.get(name).id)


@behaviour(
    "network.create.made-anew",
    "A network that was removed and made again under its name, with its subnet and an IPRange that "
    "it had not, MUST give the addresses of that range, all of which are free.",
    source="moby libnetwork ipam v17.06: a pool is made with its network",
    bugs=("podman#22034",),
)
def test_network_made_anew_has_all_its_addresses(network, run, subnets):
    subnet, name = subnets.ipv4(), ""
    start = subnet.rpartition(".")[0]
    net = network(subnet=subnet)
    name = net.name
    for _ in range(3):
        run(network=name)
    for container in net.client.containers.list(filters={"network": name}):
        container.remove(force=True)
    net.remove()
    again = network(name, ipam=pools(subnet, iprange=f"{start}.0/30", gateway=f"{start}.1"))
    found = [
        run(network=name).attrs["NetworkSettings"]["Networks"][again.name]["IPAddress"]
        for _ in range(2)
    ]
    expect_equal("the addresses", [f"{start}.2", f"{start}.3"], sorted(found))


@behaviour(
    "ipam.range.wider",
    "A container MUST start on a network whose IPRange is wider than its subnet, with an address "
    "of the subnet, or that network MUST be refused.",
    source="docker/for-mac#6870: 24.0.0 made the network and started nothing on it",
    bugs=("for-mac#6870",),
)
def test_range_wider_than_the_subnet(network, run, subnets):
    subnet = subnets.ipv4()
    start = subnet.rpartition(".")[0]
    wide = f"{start.partition('.')[0]}.0.0.0/8"
    try:
        net = network(ipam=pools(subnet, iprange=wide, gateway=f"{start}.1"))
    except docker.errors.APIError:
        return
    container = run(network=net.name)
    address = container.attrs["NetworkSettings"]["Networks"][net.name]["IPAddress"]
    expect_true(f"{address} is of {subnet}", address.startswith(f"{start}."))
    expect_true("it is not the gateway's", address != f"{start}.1")
