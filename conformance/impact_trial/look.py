"""Looks at every container and network of an engine as a user could; knows no predicate.

What is seen is written with the names of containers and networks in the place of addresses, so
that two looks can be compared although the addresses are others.
"""

import contextlib
import ipaddress
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from docker.models.containers import Container

from conformance.engines.base import EngineError
from conformance.observe.files import parse_resolv_conf
from conformance.observe.outside import Outside, attach_outside, detach_outside
from conformance.observe.ports import Ports, ports_of
from conformance.observe.sockets import Sockets
from conformance.violation import BehaviourViolated
from conformance.workbench import Workbench

Look = dict[str, dict[str, Any]]
"""What is seen: of "container NAME" and "network NAME" a value for each thing looked at."""

_PROBE = Path(__file__).with_name("probe.py")
_WIRE = "ni-trial"
_OUTSIDE_PORT = 7000
_CLOSED_PORT = 9
_THREADS = 6
_PROBE_TIMEOUT_S = 120
_OF_LINKS = re.compile(r"[A-Z0-9_]+(_PORT|_NAME|_PORT_\w+|_ENV_\w+)")


class Observer:
    """Looks at what one engine has at one moment."""

    def __init__(self, bench: Workbench, names: Iterable[str]) -> None:
        """Inspect everything.

        Args:
            bench: the engine.
            names: the containers to look at.
        """
        self._bench = bench
        api = bench.client.api
        self.networks = [api.inspect_network(one["Id"]) for one in api.networks()]
        listed = {one["Names"][0].lstrip("/"): one["Id"] for one in api.containers(all=True)}
        self.documents = {
            name: api.inspect_container(listed[name]) for name in names if name in listed
        }
        self._running = [n for n, doc in self.documents.items() if doc["State"]["Running"]]
        self._subnets = [
            (ipaddress.ip_network(pool["Subnet"], strict=False), network["Name"])
            for network in self.networks
            for pool in network["IPAM"]["Config"] or []
        ]
        self._owners = dict(self._addresses())

    def _addresses(self) -> Iterator[tuple[str, str]]:
        for name in self._running:
            for network, end in self._ends(name):
                for key in ("IPAddress", "GlobalIPv6Address"):
                    if end.get(key):
                        yield end[key], f"{name}@{network}"

    def _ends(self, name: str) -> list[tuple[str, dict[str, Any]]]:
        return list((self.documents[name]["NetworkSettings"]["Networks"] or {}).items())

    def _is_apart(self, name: str) -> bool:
        """Tell whether a container runs with a namespace of its own."""
        mode = self.documents[name]["HostConfig"]["NetworkMode"]
        return name in self._running and mode != "host" and not mode.startswith("container:")

    def look(self) -> Look:
        """Look at everything."""
        seen: Look = {f"network {one['Name']}": self._network(one) for one in self.networks}
        for name in self.documents:
            seen[f"container {name}"] = {
                "starts": "running" if name in self._running else "not running"
            }
        for name in self._running:
            seen[f"container {name}"] |= self._files(name)
        apart = [name for name in self.documents if self._is_apart(name)]
        with ThreadPoolExecutor(_THREADS) as pool:
            for name, found in zip(apart, pool.map(self._links, apart), strict=True):
                seen[f"container {name}"] |= found
        with self._outside() as (outside, ports):
            self._ask(apart, outside, ports, seen)
        return seen

    # ------------------------------------------------------------------ networks and files

    def _network(self, document: Mapping[str, Any]) -> dict[str, Any]:
        if document["Driver"] != "bridge":
            return {}
        options = document["Options"] or {}
        link = options.get("com.docker.network.bridge.name", f"br-{document['Id'][:12]}")
        found = self._bench.host.daemon_netns().ip("addr", "show")
        for entry in found:
            if entry["ifname"] == link:
                local = [one["local"] for one in entry["addr_info"]]
                fixed = [one for one in local if not one.startswith("fe80") or one == "fe80::1"]
                return {"bridge": sorted(fixed), "mtu of the bridge": entry["mtu"]}
        return {"bridge": "not there"}

    def _files(self, name: str) -> dict[str, Any]:
        document = self.documents[name]
        root = Path(f"/proc/{document['State']['Pid']}/root/etc")
        found: dict[str, Any] = {}
        with contextlib.suppress(OSError):
            found["hosts file"] = sorted(self._named(root.joinpath("hosts").read_text()))
        with contextlib.suppress(OSError):
            parsed = parse_resolv_conf(root.joinpath("resolv.conf").read_text())
            found["resolv.conf"] = str(parsed)
        hostname = root / "hostname"
        found["hostname file"] = hostname.read_text() if hostname.exists() else "none"
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{document['State']['Pid']}/environ").read_text()
            lines = [one for one in text.split("\0") if _OF_LINKS.match(one.partition("=")[0])]
            found["environment"] = sorted(self._named("\n".join(lines)))
        return found

    def _named(self, text: str) -> list[str]:
        """Write owners in the place of addresses."""

        def owner(match: re.Match[str]) -> str:
            try:
                address = str(ipaddress.ip_address(match[0]))  # fe00::0 and fe00:: are the same
            except ValueError:
                return match[0]
            return self._owners.get(address, address)

        return [re.sub(r"[0-9a-f.:]{4,}", owner, line) for line in text.splitlines()]

    # ------------------------------------------------------------------ links and routes

    def _network_of(self, address: str) -> str:
        place = ipaddress.ip_address(address)
        return next((name for subnet, name in self._subnets if place in subnet), "")

    def _links(self, name: str) -> dict[str, Any]:
        netns = self._bench.host.netns_of(self.documents[name]["State"]["Pid"])
        try:
            entries = netns.ip("addr", "show")
            routes = {family: netns.routes(family) for family in ("-4", "-6")}
        except EngineError:
            return {}  # it has just ended
        found: dict[str, Any] = {"links": {}}
        networks = {"": ""}
        for entry in entries:
            local = [o["local"] for o in entry["addr_info"] if o.get("scope") == "global"]
            if entry["ifname"] == "lo":
                all = [one["local"] for one in entry["addr_info"]]
                found["IPv6 on loopback"] = "::1" in all
                continue
            network = next((self._network_of(one) for one in local), "") or "no network"
            networks[entry["ifname"]] = network
            found["links"][entry["ifname"]] = network
            found[f"mac on {network}"] = entry["address"]
            for one in local:
                family = "IPv6 address" if ":" in one else "address"
                found[f"{family} on {network}"] = one
        for key, family in (("default route", "-4"), ("IPv6 default route", "-6")):
            devices = [r.get("dev", "") for r in routes[family] if r["dst"] == "default"]
            found[key] = networks.get(next(iter(devices), ""), "") or "none"
        return found

    # ------------------------------------------------------------------ questions

    @contextlib.contextmanager
    def _outside(self) -> Iterator[tuple[Outside, Ports]]:
        bench = self._bench
        container = bench.run(network_mode="none")
        try:
            outside = attach_outside(bench.host, container, "10.250.250.0/24", _WIRE)
            outside.route_to_engine()
            with ports_of(bench.host) as ports:
                yield outside, ports
        finally:
            detach_outside(bench.host, _WIRE)
            container.remove(force=True)

    def _ask(self, apart: list[str], outside: Outside, ports: Ports, seen: Look) -> None:
        sockets = Sockets(self._bench.host)
        with contextlib.closing(sockets):
            server = sockets.serve(outside.container, outside.address, _OUTSIDE_PORT)
            server.settimeout(None)
            threading.Thread(target=_tell_who_asks, args=(server,), daemon=True).start()
            place = (outside.address, _OUTSIDE_PORT)
            with ThreadPoolExecutor(_THREADS) as pool:
                answers = pool.map(lambda name: self._probe(name, place), apart)
                found = {n: a for n, a in zip(apart, answers, strict=True) if a is not None}
            server.shutdown(2)
        self._names(found, seen)
        for name, answer in found.items():
            self._reached(name, answer, outside, seen)
        for name in apart:
            with contextlib.suppress(EngineError, BehaviourViolated):  # it has just ended
                seen[f"container {name}"] |= self._ports(name, outside, ports)

    def _names_of(self, name: str) -> list[str]:
        """Give the names that a container might be found by."""
        document = self.documents[name]
        aliases = [alias for _, end in self._ends(name) for alias in end.get("Aliases") or []]
        return sorted({name, document["Id"][:12], document["Config"]["Hostname"], *aliases})

    def _probe(self, name: str, outside: tuple[str, int]) -> dict[str, Any] | None:
        """Ask out of a container; None where it has just ended."""
        set_up = name.partition("-")[0]
        nets = {network for network, _ in self._ends(name)} - {"bridge"}
        peers = [
            peer
            for peer in self._running
            if peer.partition("-")[0] == set_up or nets & {net for net, _ in self._ends(peer)}
        ]
        asked = {
            "names": sorted({one for peer in peers for one in self._names_of(peer)})
            if nets
            else [],
            "targets": [(address, _CLOSED_PORT) for address in self._owners],
            "outside": outside,
        }
        netns = f"/proc/{self.documents[name]['State']['Pid']}/ns/net"
        done = subprocess.run(
            ["nsenter", f"--net={netns}", sys.executable, "-I", str(_PROBE)],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            print(f"{name}: {done.stderr[-300:]}", file=sys.stderr, flush=True)
            return None
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def _names(self, found: Mapping[str, Any], seen: Look) -> None:
        """Write down for each container who finds it by which of its names."""
        for name in self._running:
            nets = {network for network, _ in self._ends(name)} - {"bridge"}
            if not nets or not self._is_apart(name):
                continue
            answers = {}
            for asker, answer in found.items():
                for asked in self._names_of(name):
                    hits = [self._owners.get(a, a) for a in answer["names"].get(asked, ())]
                    mine = sorted(hit for hit in hits if hit.startswith(f"{name}@"))
                    if mine:
                        answers[f"{asked} for {asker}"] = mine
            seen[f"container {name}"]["names"] = answers

    def _reached(self, name: str, answer: Mapping[str, Any], outside: Outside, seen: Look) -> None:
        reached = {
            owner: word
            for (address, owner), word in zip(self._owners.items(), answer["targets"], strict=True)
            if ":" not in address and word == "reached"
        }
        six = {
            owner: word
            for (address, owner), word in zip(self._owners.items(), answer["targets"], strict=True)
            if ":" in address and word == "reached"
        }
        of = seen[f"container {name}"]
        of["reach"], of["reach over IPv6"] = reached, six
        said = answer["outside"]
        of["way out"] = {outside.engine_address: "as the machine", "no way": said}.get(
            said, "as itself"
        )

    def _ports(self, name: str, outside: Outside, ports: Ports) -> dict[str, Any]:
        document = self.documents[name]
        shown = document["NetworkSettings"]["Ports"] or {}
        if not document["HostConfig"].get("PortBindings"):
            return {}
        container: Container = self._bench.client.containers.get(document["Id"])
        found: dict[str, Any] = {"ports": {}}
        direct = {}
        for key in sorted(document["HostConfig"]["PortBindings"]):
            number, _, kind = key.partition("/")
            bound = sorted(f"{o['HostIp']} {o['HostPort']}" for o in shown.get(key) or [])
            found["ports"][key] = {"bound": bound}
            if kind != "tcp":
                continue
            ports.answer(container, int(number), name)
            if bound:
                at = int(bound[0].split()[-1])
                found["ports"][key] |= {
                    "for the engine": ports.ask(None, "127.0.0.1", at, timeout_s=2),
                    "for outside": ports.ask(
                        outside.container, outside.engine_address, at, timeout_s=2
                    ),
                }
            for network, end in self._ends(name):
                if end.get("IPAddress"):
                    asked = (outside.container, end["IPAddress"], int(number))
                    direct[f"{key} on {network}"] = ports.ask(*asked, timeout_s=2)
        if direct:
            found["direct from outside"] = direct
        return found


def _tell_who_asks(server: Any) -> None:
    """Tell everybody who connects from which address that was, until the server is closed."""
    while True:
        try:
            connection, peer = server.accept()
        except OSError:
            return
        with connection, contextlib.suppress(OSError):
            connection.sendall(str(peer[0]).encode())
