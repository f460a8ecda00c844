"""Which network a container's default route goes over, where the endpoints have a say in it."""

import pytest

from conformance.assertions import expect_equal
from conformance.registry import behaviour


def connect_with_priority(api, container, net, priority):
    """Connect a container with a GwPriority, which the SDK does not know."""
    body = {"Container": container.id, "EndpointConfig": {"GwPriority": priority}}
    answer = api("POST", f"/networks/{net.id}/connect", body)
    expect_equal("the status of the connect", 200, answer.status)


def gateways_of(container, nets):
    container.reload()
    endpoints = container.attrs["NetworkSettings"]["Networks"]
    return [endpoints[net.name]["Gateway"] for net in nets]


def default_gateway_of(host, container):
    container.reload()
    return host.netns_of(container.attrs["State"]["Pid"]).default_gateway()


@behaviour(
    "sandbox.gateway.priority-ignored",
    "The GwPriority of an endpoint MUST be ignored: the default route goes over the network whose "
    "name sorts first.",
    source="moby v17.03: an unknown field; decides since v28.0 with API 1.48",
    docker="<28.0",
    tier="quirk",
)
def test_priority_is_ignored(run, network, new_name, api, host):
    prefix = new_name("priority")
    first, last = (network(f"{prefix}-{word}") for word in "az")
    container = run(network_mode=first.name)
    connect_with_priority(api, container, last, 100)
    gateway, _ = gateways_of(container, (first, last))
    expect_equal("the default route", gateway, default_gateway_of(host, container))
    container.restart(timeout=0)
    expect_equal("after a restart", gateway, default_gateway_of(host, container))


def with_priorities(setup):
    for one in setup.containers:
        ends = [end for end in one.endpoints if not setup.network(end.network).is_internal]
        first = max(ends, key=lambda end: (end.priority, -ends.index(end)), default=None)
        route = setup.default_route(one)
        if first and first.priority > 0 and route != first.network:
            why = f"{first.network} has a priority"
            change = f"its default route moves from {route} to {first.network}"
            yield one.effect("default route", why, change)


@behaviour(
    "sandbox.gateway.priority-decides",
    "The default route MUST go over the network whose endpoint has the highest GwPriority, "
    "also where its name comes last, and move when that network is left.",
    source="moby v28.0, API 1.48",
    docker=">=28.0",
    api=">=1.48",
    replaces=("sandbox.gateway.priority-ignored",),
    concerns=with_priorities,
)
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_priority_decides(run, create, network, new_name, api, host, running):
    prefix = new_name("priority")
    first, last = (network(f"{prefix}-{word}") for word in "az")
    container = (run if running else create)(network_mode=first.name)
    connect_with_priority(api, container, last, 100)
    if not running:
        container.start()
    low, high = gateways_of(container, (first, last))
    expect_equal("the default route", high, default_gateway_of(host, container))
    container.restart(timeout=0)
    expect_equal("after a restart", high, default_gateway_of(host, container))
    last.disconnect(container)
    expect_equal("without that network", low, default_gateway_of(host, container))
