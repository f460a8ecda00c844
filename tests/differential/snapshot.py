"""All that an engine shows at one moment: documents, files, and what the kernel has.

A snapshot is a comparable document with the keys

    ps           GET /containers/json?all=1, by name, and the order of the names
    containers   GET /containers/NAME/json
    list         GET /networks, by name
    networks     GET /networks/NAME, and the verbose one
    files        hosts, hostname and resolv.conf of each container, on disk and as seen inside
    netns        links, addresses, routes and IPv6 switches of each running container, or whose
                 they are
"""

from __future__ import annotations

import itertools
import json
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.differential.normalise import Symbols
from tests.differential.pair import Side

FILES = {"hosts": "HostsPath", "hostname": "HostnamePath", "resolv.conf": "ResolvConfPath"}
_SWITCHES = "/proc/sys/net/ipv6/conf"
_LOOK = (
    "ip -j -d address show; ip -j -4 route show; ip -j -6 route show; "
    f"cd {_SWITCHES} && grep . */disable_ipv6"
)
_IP_TIMEOUT_S = 20
_SETTLES_S = 5.0
"""How long a link may stay between two states: the kernel's worker takes a moment, or a second."""
_INTERVAL_S = 0.02
_VOLATILE_LINK_KEYS = ("ifindex", "link_index", "link_netnsid", "group")
_PASSING_ADDRESS_KEYS = ("tentative", "dadfailed")


def symbols_of(side: Side) -> Symbols:
    """Give names for an engine's ids: its image's and its own networks' are known."""
    inside = side.host.inside
    symbols = Symbols(
        {
            str(inside.data_root): "<data-root>",
            str(inside.exec_root): "<exec-root>",
            # its tag is a digest, which is a layer's id for one of the two
            side.image: "<image name>",
        }
    )
    symbols.learn(side.image_id, "image")
    return symbols


def snapshot(side: Side, symbols: Symbols) -> dict[str, Any]:
    """Look at everything; new ids get the names of their containers and networks."""
    containers = {
        _learned(symbols, "container", entry["Id"], _name(entry)): entry
        for entry in side.get("/containers/json?all=1")
    }
    networks = {
        _learned(symbols, "network", network["Id"], network["Name"]): network
        for network in sorted(side.get("/networks"), key=lambda network: str(network["Created"]))
    }
    inspected = {
        name: side.get(f"/containers/{entry['Id']}/json") for name, entry in containers.items()
    }
    found = {
        "ps": containers,
        "ps order": list(containers),
        "containers": inspected,
        "list": networks,
        "networks": {
            name: side.get(f"/networks/{network['Id']}") for name, network in networks.items()
        },
        "verbose": {
            name: side.get(f"/networks/{network['Id']}?verbose=1")
            for name, network in networks.items()
        },
        "files": {name: _files(side, document) for name, document in inspected.items()},
        "netns": _namespaces(side, inspected),
    }
    return {key: symbols.comparable(part) for key, part in found.items()}


def _name(listed: dict[str, Any]) -> str:
    """Give a container's own name; a link gives it further ones, which have a slash inside."""
    names = [name.removeprefix("/") for name in listed["Names"] or []]
    return next((name for name in names if "/" not in name), "(no name)")


def _learned(symbols: Symbols, kind: str, identifier: str, name: str) -> str:
    """Name an id; give the name without the kind, which tells two objects of one name apart."""
    return symbols.learn(identifier, f"{kind} {name}").removeprefix(f"{kind} ")


def _files(side: Side, document: dict[str, Any]) -> dict[str, Any]:
    pid = document["State"]["Pid"]
    found = {}
    for name, key in FILES.items():
        path = document[key]
        found[name] = {
            "on disk": _read(side.host.file(path)) if path else None,
            "inside": _read(Path(f"/proc/{pid}/root/etc/{name}")) if pid else None,
        }
    return found


def _read(path: Path) -> str | None:
    try:
        text = path.read_bytes().decode(errors="replace")
    except OSError:
        return None
    return in_any_order(text) if path.name == "hosts" else text


def in_any_order(hosts: str) -> str:
    """Sort a container's own lines, and its links' lines, where they follow one another.

    There is one for each network, and one for each alias of a link, and Docker goes through a map
    of those: in no order. A link's line is one of several names.
    """

    def kind(line: str) -> str:
        names = line.partition("\t")[2]
        return "(several)" if " " in names else names

    # at newlines only: an engine may leave a carriage return, an empty line, or no last newline
    by_kind = itertools.groupby(hosts.split("\n"), key=kind)
    return "\n".join(
        line for names, lines in by_kind for line in (sorted(lines) if names else lines)
    )


def _namespaces(side: Side, inspected: dict[str, dict[str, Any]]) -> dict[str, Any]:
    owners = {side.host.daemon_netns().inode(): "(the daemon's)"}
    found: dict[str, Any] = {}
    for name, document in sorted(inspected.items()):
        pid = document["State"]["Pid"]
        if not pid:
            continue
        path = Path(f"/proc/{pid}/ns/net")
        try:
            inode = path.stat().st_ino
        except OSError:
            found[name] = "(ended)"
            continue
        found[name] = owners[inode] if inode in owners else _look_into(path)
        owners.setdefault(inode, f"(that of {name})")
    return found


def _look_into(netns: Path) -> dict[str, Any]:
    """Look at a namespace when its links have settled, or after some seconds as they are."""
    deadline = time.monotonic() + _SETTLES_S
    while True:
        found = _look_once(netns)
        if all(map(has_settled, found["links"].values())) or time.monotonic() > deadline:
            return found
        time.sleep(_INTERVAL_S)


def has_settled(link: dict[str, Any]) -> bool:
    """Say whether a link's operational state is that of its carrier.

    The carrier (the flag LOWER_UP) changes at once; the state follows when a worker of the kernel
    has seen it: for a moment a link with a carrier is UNKNOWN or DOWN, and one without is UP.
    """
    flags = link["flags"]
    if "LOOPBACK" in flags or "UP" not in flags:
        return True
    return bool((link["operstate"] == "UP") == ("LOWER_UP" in flags))


def _look_once(netns: Path) -> dict[str, Any]:
    done = subprocess.run(
        ["nsenter", f"--net={netns}", "sh", "-c", _LOOK],
        capture_output=True,
        text=True,
        timeout=_IP_TIMEOUT_S,
        check=False,
    )
    *documents, switches = done.stdout.split("\n", 3)
    links, routes, routes6 = (json.loads(line or "[]") for line in documents)
    return {
        "links": {link["ifname"]: _link(link) for link in links if link},
        "routes": [route for route in routes if route],
        "routes6": [route for route in routes6 if route],
        "disable_ipv6": dict(line.split("/disable_ipv6:") for line in switches.splitlines()),
    }


def _link(link: dict[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in link.items() if key not in _VOLATILE_LINK_KEYS}
    shown["flags"] = sorted(link.get("flags", []))
    shown["addr_info"] = [
        {key: value for key, value in address.items() if key not in _PASSING_ADDRESS_KEYS}
        for address in link.get("addr_info", [])
    ]
    return shown
