"""A link of the engine's machine that networks can hang on, with a host at its other end."""

from dataclasses import dataclass

from docker.models.containers import Container

from conformance.engines.processes import run_tool
from conformance.observe.host import HostView

_FAR_END = "wire0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """A veth pair from the engine's namespace to a container without a network.

    Attributes:
        parent: the name of the engine's end.
        container: the host at the other end.
        host: the engine.
    """

    parent: str
    container: Container
    host: HostView

    def lay(self) -> None:
        """Make the link, up at both ends, without an address."""
        netns = self.host.netns_of(self.container.attrs["State"]["Pid"]).path
        peer = ("peer", "name", _FAR_END, "netns", netns.parts[2])
        self._here("link", "add", self.parent, "type", "veth", *peer)
        self._here("link", "set", self.parent, "up")
        self._there("link", "set", _FAR_END, "up")

    def cut(self, *, check: bool = True) -> None:
        """Take the link away."""
        self._here("link", "delete", self.parent, check=check)

    def give(self, address: str) -> None:
        """Give the host at the other end an address, as 10.1.2.3/24."""
        self._there(*_adding(address), "dev", _FAR_END)

    def enable_ipv6(self) -> None:
        """Let the host at the other end have IPv6; an engine may have switched it off there."""
        netns = self.host.netns_of(self.container.attrs["State"]["Pid"]).path
        setting = f"/proc/sys/net/ipv6/conf/{_FAR_END}/disable_ipv6"
        run_tool("nsenter", f"--net={netns}", "sh", "-c", f"echo 0 >{setting}")

    def give_parent(self, address: str) -> None:
        """Give the engine's end an address."""
        self._here(*_adding(address), "dev", self.parent)

    def set_parent(self, *words: str) -> None:
        """Change the engine's end: `ip link set PARENT WORDS`."""
        self._here("link", "set", self.parent, *words)

    def add_vlan(self, name: str, vlan_id: int) -> None:
        """Make a VLAN of the engine's end; it goes with that end."""
        self._here(
            "link", "add", "link", self.parent, "name", name, "type", "vlan", "id", str(vlan_id)
        )

    def _here(self, *words: str, check: bool = True) -> None:
        run_tool("nsenter", f"--net={self.host.daemon_netns().path}", "ip", *words, check=check)

    def _there(self, *words: str) -> None:
        netns = self.host.netns_of(self.container.attrs["State"]["Pid"]).path
        run_tool("nsenter", f"--net={netns}", "ip", *words)


def _adding(address: str) -> list[str]:
    # without a check for duplicates, during which nobody is answered from an IPv6 address
    return ["addr", "add", address, *(["nodad"] if ":" in address else [])]
