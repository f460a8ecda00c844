"""An engine's API that answers yes to every request and does nothing: proof that rows can fail.

`Nothing` answers with empty documents. `Echo` remembers what it was told, and its documents look
as if all had been done: a container runs, has an address and is a member of its networks. Neither
has a container, a namespace, a link, a file or an event.
"""

import ipaddress
import itertools
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.selftest.unix_api import VERSION, JsonHandler, UnixApi

PREDEFINED = ("bridge", "host", "none")
LONG_AGO = "0001-01-01T00:00:00Z"
NOW = "2026-11-28T00:00:00.5Z"

_numbers = itertools.count(1)


def new_id() -> str:
    """Give a full id that nothing else has."""
    return f"{next(_numbers):064x}"


class Nothing:
    """Answers with the empty document of each route."""

    def __init__(self, *, data_root: Path, pid: int) -> None:
        """Remember what the documents say of the machine.

        Args:
            data_root: the engine's folder, which is empty.
            pid: what `Echo` says is the process of every container.
        """
        self.data_root = data_root
        self.pid = pid

    def info(self) -> dict[str, Any]:
        """GET /info."""
        return {
            "IPv4Forwarding": True,
            "SystemTime": NOW,
            "DockerRootDir": str(self.data_root),
            "LiveRestoreEnabled": False,
            "Plugins": {"Network": []},
        }

    def create_container(self, _name: str, _body: dict[str, Any]) -> str:
        """POST /containers/create: give the id."""
        return new_id()

    def create_network(self, _body: dict[str, Any]) -> str:
        """POST /networks/create: give the id."""
        return new_id()

    def containers(self) -> list[dict[str, Any]]:
        """GET /containers/json."""
        return []

    def networks(self) -> list[dict[str, Any]]:
        """GET /networks."""
        return []

    def container(self, key: str) -> dict[str, Any] | None:
        """GET /containers/KEY/json; None = 404."""
        return container_document(key, "", {})

    def network(self, key: str) -> dict[str, Any] | None:
        """GET /networks/KEY; None = 404."""
        return network_document(key, {})

    def act(self, _kind: str, _key: str, _verb: str, _query: dict[str, str], _body: Any) -> None:
        """Do what a POST or a DELETE on a container or a network asks for: nothing."""


def container_document(key: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
    """Give the inspect document of a container that was created and never started."""
    asked = body.get("HostConfig") or {}
    return {
        "Id": key,
        "Name": f"/{name}",
        "Created": NOW,
        "Image": "sha256:" + "a" * 64,
        "State": {
            "Status": "created",
            "Running": False,
            "Paused": False,
            "Restarting": False,
            "OOMKilled": False,
            "Dead": False,
            "Pid": 0,
            "ExitCode": 0,
            "Error": "",
            "StartedAt": LONG_AGO,
            "FinishedAt": LONG_AGO,
        },
        "RestartCount": 0,
        "HostnamePath": "",
        "HostsPath": "",
        "ResolvConfPath": "",
        "LogPath": "",
        "ExecIDs": None,
        "Config": {"Hostname": "", "Domainname": "", "Env": [], "Labels": {}} | body,
        "HostConfig": {
            "NetworkMode": "",
            "PortBindings": None,
            "RestartPolicy": {"Name": "", "MaximumRetryCount": 0},
            "Links": None,
            "Dns": [],
            "DnsOptions": [],
            "DnsSearch": [],
            "ExtraHosts": None,
            "PublishAllPorts": False,
        }
        | asked,
        "NetworkSettings": {
            "Bridge": "",
            "SandboxID": "",
            "SandboxKey": "",
            "Ports": {},
            **EMPTY_ENDPOINT,
            "Networks": {},
        },
    }


EMPTY_ENDPOINT: dict[str, Any] = {
    "EndpointID": "",
    "Gateway": "",
    "IPAddress": "",
    "IPPrefixLen": 0,
    "IPv6Gateway": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "MacAddress": "",
}


def network_document(key: str, body: dict[str, Any]) -> dict[str, Any]:
    """Give the inspect document of a network without members."""
    return {
        "Id": key,
        "Name": "",
        "Created": NOW,
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": []},
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "Containers": {},
        "Options": {},
        "Labels": {},
    } | {key: value for key, value in body.items() if value is not None}


def subnet_of(pool: dict[str, Any]) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Give the subnet of a network's pool, or one of its own where it is none."""
    try:
        return ipaddress.ip_network(pool.get("Subnet") or "172.30.0.0/16", strict=False)
    except ValueError:
        return ipaddress.ip_network("172.30.0.0/16")


class Echo(Nothing):
    """Remembers what it was told, and says that all of it was done."""

    def __init__(self, *, data_root: Path, pid: int) -> None:
        """Begin with the predefined networks."""
        super().__init__(data_root=data_root, pid=pid)
        self._containers: dict[str, dict[str, Any]] = {}
        self._networks: dict[str, dict[str, Any]] = {}
        self._ports = itertools.count(49153)
        for number, name in enumerate(PREDEFINED):
            pool = {"Subnet": f"172.{17 + number}.0.0/16", "Gateway": f"172.{17 + number}.0.1"}
            driver = "null" if name == "none" else name
            config = [pool] if name == "bridge" else []
            self.create_network({"Name": name, "Driver": driver, "IPAM": {"Config": config}})

    def create_container(self, name: str, body: dict[str, Any]) -> str:
        """Remember it; its networks are those that the request names."""
        key = new_id()
        made = self._containers[key] = container_document(key, name or key[:12], body)
        made["Config"]["Hostname"] = body.get("Hostname") or key[:12]
        mode = made["HostConfig"]["NetworkMode"] or "default"
        made["HostConfig"]["NetworkMode"] = mode
        endpoints = ((body.get("NetworkingConfig") or {}).get("EndpointsConfig")) or {}
        network = self._find(self._networks, "bridge" if mode == "default" else mode)
        if network is not None:
            endpoints = {network["Name"]: endpoints.get(mode), **endpoints}
        networks = made["NetworkSettings"]["Networks"]
        networks.update({name: EMPTY_ENDPOINT | (asked or {}) for name, asked in endpoints.items()})
        return key

    def create_network(self, body: dict[str, Any]) -> str:
        """Remember it, with a subnet if none was asked for."""
        key = new_id()
        made = self._networks[key] = network_document(key, body)
        ipam = {"Driver": "default", "Options": None, "Config": []} | (made["IPAM"] or {})
        if not ipam["Config"] and body.get("Name") not in PREDEFINED:
            ipam["Config"] = [{"Subnet": "172.30.0.0/16"}]
        for pool in ipam["Config"]:
            subnet = subnet_of(pool)
            pool.setdefault("Gateway", str(subnet.network_address + 1))
        made["IPAM"] = ipam
        return key

    def containers(self) -> list[dict[str, Any]]:
        """List what was created."""
        return [
            {
                "Id": key,
                "Names": [one["Name"]],
                "State": one["State"]["Status"],
                "Labels": one["Config"]["Labels"],
                "Ports": [],
                "HostConfig": {"NetworkMode": one["HostConfig"]["NetworkMode"]},
                "NetworkSettings": {"Networks": one["NetworkSettings"]["Networks"]},
            }
            for key, one in self._containers.items()
        ]

    def networks(self) -> list[dict[str, Any]]:
        """List what was created."""
        return list(self._networks.values())

    def container(self, key: str) -> dict[str, Any] | None:
        """Give what is remembered."""
        return self._find(self._containers, key)

    def network(self, key: str) -> dict[str, Any] | None:
        """Give what is remembered, and the endpoints of those that run."""
        found = self._find(self._networks, key)
        if found is None:
            return None
        members = {}
        for one in self._containers.values():
            endpoint = one["NetworkSettings"]["Networks"].get(found["Name"])
            if endpoint and endpoint.get("EndpointID"):
                members[one["Id"]] = {
                    "Name": one["Name"].removeprefix("/"),
                    "EndpointID": endpoint["EndpointID"],
                    "MacAddress": endpoint["MacAddress"],
                    "IPv4Address": f"{endpoint['IPAddress']}/{endpoint['IPPrefixLen']}",
                    "IPv6Address": "",
                }
        return found | {"Containers": members}

    def _find(self, things: dict[str, dict[str, Any]], key: str) -> dict[str, Any] | None:
        for one in things.values():
            if key in (one["Id"], one["Name"], one["Name"].removeprefix("/")):
                return one
        return next((one for one in things.values() if key and one["Id"].startswith(key)), None)

    def act(self, kind: str, key: str, verb: str, query: dict[str, str], body: Any) -> None:
        """Change what is remembered."""
        found = self._find(self._containers if kind == "containers" else self._networks, key)
        if found is None:
            return
        if verb == "delete":
            self._containers.pop(found["Id"], None)
            self._networks.pop(found["Id"], None)
        elif verb in ("start", "restart"):
            self._start(found)
        elif verb in ("stop", "kill"):
            self._stop(found)
        elif verb in ("pause", "unpause"):
            found["State"]["Paused"] = verb == "pause"
            found["State"]["Status"] = "paused" if verb == "pause" else "running"
        elif verb == "rename":
            found["Name"] = f"/{query.get('name', '')}"
        elif verb in ("connect", "disconnect"):
            self._plug(verb, found, body or {})

    def _start(self, container: dict[str, Any]) -> None:
        container["State"].update(
            {"Status": "running", "Running": True, "Pid": self.pid, "StartedAt": NOW}
        )
        networks = container["NetworkSettings"]["Networks"]
        for name, endpoint in networks.items():
            networks[name] = self._endpoint(name, endpoint)
        settings = container["NetworkSettings"]
        settings["SandboxID"] = container["Id"]
        settings["SandboxKey"] = f"/proc/{self.pid}/ns/net"
        first = networks.get("bridge") or EMPTY_ENDPOINT
        settings.update({field: first.get(field) for field in EMPTY_ENDPOINT})
        for port, asked in (container["HostConfig"]["PortBindings"] or {}).items():
            settings["Ports"][port] = [
                {
                    "HostIp": one.get("HostIp") or "0.0.0.0",
                    "HostPort": one.get("HostPort") or str(next(self._ports)),
                }
                for one in asked or [{}]
            ]

    def _stop(self, container: dict[str, Any]) -> None:
        container["State"].update({"Status": "exited", "Running": False, "Pid": 0})
        container["State"]["FinishedAt"] = NOW
        settings = container["NetworkSettings"]
        settings.update({"SandboxID": "", "SandboxKey": "", "Ports": {}} | EMPTY_ENDPOINT)
        for endpoint in settings["Networks"].values():
            endpoint.update(EMPTY_ENDPOINT)

    def _plug(self, verb: str, network: dict[str, Any], body: dict[str, Any]) -> None:
        container = self._find(self._containers, str(body.get("Container")))
        if container is None:
            return
        networks = container["NetworkSettings"]["Networks"]
        if verb == "disconnect":
            networks.pop(network["Name"], None)
            return
        asked = EMPTY_ENDPOINT | (body.get("EndpointConfig") or {})
        is_running = container["State"]["Running"]
        networks[network["Name"]] = self._endpoint(network["Name"], asked) if is_running else asked

    def _endpoint(self, name: str, asked: dict[str, Any]) -> dict[str, Any]:
        """Give the settings of an endpoint on a network as if it were there."""
        network = self._find(self._networks, name) or network_document("", {})
        made = EMPTY_ENDPOINT | asked
        wanted = asked.get("IPAMConfig") or {}
        number = next(_numbers)
        made.update({"EndpointID": f"{number:064x}", "NetworkID": network["Id"]})
        for pool in network["IPAM"]["Config"]:
            subnet = subnet_of(pool)
            address = str(subnet.network_address + 2 + number % 2**16)
            if subnet.version == 4:
                made["IPAddress"] = wanted.get("IPv4Address") or address
                made["IPPrefixLen"], made["Gateway"] = subnet.prefixlen, pool["Gateway"]
            else:
                made["GlobalIPv6Address"] = wanted.get("IPv6Address") or address
                made["GlobalIPv6PrefixLen"], made["IPv6Gateway"] = subnet.prefixlen, pool["Gateway"]
        if network["IPAM"]["Config"]:
            made["MacAddress"] = asked.get("MacAddress") or f"02:42:ac:11:00:{number % 256:02x}"
        return made


class NullServer(UnixApi):
    """The API on a unix socket."""

    def __init__(self, path: Path, null: Nothing) -> None:
        """Listen; nothing is answered yet."""
        super().__init__(path, Handler)
        self.null = null

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client may hang up at any time."""


class Handler(JsonHandler):
    """One connection."""

    server: NullServer

    def handle_one(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(re.sub(r"^/v[\d.]+", "", parts.path))
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        if (self.headers.get("Transfer-Encoding") or "").lower() == "chunked":
            self.close_connection = True  # an image to import: nobody reads it
            return self.answer(200, {"status": "sha256:" + "a" * 64})
        raw = self.read()
        try:
            body = json.loads(raw or b"null")
        except ValueError:
            body = None
        with self.server.lock:
            status, document = answer_to(self.server.null, self.command, path, query, body)
        if re.fullmatch(r"/exec/\w+/start|/containers/[^/]+/attach", path):
            self.close_connection = True
            self.wfile.write(
                b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
            )
            return None
        return self.answer(status, document)

    do_GET = do_POST = do_DELETE = do_PUT = do_HEAD = handle_one


def answer_to(
    null: Nothing, method: str, path: str, query: dict[str, str], body: Any
) -> tuple[int, Any]:
    """Give the status and the document that answer one request; the lock is held."""
    body = body if isinstance(body, dict) else {}
    read = {
        "/version": lambda: VERSION,
        "/info": null.info,
        "/containers/json": null.containers,
        "/networks": null.networks,
        "/images/json": list,
        "/_ping": lambda: "OK",
        "/events": lambda: None,
        "/networks/prune": dict,
        "/containers/prune": dict,
    }
    if path in read:
        return 200, read[path]()
    if path == "/containers/create":
        return 201, {"Id": null.create_container(query.get("name", ""), body), "Warnings": []}
    if path == "/networks/create":
        return 201, {"Id": null.create_network(body), "Warning": ""}
    kind, _, rest = path.strip("/").partition("/")
    key, _, verb = rest.partition("/")
    return _about_one(null, (method, kind, key, verb), query, body)


def _about_one(
    null: Nothing, request: tuple[str, str, str, str], query: dict[str, str], body: dict[str, Any]
) -> tuple[int, Any]:
    """Answer what is about one container, network or exec."""
    method, kind, key, verb = request
    fixed: dict[str, Any] = {
        "images": {"Id": "sha256:" + "a" * 64, "RepoTags": [], "Config": {}},
        "exec": {"ExitCode": 0, "Running": False, "Pid": 0},
    }
    if kind in fixed:
        return 200, fixed[kind]
    if (method, kind, verb) in (("GET", "containers", "json"), ("GET", "networks", "")):
        found = null.container(key) if kind == "containers" else null.network(key)
        return (200, found) if found else (404, {"message": f"no such {kind[:-1]}: {key}"})
    if method == "GET":
        return 200, None
    null.act(kind, key, "delete" if method == "DELETE" else verb, query, body)
    done = (204 if kind == "containers" or method == "DELETE" else 200), None
    documents = {"exec": (201, {"Id": new_id()}), "wait": (200, {"StatusCode": 0, "Error": None})}
    return documents.get(verb, done)
