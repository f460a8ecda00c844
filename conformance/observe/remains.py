"""What is seen of an engine's containers after the engine was killed and started again."""

from typing import Any

from docker.models.containers import Container

from conformance.assertions import expect_in
from conformance.observe.own_process import expect_own_process
from conformance.observe.poll import eventually
from conformance.workbench import Workbench


def veths_of(daemon: Workbench) -> list[str]:
    """Give the veth links in the daemon's namespace: each one belongs to a sandbox."""
    links = daemon.host.daemon_netns().links().items()
    return [name for name, link in links if link.get("linkinfo", {}).get("info_kind") == "veth"]


def found_again(daemon: Workbench, container: Container) -> Container:
    """Give a container as the daemon has it now; the SDK's object of before has no connection."""
    return daemon.client.containers.get(str(container.id))


def started_again(daemon: Workbench, container: Container) -> Container:
    """Start a container that the daemon has from before; its `attrs` are those after the start."""
    again = found_again(daemon, container)
    again.start()
    again.reload()
    expect_own_process(daemon.engine, again.attrs)
    return again


def status_of(daemon: Workbench, container: Container) -> str:
    """Give a container's status as it is now."""
    return str(daemon.inspect(container)["State"]["Status"])


def wait_for_status(
    daemon: Workbench, container: Container, status: str, *, timeout_s: float = 10
) -> None:
    """Wait until a container has a status; the row FAILs if it does not get it."""
    what = f"the status of {container.name} is {status}"
    eventually(what, lambda: status_of(daemon, container) == status, timeout_s=timeout_s)


def endpoint_on(daemon: Workbench, container: Container, network: str) -> dict[str, Any]:
    """Give a container's settings on a network as they are now."""
    networks = daemon.inspect(container)["NetworkSettings"]["Networks"]
    expect_in(f"the networks of {container.name}", network, networks)
    return dict(networks[network])


def members_of(daemon: Workbench, network: str) -> list[str]:
    """Give the names of a network's members as it lists them, sorted."""
    members = daemon.inspect_network(network)["Containers"] or {}
    return sorted(member["Name"] for member in members.values())
