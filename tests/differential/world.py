"""One engine's world after a step of a random walk, made comparable.

A snapshot and, on top of it, what a walk can watch and a scenario need not:

    asked    who answers whom, and who knows whose name, from inside each running container
    host     the bridges of the daemon's namespace and how many ports each one has
    events   what was announced since the step began

What Docker itself leaves to chance is masked here, and only here:

* Networks other than the default one are connected in the order of a Go map. So the own lines of a
  hosts file stand in any order (sorted in the snapshot), and neighbouring `connect` or `disconnect`
  events come in any order (sorted here). Interface numbers, addresses and the
  default route do not depend on it: libnetwork sorts a sandbox's endpoints, and each address comes
  from a pool of its own network.
* A start that fails at one of several such networks has connected the others, some of them, or
  none. Until its next start that succeeds such a container is compared by what its user asked for.
"""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from tests.differential.netns_eyes import Questions, ask, links_and_routes
from tests.differential.normalise import Symbols
from tests.differential.pair import Side
from tests.differential.snapshot import snapshot

PREDEFINED = ("bridge", "host", "none")
_ANEW = re.compile(r"(?P<head><(?:short )?)(?P<kind>[A-Za-z]*I[Dd]|SandboxKey)(?P<number>#\d+)?>")
_CHANCE = ("HostsPath", "HostnamePath", "ResolvConfPath")


@dataclass
class World:
    """What is remembered of one engine during a walk.

    Attributes:
        side: the engine.
        symbols: the names of its ids after the last look.
        known: their names before it.
        since: when the step began, in the clock of this machine, which is the engine's.
    """

    side: Side
    symbols: Symbols
    known: Symbols = field(init=False)
    since: str = ""

    def __post_init__(self) -> None:
        """Begin with the names that are given."""
        self.known = self.symbols

    def begin_step(self) -> None:
        """Watch for events from now on, and keep the names of the last look."""
        self.known = self.symbols
        self.since = f"{time.time():.9f}"

    def look(self, unsure: Iterable[str], *, patience_s: float) -> dict[str, Any]:
        """Give everything that can be seen.

        Args:
            unsure: containers whose last start failed at one of several networks.
            patience_s: how long to wait for an answer from inside the containers.
        """
        # ids that are seen only in a look that is not the last one would number the later ones
        self.symbols = copy.deepcopy(self.known)
        picture = snapshot(self.side, self.symbols)
        documents = [
            self.side.get(f"/containers/{listed['Id']}/json")
            for listed in self.side.get("/containers/json?all=1")
        ]
        picture["asked"] = self.symbols.comparable(self._ask(documents, patience_s))
        picture["host"] = self.symbols.comparable(self._host())
        picture["events"] = self._events()
        for key, document in picture["containers"].items():
            if document["Name"][1:] in unsure:
                _mask(picture, key)
        return renumbered(picture)

    def _ask(self, documents: list[dict[str, Any]], patience_s: float) -> dict[str, Any]:
        """Ask from each sandbox for every address and every name that there is."""
        running = [document for document in documents if document["State"]["Running"]]
        addresses: set[str] = set()
        names: set[str] = set()
        for document in documents:
            names |= {document["Name"][1:], document["Config"]["Hostname"], document["Id"][:12]}
            for network, endpoint in (document["NetworkSettings"]["Networks"] or {}).items():
                names |= {*(endpoint["Aliases"] or ()), f"{document['Name'][1:]}.{network}"}
                names |= {link.partition(":")[2] for link in endpoint["Links"] or ()}
                if document in running:
                    addresses |= {endpoint["IPAddress"], endpoint["Gateway"]}
                    addresses |= {endpoint["GlobalIPv6Address"]}
        questions = {
            document["Name"][1:]: Questions(
                netns=f"/proc/{document['State']['Pid']}/ns/net",
                pings=tuple(sorted(addresses - {""})),
                names=tuple(sorted(names - {""})),
            )
            for document in running
            if not document["State"]["Restarting"]
        }
        return ask(questions, patience_s=patience_s)

    def _host(self) -> dict[str, Any]:
        links, _ = links_and_routes(str(self.side.host.daemon_netns().path))
        names = {link["ifindex"]: link["ifname"] for link in links}
        bridges: dict[str, Any] = {
            link["ifname"]: {
                "addresses": sorted(
                    f"{address['local']}/{address['prefixlen']}"
                    for address in link["addr_info"]
                    if address["scope"] != "link"
                ),
                "mtu": link["mtu"],
                "ports": sum(1 for port in links if port.get("master") == link["ifname"]),
            }
            for link in links
            if link.get("linkinfo", {}).get("info_kind") == "bridge"
        }
        loose = [
            link
            for link in links
            if link.get("linkinfo", {}).get("info_kind") == "veth" and "master" not in link
        ]
        return bridges | {"ports of no bridge": len(loose), "links": len(names)}

    def _events(self) -> list[Any]:
        until = f"{time.time():.9f}"
        answer = self.side.request("GET", f"/events?since={self.since}&until={until}")
        found = []
        for line in answer.body.splitlines():
            raw = json.loads(line)
            shown = {key: raw.get(key) for key in ("Type", "Action", "Actor", "status", "id")}
            found.append(self.symbols.comparable(shown))
        return [
            event
            for _, run in groupby(found, lambda event: (event["Type"], event["Action"]))
            for event in _in_any_order(list(run))
        ]


def _in_any_order(run: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if run[0]["Type"] != "network":
        return run
    return sorted(run, key=lambda event: json.dumps(event, sort_keys=True))


def renumbered(document: Any) -> Any:
    """Count the ids that only a run made anew, from what is left of a document.

    What was masked, and what an engine showed in earlier steps, is then not counted.
    """
    numbers: dict[str, dict[str, int]] = {}

    def count(found: re.Match[str]) -> str:
        seen = numbers.setdefault(found["kind"], {})
        number = seen.setdefault(found["number"] or "", len(seen) + 1)
        return f"{found['head']}{found['kind']}#{number}>"

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {_ANEW.sub(count, key): walk(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [walk(entry) for entry in value]
        return _ANEW.sub(count, value) if isinstance(value, str) else value

    return walk(document)


def _mask(picture: dict[str, Any], key: str) -> None:
    """Leave of a container only what does not depend on the order of its networks."""
    document = picture["containers"][key]
    for field_name in _CHANCE:
        document[field_name] = "<chance>"
    document["State"]["Error"] = "<chance>"
    document["NetworkSettings"] = picture["ps"][key]["NetworkSettings"] = {
        network: endpoint["IPAMConfig"]
        for network, endpoint in document["NetworkSettings"]["Networks"].items()
    }
    picture["files"][key] = "<chance>"
    picture["events"] = [
        event
        for event in picture["events"]
        if event["Type"] != "network" or event["Action"] not in ("connect", "disconnect")
    ]
