"""What an engine did to the machine: namespaces, links, addresses, routes, mounts, files.

Looks through /proc and `ip -j`, entered with nsenter; needs root.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.assertions import expect_true, violated
from conformance.documents import Document, as_document
from conformance.engines.base import EngineError, Inside
from conformance.engines.processes import run_tool

_RESOLV_CONF = "/etc/resolv.conf"


@dataclass(frozen=True, slots=True)
class Netns:
    """A network namespace, seen from the machine.

    Attributes:
        path: a file that names it: /proc/PID/ns/net or a SandboxKey.
    """

    path: Path

    def ip(self, *words: str) -> list[dict[str, Any]]:
        """Run `ip -j WORDS` in it and give the objects that it printed."""
        text = run_tool("nsenter", f"--net={self.path}", "ip", "-j", *words)
        # `ip -j` prints empty objects for what a filter left out.
        return [as_document(entry) for entry in json.loads(text or "[]") if entry]

    def inode(self) -> int:
        """Give the number that says whether two namespaces are the same one."""
        return self.path.stat().st_ino

    @contextmanager
    def held(self) -> Iterator[int]:
        """Give its inode, which is no other namespace's for as long as this one is held."""
        with self.path.open("rb") as file:
            yield os.fstat(file.fileno()).st_ino

    def links(self) -> dict[str, dict[str, Any]]:
        """Give its links by name, as `ip -d -j link` shows them."""
        return Document({link["ifname"]: link for link in self.ip("-d", "link", "show")})

    def addresses(self, link: str, family: str = "inet") -> list[str]:
        """Give a link's addresses as `a.b.c.d/prefix`; family is inet or inet6."""
        found = Document({entry["ifname"]: entry for entry in self.ip("addr", "show")})
        return [
            f"{address['local']}/{address['prefixlen']}"
            for address in found[link]["addr_info"]
            if address["family"] == family
        ]

    def links_with(self, address: str) -> list[str]:
        """Give the names of the links that have an address, seen at one moment."""
        return [
            str(link["ifname"])
            for link in self.ip("addr", "show")
            if address in [one["local"] for one in link["addr_info"]]
        ]

    def link_with(self, address: str) -> str:
        """Give the name of the link that has an address, "" where none has."""
        return next(iter(self.links_with(address)), "")

    def mac(self, link: str) -> str:
        """Give a link's hardware address."""
        return str(self.links()[link]["address"])

    def routes(self, family: str = "-4") -> list[dict[str, Any]]:
        """Give the routes of the main table; family is -4 or -6."""
        return self.ip(family, "route", "show")

    def default_gateway(self, family: str = "-4") -> str:
        """Give the default route's gateway, "" where there is none."""
        return next(
            (
                str(route.get("gateway", ""))
                for route in self.routes(family)
                if route["dst"] == "default"
            ),
            "",
        )

    def rules(self) -> list[str]:
        """Give the firewall rules and what was made to hold them, nftables and iptables alike."""
        text = run_tool(
            "nsenter", f"--net={self.path}", "nft", "-s", "list", "ruleset", check=False
        )
        return parse_rules(text)


def parse_rules(ruleset: str) -> list[str]:
    """Read `nft list ruleset`: one sentence for each rule, chain, set and map, with its place.

    A table and a chain that hangs on a hook are no rules: they are made for the first rule that
    needs them and stay, empty and harmless, when it goes.
    """
    table, block = "", ""
    found: list[str] = []
    for line in (line.strip() for line in ruleset.splitlines()):
        kind, _, rest = line.partition(" ")
        if kind == "table":
            table, block = rest.rstrip(" {"), ""
        elif kind in ("chain", "set", "map") and line.endswith("{"):
            block = line.rstrip(" {")
            found.append(f"{table}: {block}")
        elif kind == "type" and " hook " in line:
            found.remove(f"{table}: {block}")
        elif line.strip("}") and kind != "#":
            found.append(f"{table}: {block}: {line}")
    return found


class HostView:
    """A daemon on this machine and what belongs to it."""

    def __init__(self, inside: Inside) -> None:
        """Remember how to look inside the daemon."""
        self.inside = inside

    def is_usable(self) -> bool:
        """Say whether the daemon's namespace and files can be seen."""
        try:
            self.daemon_netns().inode()
        except OSError:
            return False
        return self.file(self.inside.data_root).is_dir()

    def file(self, path: str | Path) -> Path:
        """Lead to a file that the daemon names: `host.file(attrs["HostsPath"]).read_text()`.

        The row FAILs where the engine names none.
        """
        expect_true("the engine names the file", str(path))
        return self.inside.root / str(path).lstrip("/")

    def write_resolv_conf(self, text: str) -> None:
        """Change what the daemon's machine resolves with; for a daemon of the row's own.

        Raises:
            BehaviourViolated: the daemon has no file of its own but that of this machine.
        """
        path = self.file(_RESOLV_CONF)
        if path.samefile(_RESOLV_CONF):
            violated(f"the daemon's {_RESOLV_CONF}", expected="its own", actual="this machine's")
        path.write_text(text, encoding="utf-8")

    def container_dir(self, container_id: str) -> Path:
        """Lead to the folder in which the daemon keeps a container's files."""
        return self.file(self.inside.data_root) / "containers" / container_id

    def netns_of(self, pid: int) -> Netns:
        """Give the network namespace that a process runs in (`State.Pid`)."""
        return Netns(self._of_process(pid, "net"))

    def sandbox_netns(self, sandbox_key: str) -> Netns:
        """Give the network namespace that a SandboxKey pins."""
        return Netns(self.file(sandbox_key))

    def daemon_netns(self) -> Netns:
        """Give the network namespace of the daemon: what host mode shares."""
        return Netns(self.inside.netns)

    def made_by(self, *about: str) -> list[str]:
        """Give the links and firewall rules of the daemon's namespace that a row may have made.

        All there are; where somebody else makes some, too, only those that show one of `about`.

        Args:
            about: names of links and networks, ids and subnets of the row's.
        """
        netns = self.daemon_netns()
        links = {f"link {one['ifname']}": json.dumps(one) for one in netns.ip("addr", "show")}
        found = [*links.items(), *((f"rule {rule}", rule) for rule in netns.rules())]
        is_all = not self.inside.is_shared
        return sorted(said for said, text in found if is_all or any(word in text for word in about))

    def bridge_ports(self, gateway: str) -> set[str]:
        """Give the ports of the bridge that has an address; none where there is no such bridge."""
        netns = self.daemon_netns()
        bridge = netns.link_with(gateway)
        links = netns.links().items() if bridge else ()
        return {name for name, link in links if link.get("master") == bridge}

    def namespace_inode(self, pid: int, kind: str) -> int:
        """Give the inode of a process's namespace: kind is net, uts, ipc, pid, mnt."""
        return self._of_process(pid, kind).stat().st_ino

    def _of_process(self, pid: int, kind: str) -> Path:
        """Lead to a namespace of a process; the row FAILs where there is no such process."""
        path = Path(f"/proc/{pid}/ns/{kind}")
        if not path.exists():
            violated("the container's process", expected="one that runs", actual=f"pid {pid}")
        return path

    def environment(self, pid: int) -> dict[str, str]:
        """Give a process's environment as it was started."""
        words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        pairs = (os.fsdecode(word).partition("=") for word in words if word)
        return {name: value for name, _, value in pairs}

    def netns_mounts(self) -> list[str]:
        """List the sandboxes that are still pinned: the mounts under <exec-root>/netns.

        The files alone say nothing: Docker leaves them for its garbage collector for a minute.
        `default` is no sandbox but the daemon's own namespace, pinned with the first container in
        host mode for as long as the daemon runs.
        """
        prefix = f"{self.inside.exec_root}/netns/"
        path = Path(f"/proc/{self.inside.pid}/mountinfo")
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as exc:
            raise EngineError(f"the daemon's mounts cannot be read: {exc}") from exc
        points = (line.split()[4] for line in lines)
        # /var/run is a link to /run: compare what follows it.
        wanted = prefix.removeprefix("/var")
        pinned = {p for p in points if p.removeprefix("/var").startswith(wanted)}
        return sorted(point for point in pinned if not point.endswith("/default"))
