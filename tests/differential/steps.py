"""What the steps of a walk are chosen from: small closed sets, so that steps meet each other.

The names of the networks stand on both sides of `bridge` in the alphabet, which is what chooses the
default route. Each has subnets of its own, so that an address never depends on chance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

CONTAINERS = ("web", "sql", "app", "job")
"""No name is a hexadecimal number: while nobody has it, it would find a container by its id."""

NETWORKS = ("alpha", "beta", "gamma", "zeta")
GHOST = "ghost"
"""A container and a network that nobody makes."""

ADDRESSES = ("", ".10", ".11", ".1", ".255", "::10", "10.99.0.5", "10.81.1", "nonsense")
"""Static addresses: an ending is completed by the network's subnet."""

ALIASES = ("", "svc", "sql", "Upper.Case")
ENDPOINT_LINKS = ("", "web:peer", "sql:peer", "ghost:peer", "a:b:c")
SIGNALS = ("KILL", "SIGUSR1", "0", "NONSENSE")
NEW_NAMES = (*CONTAINERS, "new", "x", "bad name", "")
_NUMBER = {name: number for number, name in enumerate(NETWORKS, 1)}


def _ipv4(network: str, second: int = 81) -> str:
    return f"10.{second}.{_NUMBER.get(network, 9)}"


def _ipv6(network: str) -> str:
    return f"fd81:{_NUMBER.get(network, 9)}::"


def address_in(network: str, address: str) -> str:
    """Complete an address's ending by a network's subnet; anything else is given as it is."""
    if address.startswith("."):
        return _ipv4(network) + address
    if address.startswith("::"):
        return _ipv6(network) + address.removeprefix("::")
    return address


def _pools(*pools: dict[str, Any]) -> dict[str, Any]:
    return {"IPAM": {"Config": list(pools)}}


def _plain(network: str) -> dict[str, Any]:
    return _pools({"Subnet": f"{_ipv4(network)}.0/24"})


def _dual(network: str) -> dict[str, Any]:
    pools = {"Subnet": f"{_ipv4(network)}.0/24"}, {"Subnet": f"{_ipv6(network)}/64"}
    return _pools(*pools) | {"EnableIPv6": True}


def _pool(**keys: str) -> Callable[[str], dict[str, Any]]:
    """Make a kind with one pool; `{}` in a value is the beginning of the network's addresses."""
    return lambda network: _pools({key: text.format(_ipv4(network)) for key, text in keys.items()})


def _with(**keys: Any) -> Callable[[str], dict[str, Any]]:
    """Make a kind that is plain but for some keys."""
    return lambda network: _plain(network) | keys


NETWORK_KINDS: dict[str, Callable[[str], dict[str, Any]]] = {
    "plain": _plain,
    "dual": _dual,
    "internal": _with(Internal=True),
    "gateway": _pool(Subnet="{}.0/24", Gateway="{}.254"),
    "range": _pool(Subnet="{}.0/24", IPRange="{}.128/25"),
    "tiny": _pool(Subnet="{}.0/30"),
    "host bits": _pool(Subnet="{}.77/24"),
    "auxiliary": lambda network: _pools(
        {"Subnet": f"{_ipv4(network)}.0/24", "AuxiliaryAddresses": {"x": f"{_ipv4(network)}.10"}}
    ),
    "other subnet": lambda network: _pools({"Subnet": f"{_ipv4(network, 82)}.0/24"}),
    "no icc": _with(Options={"com.docker.network.bridge.enable_icc": "false"}),
    "no masquerade": _with(Options={"com.docker.network.bridge.enable_ip_masquerade": "false"}),
    "mtu": _with(Options={"com.docker.network.driver.mtu": "1380"}),
    "labels": _with(Labels={"a": "1"}, Attachable=True),
    # what is refused; an unknown driver is not here: Docker looks for its plugin for 15 s
    "host driver": lambda _: {"Driver": "host"},
    "null driver": lambda _: {"Driver": "null"},
    "bad subnet": _pool(Subnet="nonsense"),
    "bad gateway": _pool(Subnet="{}.0/24", Gateway="nonsense"),
    "gateway elsewhere": _pool(Subnet="{}.0/24", Gateway="10.99.0.1"),
    "range elsewhere": _pool(Subnet="{}.0/24", IPRange="10.99.0.0/25"),
    "overlap": _pool(Subnet="172.17.0.0/16"),
    "two pools": lambda network: _pools(
        {"Subnet": f"{_ipv4(network)}.0/24"}, {"Subnet": f"{_ipv4(network, 83)}.0/24"}
    ),
    "bad mtu": _with(Options={"com.docker.network.driver.mtu": "nonsense"}),
    "bad icc": _with(Options={"com.docker.network.bridge.enable_icc": "nonsense"}),
    "swarm": _with(Scope="swarm"),
    "ipv6 without subnet": _with(EnableIPv6=True),
}


def _set(**keys: Any) -> Callable[[dict[str, Any]], None]:
    return lambda body: body.update(keys)


def _host_config(**keys: Any) -> Callable[[dict[str, Any]], None]:
    return lambda body: body["HostConfig"].update(keys)


CONTAINER_EXTRAS: dict[str, Callable[[dict[str, Any]], None]] = {
    "plain": lambda _: None,
    "hostname": _set(Hostname="box"),
    "dotted hostname": _set(Hostname="box.example"),
    "domain": _set(Hostname="box", Domainname="example.org"),
    "mac": _set(MacAddress="02:42:0a:51:09:09"),
    "expose": _set(ExposedPorts={"80/tcp": {}}),
    "dns": _host_config(Dns=["10.99.0.53"], DnsSearch=["example.org"], DnsOptions=["ndots:2"]),
    "extra hosts": _host_config(ExtraHosts=["one:10.99.0.1", "gate:host-gateway"]),
    "link": _host_config(Links=["sql:store"]),
    "link to many": _host_config(Links=["sql:store", "web:front"]),
    "read-only": _host_config(ReadonlyRootfs=True),
    # what is refused, at create or at start
    "odd hostname": _set(Hostname="odd;name_"),
    "bad mac": _set(MacAddress="nonsense"),
    "bad extra host": _host_config(ExtraHosts=["nonsense"]),
    "bad dns": _host_config(Dns=["nonsense"]),
    "bad link": _host_config(Links=["a:b:c"]),
    "bad command": _set(Cmd=["/nonsense"]),
    "bad image": _set(Image="nonsense"),
    "two networks": _set(NetworkingConfig={"EndpointsConfig": {"alpha": {}, "beta": {}}}),
    "other network": _set(NetworkingConfig={"EndpointsConfig": {"beta": {"Aliases": ["svc"]}}}),
    "null endpoint": _set(NetworkingConfig={"EndpointsConfig": {"alpha": None}}),
}

NONSENSE: dict[str, tuple[str, str, Any]] = {
    "create without a body": ("POST", "/containers/create", None),
    "create of a list": ("POST", "/containers/create", []),
    "create of half a document": ("POST", "/containers/create", b'{"Image":'),
    "create with a number as image": ("POST", "/containers/create", {"Image": 1}),
    "create with a text as networks": ("POST", "/containers/create", {"NetworkingConfig": "x"}),
    "create with a bad name": ("POST", "/containers/create?name=bad%20name", {"Image": "x"}),
    "network without a body": ("POST", "/networks/create", None),
    "network of half a document": ("POST", "/networks/create", b'{"Name":'),
    "network with a number as name": ("POST", "/networks/create", {"Name": 1}),
    "network without a name": ("POST", "/networks/create", {}),
    "network with a text as pools": (
        "POST",
        "/networks/create",
        {"Name": "alpha", "IPAM": {"Config": "x"}},
    ),
    "network called host": ("POST", "/networks/create", {"Name": "host"}),
    "connect without a body": ("POST", "/networks/bridge/connect", None),
    "connect of nobody": ("POST", "/networks/bridge/connect", {}),
    "connect with a number": ("POST", "/networks/bridge/connect", {"Container": 1}),
    "disconnect without a body": ("POST", "/networks/bridge/disconnect", None),
    "disconnect of nobody by force": ("POST", "/networks/bridge/disconnect", {"Force": True}),
    "inspect of no network": ("GET", "/networks/ghost", None),
    "inspect of no container": ("GET", "/containers/ghost/json", None),
    "list with a bad filter": ("GET", '/networks?filters={"nonsense":["x"]}', None),
    "list with half a filter": ("GET", "/containers/json?filters={", None),
    "no such path": ("GET", "/nonsense", None),
    "wrong method": ("PUT", "/networks/bridge", None),
}
