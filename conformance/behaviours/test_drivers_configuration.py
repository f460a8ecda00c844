"""Networks that are only a configuration, and networks that are made from one."""

import docker
import pytest

from conformance.assertions import (
    expect_api_error,
    expect_empty,
    expect_equal,
    expect_fields,
    expect_in,
    expect_not_in,
)
from conformance.observe.sockets import address_in
from conformance.registry import behaviour

SOURCE = "libnetwork network.go validateConfiguration, applyConfigurationTo v17.06"
MTU = "com.docker.network.driver.mtu"
OPERATOR_FIELDS = ({"Internal": True}, {"Attachable": True}, {"Ingress": True}, {"Scope": "swarm"})


def pool(subnet):
    return {"Config": [{"Subnet": subnet}]}


@pytest.fixture
def configuration(network_raw, new_name, subnets):
    """Make a configuration: its name. Options are fields of the request."""

    def make(**body):
        name = new_name("config")
        answer = network_raw({"ConfigOnly": True, "IPAM": pool(subnets.ipv4()), **body}, name=name)
        expect_equal("the status", 201, answer.status)
        return name

    return make


@pytest.fixture
def made_from(network_raw, client):
    """Make a network from a configuration; SDK network."""

    def make(config, **body):
        answer = network_raw({"ConfigFrom": {"Network": config}, **body})
        expect_equal("the status", 201, answer.status)
        return client.networks.get(answer.json()["Id"])

    return make


@behaviour(
    "drivers.config.shown",
    "A network that is made with ConfigOnly MUST be shown as a configuration with its subnets, "
    "options and labels as they were given, of the driver `null`.",
    source="libnetwork controller.NewNetwork v17.06: the type null",
)
def test_configuration_is_shown(configuration, subnets, inspect_network):
    ipam = pool(subnets.ipv4())
    name = configuration(IPAM=ipam, Options={MTU: "1400"}, Labels={"ni": "yes"}, Driver="bridge")
    expected = {"ConfigOnly": True, "Driver": "null", "Scope": "local"}
    expected |= {"Options": {MTU: "1400"}, "Labels": {"ni": "yes"}, "Containers": {}}
    found = inspect_network(name)
    expect_fields("the configuration", expected, found)
    expect_equal("its subnets", ipam["Config"], found["IPAM"]["Config"])


@behaviour(
    "drivers.config.takes-nothing",
    "A configuration MUST NOT make a link or a rule, nor reserve its subnet: another configuration "
    "and a network can have the same.",
    source="libnetwork controller.NewNetwork v17.06: goto addToStore",
)
def test_configuration_takes_nothing(configuration, network, run, subnets, host):
    subnet = subnets.ipv4()
    about = subnet.rpartition(".")[0] + "."
    before = host.made_by(about)
    for _ in range(2):
        configuration(IPAM=pool(subnet), Options={MTU: "1400"})
    expect_equal("links and rules", before, host.made_by(about))
    run(network=network(subnet=subnet).name)


@behaviour(
    "drivers.config.inherited",
    "A network that is made with ConfigFrom MUST have the configuration's subnet, options and "
    "labels, and they MUST take effect.",
    source=SOURCE,
)
def test_configuration_is_inherited(configuration, made_from, run, subnets, host):
    subnet = subnets.ipv4()
    name = configuration(IPAM=pool(subnet), Options={MTU: "1400"}, Labels={"ni": "yes"})
    net = made_from(name, Driver="bridge")
    expected = {"ConfigFrom": {"Network": name}, "ConfigOnly": False, "Driver": "bridge"}
    expected |= {"Options": {MTU: "1400"}, "Labels": {"ni": "yes"}}
    expect_fields("the network", expected, net.attrs)
    container = run(network=net.name)
    netns = host.netns_of(container.attrs["State"]["Pid"])
    expect_equal("the MTU", 1400, netns.links()["eth0"]["mtu"])
    address = address_in(container, net)
    expect_equal("the subnet", subnet.rpartition(".")[0], address.rpartition(".")[0])


@behaviour(
    "drivers.config.operators-part",
    "What a configuration cannot hold (Internal, Attachable) MUST be taken from the request of the "
    "network that is made from it.",
    source=SOURCE,
    bugs=("libnetwork#2413",),
)
def test_operators_fields_are_the_requests(configuration, made_from, run):
    net = made_from(configuration(), Internal=True, Attachable=True)
    expect_fields("the network", {"Internal": True, "Attachable": True}, net.attrs)
    run(network=net.name)


@behaviour(
    "drivers.config.macvlan",
    "A macvlan network MUST take its parent and its mode from its configuration.",
    source="moby#32981: node-local networks from configurations",
    needs=("macvlan",),
)
def test_macvlan_takes_its_parent(configuration, made_from, run, wire, host):
    name = configuration(Options={"parent": wire().parent, "macvlan_mode": "private"})
    net = made_from(name, Driver="macvlan")
    container = run(network=net.name)
    info = host.netns_of(container.attrs["State"]["Pid"]).links()["eth0"]["linkinfo"]
    found = (info["info_kind"], info["info_data"]["mode"])
    expect_equal("kind and mode", ("macvlan", "private"), found)


@behaviour(
    "drivers.config.no-container",
    "No container MUST be on a configuration: neither a start nor a connect of a running one "
    "succeeds, and neither leaves an endpoint.",
    source="libnetwork network.CreateEndpoint v17.06",
)
def test_no_container_is_on_a_configuration(configuration, create, run, api, inspect_network):
    name = configuration()
    stopped, running = create(network_mode=name), run()
    started = api("POST", f"/containers/{stopped.id}/start")
    connected = api("POST", f"/networks/{name}/connect", {"Container": running.id})
    refused = (started.status >= 400, connected.status >= 400)
    expect_equal("start and connect are refused", (True, True), refused)
    expect_empty("the members", inspect_network(name)["Containers"])


@behaviour(
    "drivers.config.no-container-text",
    "The refusal MUST be 403 `cannot create endpoint on configuration-only network`.",
    source="libnetwork network.CreateEndpoint v17.06; the status since v17.09",
    tier="quirk",
)
def test_no_container_text(configuration, create):
    container = create(network_mode=configuration())
    text = "cannot create endpoint on configuration-only network"
    expect_api_error(container.start, 403, text)


@behaviour(
    "drivers.config.in-use",
    "A configuration MUST NOT be removed while a network that was made from it is there, and MUST "
    "be removable afterwards.",
    source="libnetwork network.delete v17.06",
)
def test_used_configuration_is_not_removed(configuration, made_from, api):
    name = configuration()
    net = made_from(name)
    expect_equal("it is refused", True, api("DELETE", f"/networks/{name}").status >= 400)
    net.remove()
    expect_equal("the status afterwards", 204, api("DELETE", f"/networks/{name}").status)


@behaviour(
    "drivers.config.in-use-text",
    'The refusal MUST be 403 `configuration network "<name>" is in use`.',
    source="libnetwork network.delete v17.06; the status since v17.09",
    tier="quirk",
)
def test_used_configuration_is_named(configuration, made_from, client):
    name = configuration()
    made_from(name)
    text = f'configuration network "{name}" is in use'
    expect_api_error(client.networks.get(name).remove, 403, text)


@behaviour(
    "drivers.config.unknown",
    "A network from a configuration that does not exist, or that is an ordinary network, MUST NOT "
    "be made.",
    source="libnetwork controller.getConfigNetwork v17.06",
)
def test_unknown_configuration_is_refused(network_raw, network, new_name, client):
    # without a subnet of its own, over which the two would quarrel
    ordinary = network(ipam=docker.types.IPAMConfig())
    for config in (new_name("nowhere"), ordinary.name):
        name = new_name("network")
        answer = network_raw({"ConfigFrom": {"Network": config}}, name=name)
        expect_equal("it is refused", True, answer.status >= 400)
        expect_not_in("the networks", name, [one.name for one in client.networks.list()])


@behaviour(
    "drivers.config.unknown-text",
    'The refusal MUST be 404 `configuration network "<name>" does not exist`; the ID of one is no '
    "name.",
    source="libnetwork controller.getConfigNetwork v17.06",
    tier="quirk",
)
def test_unknown_configuration_is_named(configuration, network_raw, inspect_network):
    for config in ("nowhere", inspect_network(configuration())["Id"]):
        answer = network_raw({"ConfigFrom": {"Network": config}})
        expect_equal("the status", 404, answer.status)
        text = f'configuration network "{config}" does not exist'
        expect_in("the message", text, answer.message)


@behaviour(
    "drivers.config.own-settings",
    "A request with ConfigFrom MUST be refused where it brings subnets, labels, options, IPv6 or "
    "an address driver of its own.",
    source=SOURCE,
)
@pytest.mark.parametrize("field", ["IPAM", "Labels", "Options", "EnableIPv6", "Driver of IPAM"])
def test_own_settings_are_refused(configuration, network_raw, subnets, field):
    body = {
        "IPAM": {"IPAM": pool(subnets.ipv4())},
        "Labels": {"Labels": {"a": "b"}},
        "Options": {"Options": {MTU: "1300"}},
        "EnableIPv6": {"EnableIPv6": True},
        "Driver of IPAM": {"IPAM": {"Driver": "no-such-driver"}},
    }[field]
    answer = network_raw({"ConfigFrom": {"Network": configuration()}, **body})
    expect_equal("it is refused", True, answer.status >= 400)


@behaviour(
    "drivers.config.own-settings-text",
    "The refusal MUST be 403, with a text for options and another for all else.",
    source=SOURCE,
    tier="quirk",
)
def test_own_settings_are_named(configuration, network_raw):
    name = configuration()
    texts = {
        "Labels": "user specified configurations are",
        "Options": "network driver options are",
    }
    for field, words in texts.items():
        answer = network_raw({"ConfigFrom": {"Network": name}, field: {"a": "b"}})
        expect_equal("the status", 403, answer.status)
        text = f"{words} not supported if the network depends on a configuration network"
        expect_in("the message", text, answer.message)


@behaviour(
    "drivers.config.operator-fields",
    "A configuration MUST be refused where it asks for Internal, Attachable, Ingress or the scope "
    "`swarm`.",
    source=SOURCE,
)
@pytest.mark.parametrize("body", OPERATOR_FIELDS, ids=lambda body: next(iter(body)))
def test_operator_fields_are_refused(network_raw, body):
    answer = network_raw({"ConfigOnly": True, **body})
    expect_equal("it is refused", True, answer.status >= 400)


@behaviour(
    "drivers.config.operator-fields-text",
    "The refusal MUST be 403 `configuration network can only contain network specific fields`.",
    source=SOURCE,
    tier="quirk",
)
@pytest.mark.parametrize("body", OPERATOR_FIELDS, ids=lambda body: next(iter(body)))
def test_operator_fields_are_named(network_raw, body):
    answer = network_raw({"ConfigOnly": True, **body})
    expect_equal("the status", 403, answer.status)
    text = "configuration network can only contain network specific fields"
    expect_in("the message", text, answer.message)


@behaviour(
    "drivers.config.nested",
    "A configuration that depends on another one MUST be refused.",
    source=SOURCE,
)
def test_nested_configuration_is_refused(configuration, network_raw):
    body = {"ConfigOnly": True, "ConfigFrom": {"Network": configuration()}}
    expect_equal("it is refused", True, network_raw(body).status >= 400)


@behaviour(
    "drivers.config.pruned",
    "Pruning networks MUST NOT remove a configuration, used or not.",
    source="moby daemon/prune.go localNetworksPrune v17.06: ConfigOnly",
)
def test_configuration_is_not_pruned(configuration, made_from, run, client, new_name):
    mark = new_name("mark")
    used, unused = (configuration(Labels={"ni-prune": mark}) for _ in range(2))
    run(network=made_from(used).name)
    client.networks.prune(filters={"label": f"ni-prune={mark}"})
    left = [one.name for one in client.networks.list()]
    for name in (used, unused):
        expect_in("the networks", name, left)


@behaviour(
    "drivers.config.engine-restarted",
    "A configuration and the networks from it MUST be there after the engine was restarted: one is "
    "used, the other works.",
    source="libnetwork store.go v17.06: configOnly, configFrom of the record",
)
def test_configuration_survives_the_engine(own_daemon):
    daemon = own_daemon()
    ipam = pool(daemon.subnets.ipv4())
    daemon.network_raw({"ConfigOnly": True, "IPAM": ipam}, name="ni-config")
    daemon.network_raw({"ConfigFrom": {"Network": "ni-config"}}, name="ni-made")
    daemon.engine.restart()
    expect_equal("the configuration", True, daemon.inspect_network("ni-config")["ConfigOnly"])
    found = daemon.inspect_network("ni-made")
    expect_fields("the network", {"ConfigFrom": {"Network": "ni-config"}}, found)
    expect_fields("its subnet", ipam["Config"][0], found["IPAM"]["Config"][0])
    daemon.run(network="ni-made")
    remove = daemon.client.networks.get("ni-config").remove
    expect_equal("removal is refused", True, is_refused(remove))


def is_refused(call):
    try:
        call()
    except docker.errors.APIError:
        return True
    return False
