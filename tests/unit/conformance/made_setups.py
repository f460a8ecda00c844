"""Set-ups for the tests of `impact`: containers, networks, and what a row says of them."""

from typing import Any

from conformance.impact.setup import Container, Effect, Endpoint, Network, Pool, Setup
from conformance.registry import load_catalogue

ROWS = {row.id: row for row in load_catalogue()}


def box(*ends: Endpoint, name: str = "web", **more: Any) -> Container:
    more.setdefault("mode", ends[0].network if ends else "bridge")
    return Container(name=name, id=f"id-{name}", endpoints=ends, **more)


def on(network: str, **more: Any) -> Endpoint:
    return Endpoint(network=network, **more)


def at(network: str, number: int, **more: Any) -> Endpoint:
    """Give an endpoint with an address, and the hardware address that old Dockers make of it."""
    mac = f"02:42:0a:00:00:{number:02x}"
    return on(network, address=f"10.0.0.{number}", mac=mac, **more)


def net(name: str, **more: Any) -> Network:
    more.setdefault("pools", (Pool(subnet="10.0.0.0/24"),))
    return Network(name=name, id=f"id-{name}", **more)


def setup(*things: Container | Network, old: str = "20.10.24", new: str = "28.5.2", **more: Any):
    return Setup(
        containers=tuple(one for one in things if isinstance(one, Container)),
        networks=tuple(one for one in things if isinstance(one, Network)),
        source=old,
        target=new,
        **more,
    )


def linked(*ports: str) -> Setup:
    target = box(on("bridge"), name="db", exposed=ports)
    return setup(box(on("bridge"), links=("/db:/web/db",)), target)


SIX = net("six", has_ipv6=True)
SIX_TOO = net("six-too", has_ipv6=True)
INNER = net("inner", is_internal=True)
OFF = {"net.ipv6.conf.eth0.disable_ipv6": "1"}
MTU = {"com.docker.network.driver.mtu": "9000"}
ALL_OFF = {"net.ipv6.conf.all.disable_ipv6": "1"}
CHOSEN = "02:42:ac:00:00:99"
SIX_END = {"address6": "fd00::2"}


def effects(id: str, there: Setup) -> list[Effect]:
    predicate = ROWS[id].concerns
    assert predicate is not None
    return list(predicate(there))


def abouts(id: str, there: Setup) -> list[str]:
    return [effect.about for effect in effects(id, there)]
