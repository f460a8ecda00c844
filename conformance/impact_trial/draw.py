"""Draws set-ups of networks and containers by a seed, from the options that Docker's API has.

Knows no predicate. Every set-up has names of its own and subnets of its own, so that many of them
are on one engine at once.
"""

import ipaddress
import random
from dataclasses import asdict, dataclass, field
from typing import Any

BRIDGE_OPTION = "com.docker.network.bridge."
_FIRST_PORT = 21000


@dataclass(slots=True, kw_only=True)
class Made:
    """One container of a set-up, and what is done with it before the upgrade.

    Attributes:
        name: its name; where the engine chooses one, that one once it is made.
        is_nameless: whether the engine chooses its name.
        body: of the create request, without image and command.
        before: networks that it is connected to before its start, with the settings there.
        after: networks that it is connected to while it runs, likewise.
        leaves: networks that it leaves while it runs.
        end: "" = it runs when the engine is stopped; "created" = it never ran; "stopped" = a user
            stopped it.
    """

    name: str
    body: dict[str, Any]
    is_nameless: bool = False
    before: dict[str, dict[str, Any]] = field(default_factory=dict)
    after: dict[str, dict[str, Any]] = field(default_factory=dict)
    leaves: list[str] = field(default_factory=list)
    end: str = ""


@dataclass(slots=True, kw_only=True)
class SetUp:
    """Some networks and the containers on them.

    Attributes:
        networks: the body of each create request, by the network's name.
        containers: in the order in which they are made.
        removed: networks that are removed when the containers are there.
    """

    networks: dict[str, dict[str, Any]]
    containers: list[Made]
    removed: list[str] = field(default_factory=list)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "SetUp":
        """Read what `to_json` gave."""
        containers = [Made(**one) for one in found["containers"]]
        return cls(**{**found, "containers": containers})

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        return asdict(self)


def draw(seed: int, count: int) -> list[SetUp]:
    """Draw set-ups; the same ones for the same numbers."""
    return [_Drawer(random.Random(f"{seed}/{index}"), index).set_up() for index in range(count)]  # noqa: S311 - to be repeated


class _Drawer:
    """Draws one set-up."""

    def __init__(self, dice: random.Random, index: int) -> None:
        self._dice = dice
        self._index = index
        self._nets: dict[str, dict[str, Any]] = {}
        self._ports = iter(range(_FIRST_PORT + 20 * index, _FIRST_PORT + 20 * (index + 1)))
        self._containers: list[Made] = []

    def _is(self, chance: float) -> bool:
        return self._dice.random() < chance

    def set_up(self) -> SetUp:
        for number in range(self._dice.choice((1, 1, 2, 2, 3))):
            letter = self._dice.choice("acmxz")
            self._nets[f"s{self._index:02}-{letter}{number}"] = self._network(number)
        for number in range(self._dice.choice((1, 2, 2, 3, 3, 4))):
            self._containers.append(self._container(number))
        removed = self._leave_for_good() if self._is(0.06) else []
        return SetUp(networks=self._nets, containers=self._containers, removed=removed)

    def _network(self, number: int) -> dict[str, Any]:
        base = f"10.{100 + self._index}.{number}"
        pool: dict[str, Any] = {"Subnet": f"{base}.{1 if self._is(0.06) else 0}/24"}
        if self._is(0.15):
            pool["Gateway"] = f"{base}.254"
        if self._is(0.15):
            pool["IPRange"] = f"{base}.64/26"
        if self._is(0.1):
            pool["AuxiliaryAddresses"] = {"router": f"{base}.2"}
        body: dict[str, Any] = {
            "Driver": "bridge",
            "CheckDuplicate": True,
            "Internal": self._is(0.18),
            "IPAM": {"Config": [pool]},
            "Options": self._options(number),
        }
        if self._is(0.3):
            six = f"fd6e:6574:{self._index:x}:{number}::/64"
            body |= {"EnableIPv6": True}
            body["IPAM"]["Config"].append({"Subnet": six})
        return body

    def _options(self, number: int) -> dict[str, str]:
        chances: list[tuple[float, str, list[str]]] = [
            (0.1, f"{BRIDGE_OPTION}enable_ip_masquerade", ["false", "true"]),
            (0.1, "com.docker.network.driver.mtu", ["1400", "9000"]),
            (0.1, f"{BRIDGE_OPTION}name", [f"nb{self._index:02}{number}"]),
            (0.06, f"{BRIDGE_OPTION}enable_icc", ["false"]),
            (0.05, f"{BRIDGE_OPTION}gateway_mode_ipv4", ["routed", "nat", "isolated", "other"]),
            (0.05, f"{BRIDGE_OPTION}host_binding_ipv4", ["127.0.0.1"]),
        ]
        return {
            key: self._dice.choice(values) for chance, key, values in chances if self._is(chance)
        }

    def _container(self, number: int) -> Made:
        name = f"s{self._index:02}-c{number}"
        mode = self._mode()
        host: dict[str, Any] = {"NetworkMode": mode, **self._host_config(mode)}
        body: dict[str, Any] = {"HostConfig": host}
        has_own = mode not in ("host", "none") and not mode.startswith("container:")
        if has_own:
            self._own_settings(name, mode, body)
        if self._is(0.04) and mode == "bridge":
            body["NetworkDisabled"] = True
        made = Made(name=name, body=body, is_nameless=self._is(0.1))
        if has_own:
            self._connects(mode, made)
        elif self._is(0.1) and mode.startswith("container:"):
            made.end = "stopped"
        if not made.end and self._is(0.12):
            made.end = self._dice.choice(("created", "stopped"))
        return made

    def _mode(self) -> str:
        odd = ["host", "none"]
        running = [one.name for one in self._containers if not one.end]
        if running:
            odd += [f"container:{self._dice.choice(running)}"] * 2
        if self._is(0.12):
            return self._dice.choice(odd)
        return "bridge" if self._is(0.18) else self._dice.choice(list(self._nets))

    def _host_config(self, mode: str) -> dict[str, Any]:
        host: dict[str, Any] = {}
        if self._is(0.25):
            policy = self._dice.choice(("always", "unless-stopped", "on-failure"))
            host["RestartPolicy"] = {"Name": policy}
        if mode.startswith("container:"):
            return host
        if self._is(0.2):
            servers = ["192.0.2.53", "192.0.2.54", "2001:db8::53", "8.8.8.8"]
            host["Dns"] = self._dice.sample(servers, self._dice.choice((1, 1, 2)))
            if self._is(0.12):
                host["Dns"] = ["ns.example"]
        if self._is(0.1):
            host["DnsSearch"] = ["corp.example"]
        if self._is(0.08):
            host["DnsOptions"] = ["timeout:1"]
        if mode != "host" and self._is(0.1):
            where = self._dice.choice(("all", "all", "eth0", "eth1"))
            host["Sysctls"] = {f"net.ipv6.conf.{where}.disable_ipv6": "1"}
        return host

    def _own_settings(self, name: str, mode: str, body: dict[str, Any]) -> None:
        host = body["HostConfig"]
        if self._is(0.25):
            body["Hostname"] = self._dice.choice((f"{name}-host", f"h{self._index}", "db"))
        if self._is(0.12):
            body["MacAddress"] = f"02:42:ac:{self._index:02x}:7a:{len(self._containers):02x}"
        self._publish(body)
        peers = [
            one.name
            for one in self._containers
            if one.body["HostConfig"]["NetworkMode"] == mode and not one.end
        ]
        if mode == "bridge":
            if peers and self._is(0.6):
                host["Links"] = [f"{peer}:l{at}" for at, peer in enumerate(peers)]
            return
        endpoint = self._endpoint(mode)
        if peers and self._is(0.15):
            endpoint["Links"] = [f"{self._dice.choice(peers)}:store"]
        if endpoint:
            body["NetworkingConfig"] = {"EndpointsConfig": {mode: endpoint}}

    def _publish(self, body: dict[str, Any]) -> None:
        host = body["HostConfig"]
        if self._is(0.35):
            ports = self._dice.sample(("80/tcp", "81/tcp", "53/udp", "53/tcp", "9000/tcp"), 2)
            bindings = {}
            for port in ports[: self._dice.choice((1, 1, 2))]:
                wanted = "" if self._is(0.4) else str(next(self._ports))
                address = self._dice.choice(("", "", "", "127.0.0.1"))
                bindings[port] = [{"HostIp": address, "HostPort": wanted}]
            host["PortBindings"] = bindings
            body["ExposedPorts"] = {port: {} for port in bindings}
        if self._is(0.25):
            more = self._dice.sample(("70/tcp", "71/tcp", "72/tcp", "53/udp", "60/udp"), 3)
            body.setdefault("ExposedPorts", {}).update({port: {} for port in more})

    def _endpoint(self, network: str) -> dict[str, Any]:
        endpoint: dict[str, Any] = {}
        if self._is(0.3):
            endpoint["Aliases"] = [self._dice.choice(("web", "db", f"a{self._index}"))]
        pools = self._nets[network]["IPAM"]["Config"]
        chosen = {}
        if self._is(0.25):
            subnet = ipaddress.ip_network(pools[0]["Subnet"], strict=False)
            chosen["IPv4Address"] = str(subnet[self._dice.randrange(70, 120)])
        if len(pools) > 1 and self._is(0.3):
            six = ipaddress.ip_network(pools[1]["Subnet"])
            chosen["IPv6Address"] = str(six[self._dice.randrange(70, 120)])
        if chosen:
            endpoint["IPAMConfig"] = chosen
        if self._is(0.04):
            endpoint["DriverOpts"] = {"com.docker.network.endpoint.ifname": "front"}
        return endpoint

    def _connects(self, mode: str, made: Made) -> None:
        others = [name for name in self._nets if name != mode]
        for network in others:
            if self._is(0.35):
                where = made.before if self._is(0.5) else made.after
                where[network] = self._endpoint(network)
        if mode != "bridge" and self._is(0.08):
            made.after["bridge"] = {}
        if (made.before or made.after) and self._is(0.1):
            made.leaves.append(mode)

    def _leave_for_good(self) -> list[str]:
        """Remove a network that nobody is on any more."""
        for name in self._nets:
            users = [one for one in self._containers if name in (*one.before, *one.after)]
            made = [o for o in self._containers if o.body["HostConfig"]["NetworkMode"] == name]
            others = [other for other in self._nets if other != name]
            if len(made) == 1 and not users and others:
                made[0].after.setdefault(others[0], {})
                made[0].leaves = [name]
                made[0].end = ""
                return [name]
        return []
