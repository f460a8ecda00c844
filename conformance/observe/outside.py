"""A host outside an engine's networks: somebody on the wire that its machine is attached to."""

import ipaddress
from dataclasses import dataclass

from docker.models.containers import Container

from conformance.engines.processes import run_tool
from conformance.observe.host import HostView


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """A host beyond the engine's namespace.

    Attributes:
        container: one without a network of its own; its namespace is the host.
        address: the host's address.
        engine_address: the engine's address on the wire between them.
    """

    container: Container
    address: str
    engine_address: str

    def route_to_engine(self) -> None:
        """Make the engine's machine the host's router, so that it finds the engine's networks."""
        self._run("ip", "route", "add", "default", "via", self.engine_address)

    def route_loopback_to_engine(self) -> None:
        """Send what is for 127.0.0.1 over the wire, as only somebody with bad intent does."""
        for link in ("all", "wire0"):
            self._run("sh", "-c", f"echo 1 >/proc/sys/net/ipv4/conf/{link}/route_localnet")
        self._run("ip", "addr", "del", "127.0.0.1/8", "dev", "lo")
        route = ("127.0.0.1/32", "via", self.engine_address, "src", self.address)
        self._run("ip", "route", "add", *route)

    def _run(self, *command: str) -> None:
        netns = f"/proc/{self.container.attrs['State']['Pid']}/ns/net"
        run_tool("nsenter", f"--net={netns}", *command)


def attach_outside(host: HostView, container: Container, subnet: str, link: str) -> Outside:
    """Lead a wire from the engine's namespace to a container without a network.

    The wire goes with the container's namespace, or before (`detach_outside`). Like a host on a
    real network, this one has no route to the engine's networks.

    Args:
        host: the engine.
        container: a running container of mode `none`.
        subnet: the wire's own subnet.
        link: the name of the engine's end.
    """
    ours, theirs = list(ipaddress.IPv4Network(subnet).hosts())[:2]
    netns = host.netns_of(container.attrs["State"]["Pid"]).path
    engine = ("nsenter", f"--net={host.daemon_netns().path}", "ip")
    beyond = ("nsenter", f"--net={netns}", "ip")
    peer = ("peer", "name", "wire0", "netns", netns.parts[2])
    run_tool(*engine, "link", "add", link, "type", "veth", *peer)
    for command, name, address in ((engine, link, ours), (beyond, "wire0", theirs)):
        run_tool(*command, "addr", "add", f"{address}/24", "dev", name)
        run_tool(*command, "link", "set", name, "up")
    return Outside(container=container, address=str(theirs), engine_address=str(ours))


def detach_outside(host: HostView, link: str) -> None:
    """Take a wire away; no error when it is gone."""
    netns = host.daemon_netns().path
    run_tool("nsenter", f"--net={netns}", "ip", "link", "delete", link, check=False)
