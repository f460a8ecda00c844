"""Allocation, networks, lives, links and files: the status and the text of what is refused.

What is refused, and that nothing changes by it, are rows of their own beside their subjects: an
engine with other words passes those.
"""

from functools import partial

import pytest

from conformance.assertions import expect_api_error, expect_equal, expect_in
from conformance.registry import behaviour

PREDEFINED = ("bridge", "host", "none")


@behaviour(
    "allocate.failure.aborts-the-start-text",
    "A start on a network where the container's address is taken MUST fail with 403 `Address "
    "already in use`.",
    source="libnetwork ipamapi.ErrIPAlreadyAllocated v17.06; the status since v17.09",
    tier="quirk",
)
def test_text_of_a_start_with_a_taken_address(create, network, run):
    net, container = network(), create()
    owner = run(network_mode=net.name)
    taken = owner.attrs["NetworkSettings"]["Networks"][net.name]["IPAddress"]
    net.connect(container, ipv4_address=taken)
    expect_api_error(container.start, 403, "Address already in use")


@behaviour(
    "files.resolv-conf.bad-server-refused-text",
    "A DNS server that is no address MUST fail the start with 500 `bad nameserver address`.",
    source="libnetwork resolvconf v26.0",
    tier="quirk",
    docker=">=26.0",
)
def test_text_of_a_bad_server(create):
    expect_api_error(create(dns=["bad"]).start, 500, "bad nameserver address bad")


@behaviour(
    "files.hosts.extra-host-malformed-text",
    "An extra host without a colon MUST be refused with 400 `bad format for add-host`.",
    source="moby opts.ValidateExtraHost v17.06",
    tier="quirk",
)
def test_text_of_a_malformed_extra_host(create_raw):
    answer = create_raw({"HostConfig": {"ExtraHosts": ["bad"]}})
    expect_equal("the status", 400, answer.status)
    expect_in("the message", 'bad format for add-host: "bad"', answer.message)


@behaviour(
    "files.hosts.extra-host-bad-address-text",
    "An extra host with something else than an address MUST be refused with 400 `invalid IP "
    "address in add-host`.",
    source="moby opts.ValidateExtraHost v17.06",
    tier="quirk",
)
def test_text_of_an_extra_host_without_an_address(create_raw):
    answer = create_raw({"HostConfig": {"ExtraHosts": ["db:192.0.2.256"]}})
    expect_equal("the status", 400, answer.status)
    expect_in("the message", 'invalid IP address in add-host: "192.0.2.256"', answer.message)


@behaviour(
    "init.user.duplicate-name-refused-text",
    "A second network of the same name MUST be refused with 409, whatever CheckDuplicate says.",
    source="moby v25.0",
    tier="quirk",
    docker=">=25.0",
)
def test_text_of_a_second_network_of_a_name(network):
    name = network().name
    expect_api_error(partial(network, name, check_duplicate=False), 409, name)


@behaviour(
    "life.start.failed-process-text",
    "The start of a command that is not there MUST fail with 400.",
    source="moby daemon translateContainerdStartErr v17.09",
    tier="quirk",
)
def test_status_of_a_command_that_is_not_there(create):
    expect_api_error(create(["/nosuchcommand"]).start, 400)


@behaviour(
    "life.rename.taken-name-text",
    "Renaming a container to the name of another one MUST be refused with 409 `is already in use "
    "by container`.",
    source="moby daemon reserveName v17.03",
    tier="quirk",
)
def test_text_of_a_rename_to_a_taken_name(create):
    call = partial(create().rename, create().name)
    expect_api_error(call, 409, "is already in use by container")


@behaviour(
    "life.remove.running-needs-force-text",
    "Removing a container that runs without force MUST be refused with 409.",
    source="moby daemon delete.go cleanupContainer v17.03",
    tier="quirk",
)
def test_status_of_removing_a_running_container(run):
    expect_api_error(run().remove, 409)


@behaviour(
    "links.legacy.target-stopped-text",
    "The start of a container with a link to one that does not run MUST fail with 500 `Cannot link "
    "to a non running container`.",
    source="moby daemon setupLinkedContainers v17.06",
    tier="quirk",
)
def test_text_of_a_link_to_a_stopped_container(create):
    target = create()
    linker = create(links={target.name: "peer"})
    text = f"Cannot link to a non running container: /{target.name} AS /{linker.name}/peer"
    expect_api_error(linker.start, 500, text)


@behaviour(
    "links.legacy.target-unknown-text",
    "A link to a container that does not exist MUST be refused with 400 `could not get container "
    "for <name>`.",
    source="moby daemon registerLinks v20.10",
    tier="quirk",
)
def test_text_of_a_link_to_an_unknown_container(create_raw, new_name):
    missing = new_name("missing")
    answer = create_raw({"HostConfig": {"Links": [f"{missing}:peer"]}})
    expect_equal("the status", 400, answer.status)
    expect_in("the message", f"could not get container for {missing}", answer.message)


@behaviour(
    "links.legacy.target-elsewhere-text",
    "A link to a container that is not on the default network MUST fail the start with 500, naming "
    "the default network.",
    source="moby daemon isLinkable v17.06",
    tier="quirk",
)
def test_text_of_a_link_to_another_network(create, run, network):
    target = run(network_mode=network().name)
    expect_api_error(create(links={target.name: "peer"}).start, 500, "default")


@behaviour(
    "links.legacy.target-in-host-mode-text",
    "A link to a container in host mode MUST be refused with 400 `conflicting options: host type "
    "networking can't be used with links`.",
    source="moby daemon registerLinks v20.10",
    tier="quirk",
)
def test_text_of_a_link_to_a_host_mode_container(run, create_raw):
    target = run(network_mode="host")
    answer = create_raw({"HostConfig": {"Links": [f"{target.name}:peer"]}})
    expect_equal("the status", 400, answer.status)
    text = "conflicting options: host type networking can't be used with links"
    expect_in("the message", text, answer.message)


@behaviour(
    "links.legacy.malformed-text",
    "A link of more than two parts MUST be refused with 500 `bad format for links`.",
    source="moby opts.ParseLink v17.06",
    tier="quirk",
)
def test_text_of_a_malformed_link(run, create_raw):
    link = f"{run().name}:b:c"
    answer = create_raw({"HostConfig": {"Links": [link]}})
    expect_equal("the status", 500, answer.status)
    expect_in("the message", f"bad format for links: {link}", answer.message)


@behaviour(
    "network.remove.active-endpoints-text",
    "Removing a network that a running container is on MUST be refused with 403 `has active "
    "endpoints`.",
    source="libnetwork network.delete ActiveEndpointsError v17.06; the status since v17.09",
    tier="quirk",
)
def test_text_of_removing_a_network_in_use(run, network, api):
    net = network()
    run(network_mode=net.name)
    answer = api("DELETE", f"/networks/{net.name}")
    expect_equal("the status", 403, answer.status)
    expect_in("the message", "has active endpoints", answer.message)


@behaviour(
    "network.remove.predefined-text",
    "Removing a predefined network MUST be refused with 403 `<name> is a pre-defined network and "
    "cannot be removed`.",
    source="moby daemon deleteNetwork v17.03",
    tier="quirk",
)
@pytest.mark.parametrize("name", PREDEFINED)
def test_text_of_removing_a_predefined_network(client, name):
    text = f"{name} is a pre-defined network and cannot be removed"
    expect_api_error(client.networks.get(name).remove, 403, text)


@behaviour(
    "network.remove.unknown-text",
    "Removing an unknown network MUST be refused with 404 `network <name> not found`.",
    source="moby daemon FindNetwork v17.03",
    tier="quirk",
)
def test_text_of_removing_an_unknown_network(api, new_name):
    missing = new_name("nowhere")
    answer = api("DELETE", f"/networks/{missing}")
    expect_equal("the status", 404, answer.status)
    expect_in("the message", f"network {missing} not found", answer.message)


@behaviour(
    "network.create.predefined-name-text",
    "A network with a predefined name MUST be refused with 403 `operation is not permitted on "
    "predefined <name> network`.",
    source="moby daemon createNetwork v17.03",
    tier="quirk",
)
@pytest.mark.parametrize("name", [*PREDEFINED, "default"])
def test_text_of_a_predefined_name(api, name):
    answer = api("POST", "/networks/create", {"Name": name, "Driver": "bridge"})
    expect_equal("the status", 403, answer.status)
    text = f"operation is not permitted on predefined {name} network"
    expect_in("the message", text, answer.message)


@behaviour(
    "network.create.duplicate-checked-text",
    "A second network of a name MUST be refused, when CheckDuplicate is asked for, with 409 "
    "`network with name <name> already exists`.",
    source="libnetwork NetworkNameError v17.06; the status since v17.09",
    tier="quirk",
)
def test_text_of_a_duplicate_name(network, api):
    body = {"Name": network().name, "Driver": "bridge", "CheckDuplicate": True}
    answer = api("POST", "/networks/create", body)
    expect_equal("the status", 409, answer.status)
    expect_in("the message", f"network with name {body['Name']} already exists", answer.message)


@behaviour(
    "network.create.unknown-driver-text",
    'A network of an unknown driver MUST be refused with 404 `plugin "<driver>" not found`.',
    source="libnetwork controller.loadDriver v17.06",
    tier="quirk",
)
def test_text_of_an_unknown_driver(api, new_name):
    body = {"Name": new_name("network"), "Driver": "no-such-driver"}
    answer = api("POST", "/networks/create", body)
    expect_equal("the status", 404, answer.status)
    expect_in("the message", 'plugin "no-such-driver" not found', answer.message)


@behaviour(
    "network.create.one-instance-text",
    "A second network of the driver `host` or `null` MUST be refused with 403 `only one instance "
    'of "<driver>" network is allowed`.',
    source="libnetwork drivers/host/host.go, null.go v17.06; the status since v17.09",
    tier="quirk",
)
@pytest.mark.parametrize("driver", ["host", "null"])
def test_text_of_a_second_instance(api, new_name, driver):
    body = {"Name": new_name("network"), "Driver": driver}
    answer = api("POST", "/networks/create", body)
    expect_equal("the status", 403, answer.status)
    expect_in("the message", f'only one instance of "{driver}" network is allowed', answer.message)
