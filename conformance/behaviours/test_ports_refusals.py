"""Published ports: what a create or a start refuses."""

import pytest

from conformance.assertions import expect_equal, expect_refused, expect_true
from conformance.registry import behaviour


def create_publishing(create_raw, port="80/tcp", *, host_port=""):
    """Ask for a container with one binding, in the words that a client may write."""
    binding = {"HostPort": host_port}
    body = {"ExposedPorts": {port: {}}, "HostConfig": {"PortBindings": {port: [binding]}}}
    return create_raw(body)


@behaviour(
    "ports.refused.host-port",
    "A host port that is no number and no range of ports MUST be refused at create.",
    source="moby runconfig, docker/go-connections nat v17.06",
)
@pytest.mark.parametrize("host_port", ["http", "80x", "9000-8000", "65530-65540", "80-", "8 0"])
def test_unparsable_host_port_is_refused(create_raw, host_port):
    answer = create_publishing(create_raw, host_port=host_port)
    expect_true(f"the create is refused, not {answer.status}", answer.status >= 400)


@behaviour(
    "ports.refused.host-port-out-of-range",
    "A host port below 0 or above 65535 MUST be refused at create.",
    source="moby runconfig, docker/go-connections nat v17.06",
)
@pytest.mark.parametrize("host_port", ["-1", "65536"])
def test_host_port_out_of_range_is_refused(create_raw, host_port):
    answer = create_publishing(create_raw, host_port=host_port)
    expect_true(f"the create is refused, not {answer.status}", answer.status >= 400)


@behaviour(
    "ports.refused.host-port-text",
    'The refusal of a host port that is no port MUST say `invalid port specification: "<port>"`, '
    "with 400.",
    source="moby daemon verifyContainerSettings; docker/go-connections nat v17.06",
    tier="quirk",
)
@pytest.mark.parametrize("host_port", ["http", "65536", "9000-8000"])
def test_text_about_an_unparsable_host_port(create_raw, host_port):
    answer = create_publishing(create_raw, host_port=host_port)
    text = f'invalid port specification: "{host_port}"'
    expect_equal("the answer", (400, text), (answer.status, answer.message))


@behaviour(
    "ports.refused.container-port",
    "A port of the container that is no port MUST be refused at create.",
    source="docker/go-connections nat v17.06",
)
@pytest.mark.parametrize("port", ["http/tcp", "65536/tcp", "90-80/tcp"])
def test_unparsable_container_port_is_refused(create_raw, port):
    answer = create_publishing(create_raw, port)
    expect_true(f"the create is refused, not {answer.status}", answer.status >= 400)


@behaviour(
    "ports.refused.host-address-foreign",
    "A start that publishes on an address that the engine's machine does not have MUST be refused "
    "and leave no address.",
    source="libnetwork portmapper v17.06: the userland proxy cannot bind",
)
def test_foreign_host_address_is_refused(create, ports, inspect, inspect_network, network):
    net, (port,) = network(), ports.free()
    container = create(network=net.name, ports={"80/tcp": ("192.0.2.1", port)})
    expect_refused(container.start)
    expect_equal("the members", {}, inspect_network(net)["Containers"])
    address = inspect(container)["NetworkSettings"]["Networks"][net.name]["IPAddress"]
    expect_equal("the address", "", address)


@behaviour(
    "ports.refused.range-from-zero",
    "A range of host ports that begins with 0 MUST NOT be published: the create or the start is "
    "refused, and the container shows no port.",
    source="libnetwork portallocator getParams v17.06",
)
@pytest.mark.parametrize("host_port", ["0-5", "0-65535"])
def test_range_from_zero_is_refused(create_raw, api, inspect, host_port):
    answer = create_publishing(create_raw, host_port=host_port)
    if answer.status < 400:
        container = answer.json()["Id"]
        answer = api("POST", f"/containers/{container}/start")
        expect_equal("Ports", {}, inspect(container)["NetworkSettings"]["Ports"] or {})
    expect_true(f"it is refused, not {answer.status}", answer.status >= 400)
