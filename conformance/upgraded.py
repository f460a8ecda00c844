"""What the rows `upgrade.*` look at: one set-up of the oldest release, and what became of it.

`SETUP_NETWORKS` and `SETUP_CONTAINERS` are made by the oldest release and run there. Each later
release of the path then starts on the state, as `conformance/upgrade.py` does it, and every
container is started by it. The rows only look; what a row changes is named after that row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from docker.models.containers import Container

from conformance.assertions import violated
from conformance.engines.processes import run_tool
from conformance.rawapi import Answer
from conformance.upgrade import Seen, Upgrade, look
from conformance.workbench import WAIT_FOR_EVER, Workbench

# "a-blue" is before "n-red" in the alphabet, by which Docker chooses the default route.
RED, BLUE = "n-red", "a-blue"
CHOSEN_MAC = "02:42:aa:bb:cc:dd"
CHOSEN_PORT = "18080"
PARENT = "ni-up0"
# What an administrator may put there; no packet of a row is meant by it.
USER_RULE = ("-I", "DOCKER-USER", "-s", "198.51.100.7/32", "-j", "DROP")


def _subnet(number: int, **more: Any) -> dict[str, Any]:
    return {"Config": [{"Subnet": f"10.213.{number}.0/24", **more}]}


SETUP_NETWORKS: dict[str, dict[str, Any]] = {
    RED: {"IPAM": _subnet(1), "Labels": {"colour": "red"}},
    BLUE: {"IPAM": _subnet(2), "Options": {"com.docker.network.driver.mtu": "1400"}},
    "n-auto": {},
    "n-inner": {"IPAM": _subnet(3), "Internal": True},
    "n-six": {
        "EnableIPv6": True,
        "IPAM": {"Config": [{"Subnet": "10.213.4.0/24"}, {"Subnet": "fd6e:6574:696e:4::/64"}]},
    },
    "n-ranged": {
        "IPAM": _subnet(
            5,
            IPRange="10.213.5.64/26",
            Gateway="10.213.5.254",
            AuxiliaryAddresses={"router": "10.213.5.65"},
        )
    },
    "n-named": {"IPAM": _subnet(6), "Options": {"com.docker.network.bridge.name": "ni-named"}},
    "n-spare": {"IPAM": _subnet(7)},
    "n-ipvlan": {"Driver": "ipvlan", "IPAM": _subnet(8), "Options": {"parent": PARENT}},
    "n-macvlan": {"Driver": "macvlan", "IPAM": _subnet(9), "Options": {"parent": PARENT}},
    # With bits of a host in it: accepted before Docker 25, refused since.
    "n-host-bits": {"IPAM": {"Config": [{"Subnet": "10.213.10.1/24"}]}},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One container of the set-up.

    Attributes:
        mode: its network mode.
        endpoint: its settings on the network of that mode.
        before: networks it is connected to before its start, with the settings there.
        after: networks it is connected to while it runs.
        host: the rest of its HostConfig.
        body: the rest of the create request.
        end: "" = it runs when the release is stopped; "created" = it never ran; "stopped" = a user
            stopped it.
    """

    mode: str = RED
    endpoint: dict[str, Any] = field(default_factory=dict)
    before: dict[str, dict[str, Any]] = field(default_factory=dict)
    after: dict[str, dict[str, Any]] = field(default_factory=dict)
    host: dict[str, Any] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    end: str = ""


def _at(address: str) -> dict[str, Any]:
    return {"IPAMConfig": {"IPv4Address": address}}


def _again(policy: str) -> dict[str, Any]:
    return {"RestartPolicy": {"Name": policy}}


def _published(port: str, host_port: str) -> dict[str, Any]:
    return {"PortBindings": {port: [{"HostIp": "", "HostPort": host_port}]}}


SETUP_CONTAINERS: dict[str, Role] = {
    "plain": Role(
        mode="bridge", host=_published("80/tcp", CHOSEN_PORT), body={"ExposedPorts": {"80/tcp": {}}}
    ),
    "linker": Role(mode="bridge", host={"Links": ["plain:store"]}),
    "first": Role(endpoint={"Aliases": ["shop"]}),
    "pair": Role(before={BLUE: {"Aliases": ["second"]}}),
    "late": Role(after={BLUE: {}}),
    "mixed": Role(mode="bridge", after={RED: {}}),
    "fixed": Role(endpoint=_at("10.213.1.77"), before={BLUE: _at("10.213.2.77")}),
    "joiner": Role(mode="container:fixed"),
    "chosen-mac": Role(body={"MacAddress": CHOSEN_MAC}),
    "published": Role(host=_published("80/tcp", ""), body={"ExposedPorts": {"80/tcp": {}}}),
    "user-linker": Role(endpoint={"Links": ["first:store"]}),
    "hosted": Role(mode="host"),
    "alone": Role(mode="none"),
    "always": Role(host=_again("always")),
    "unless": Role(host=_again("unless-stopped")),
    "unless-stopped": Role(host=_again("unless-stopped"), end="stopped"),
    "unborn": Role(endpoint=_at("10.213.1.88"), end="created"),
    "inner": Role(mode="n-inner"),
    "six": Role(mode="n-six", endpoint={"IPAMConfig": {"IPv6Address": "fd6e:6574:696e:4::77"}}),
    "ranged": Role(mode="n-ranged"),
    "named": Role(mode="n-named"),
    "auto": Role(mode="n-auto"),
    "host-bits": Role(mode="n-host-bits"),
    "mover": Role(),
    "renamed": Role(),
    "leaver": Role(mode="n-spare", endpoint=_at("10.213.7.77")),
}


@dataclass(slots=True, kw_only=True)
class Stage:
    """The set-up as it was at one moment of one release.

    Attributes:
        release: the engine's name in engines.toml.
        version: what it says of itself.
        containers: each container of the set-up, by its role.
        networks: the inspect document of each network, by its name.
        refused: why something was not made, or not started, by its role or name.
        is_started: whether all containers have been started.
    """

    release: str
    version: str
    containers: dict[str, Seen]
    networks: dict[str, dict[str, Any]]
    refused: dict[str, str] = field(default_factory=dict)
    is_started: bool = False

    def seen(self, role: str) -> Seen:
        """Give a container; the row FAILs where there is none, or where it was not started."""
        seen = self.containers.get(role)
        if seen is None:
            why = self.refused.get(role, "it is not there")
            violated(f"{role} on {self.release}", expected="there", actual=why)
        if self.is_started and not seen.is_running:
            why = self.refused.get(role, "it does not run")
            violated(f"{role} on {self.release}", expected="running", actual=why)
        return seen

    def network(self, name: str) -> dict[str, Any]:
        """Give a network's inspect document; the row FAILs where there is none."""
        if name not in self.networks:
            why = self.refused.get(name, "it is not there")
            violated(f"{name} on {self.release}", expected="there", actual=why)
        return self.networks[name]


@dataclass(slots=True, kw_only=True)
class Upgraded:
    """A set-up that went through an upgrade.

    Attributes:
        upgrade: the engines; the last one runs.
        bench: makes a row's own things on the last one.
        old: on the oldest release, all of it running.
        found: on the newest one, before anybody started anything.
        now: on the newest one, after all that did not run was started.
        ids: the containers' ids, by role.
    """

    upgrade: Upgrade
    bench: Workbench
    old: Stage
    found: Stage
    now: Stage
    ids: dict[str, str]

    def container(self, role: str) -> Container:
        """Give a container of the set-up on the newest release."""
        self.old.seen(role)
        self.now.seen(role)
        return self.bench.client.containers.get(self.ids[role])

    def running(self) -> Iterator[tuple[str, Seen]]:
        """Give each container that the newest release runs, with its role."""
        return ((role, seen) for role, seen in self.now.containers.items() if seen.is_running)


def pass_through(upgrade: Upgrade, releases: Sequence[str]) -> Upgraded:
    """Make the set-up on the first release and let the others take it over, one after the other.

    Args:
        upgrade: has started nothing yet; it is the caller's to end.
        releases: names in engines.toml, oldest first; at least two.
    """
    bench = upgrade.begin(releases[0])
    ids, refused = _make(bench)
    old = _stage(bench, releases[0], ids)
    old.refused.update(refused)
    for release in releases[1:]:
        bench = upgrade.go_on(release)
        found = _stage(bench, release, ids)
        refused = _start(bench, found, is_last=release == releases[-1])
        now = _stage(bench, release, ids)
        now.refused.update(refused)
        now.is_started = True
    return Upgraded(upgrade=upgrade, bench=bench, old=old, found=found, now=now, ids=ids)


def _make(bench: Workbench) -> tuple[dict[str, str], dict[str, str]]:
    """Make the set-up; give the ids of the containers and why something could not be made."""
    refused: dict[str, str] = {}
    netns = bench.host.daemon_netns().path
    words = ("link", "add", PARENT, "type", "veth", "peer", "name", "ni-up1")
    run_tool("nsenter", f"--net={netns}", "ip", *words)
    # where the chain is missing the row that looks for the rule FAILs
    run_tool("nsenter", f"--net={netns}", "iptables", *USER_RULE, check=False)
    for name, body in SETUP_NETWORKS.items():
        answer = bench.network_raw({"Driver": "bridge", "CheckDuplicate": True, **body}, name=name)
        if answer.status != 201:
            refused[name] = answer.message
    ids = {}
    for name, role in SETUP_CONTAINERS.items():
        made = bench.create_raw(_body(name, role), name=name)
        if made.status != 201:
            refused[name] = made.message
            continue
        complaint = _live(bench, name, role)
        if complaint:
            refused[name] = complaint
            bench.api("DELETE", f"/containers/{name}?force=1")
        else:
            ids[name] = str(made.json()["Id"])
    return ids, refused


def _body(name: str, role: Role) -> dict[str, Any]:
    body = {"Hostname": f"{name}-host"} if not role.mode.startswith(("host", "container")) else {}
    return {
        **body,
        "Cmd": list(WAIT_FOR_EVER),
        **role.body,
        # for Podman on a kernel that counts no processes; see conformance/engines/podman.py
        "HostConfig": {"NetworkMode": role.mode, "PidsLimit": 0, **role.host},
        "NetworkingConfig": {
            "EndpointsConfig": {role.mode: role.endpoint} if role.endpoint else {}
        },
    }


def _live(bench: Workbench, name: str, role: Role) -> str:
    """Bring a container to where the upgrade finds it; give what was refused."""
    answers = [_connect(bench, name, network, to) for network, to in role.before.items()]
    if role.end != "created":
        answers.append(bench.api("POST", f"/containers/{name}/start"))
    answers += [_connect(bench, name, network, to) for network, to in role.after.items()]
    if role.end == "stopped":
        answers.append(bench.api("POST", f"/containers/{name}/stop?t=5"))
    return "; ".join(answer.message for answer in answers if answer.status >= 400)


def _connect(bench: Workbench, name: str, network: str, endpoint: dict[str, Any]) -> Answer:
    body = {"Container": name, "EndpointConfig": endpoint}
    return bench.api("POST", f"/networks/{network}/connect", body)


def _start(bench: Workbench, found: Stage, *, is_last: bool) -> dict[str, str]:
    """Let a release start the containers, in the order in which they were made; give its refusals.

    What a restart policy has started already stays as it is, and until the last release so does
    what did not run.
    """
    refused = {}
    for role in found.containers:
        if is_last or not SETUP_CONTAINERS[role].end:
            answer = bench.api("POST", f"/containers/{role}/start")
            if answer.status >= 400:
                refused[role] = f"HTTP {answer.status}: {answer.message}"
    return refused


def _stage(bench: Workbench, release: str, ids: dict[str, str]) -> Stage:
    listed = bench.client.api.networks()
    there = {str(entry["Id"]) for entry in bench.client.api.containers(all=True)}
    return Stage(
        release=release,
        version=bench.engine.version().version,
        containers={role: look(bench, id) for role, id in ids.items() if id in there},
        networks={str(one["Name"]): bench.inspect_network(str(one["Id"])) for one in listed},
    )
