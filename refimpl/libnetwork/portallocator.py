"""Which ports of the host are given out, for each address and protocol.

What a process of the host has is not known here: the kernel says so when the port is bound.

Mirrors: libnetwork portallocator/portallocator.go (v20.10).
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from dataclasses import dataclass, field

from refimpl.errors import EngineError
from refimpl.libnetwork.ipam import IPAddress

_RANGES_MAX = 256
"""Of one address and protocol, whose last port is remembered."""


@dataclass(slots=True)
class _Ports:
    taken: list[int] = field(default_factory=list)
    """In order."""
    last: dict[tuple[int, int], int] = field(default_factory=dict)
    """By range: the port that was given out last, after which the search goes on."""

    def is_taken(self, port: int) -> bool:
        at = bisect_left(self.taken, port)
        return at < len(self.taken) and self.taken[at] == port

    def take(self, port: int) -> None:
        insort(self.taken, port)

    def give_back(self, port: int) -> None:
        if self.is_taken(port):
            del self.taken[bisect_left(self.taken, port)]

    def free_from(self, begin: int) -> int:
        """Return the first port from here on that is free; no step for each of the others."""
        taken = self.taken
        at = bisect_left(taken, begin)
        # those that follow `begin` without a gap are as far from it as from the first of them
        gap = bisect_right(range(len(taken)), begin - at, lo=at, key=lambda i: taken[i] - i)
        return begin + gap - at


class PortAllocator:
    """The ports that one engine has given out.

    Args:
        ephemeral_ports: tells the first and the last port to choose from; asked once.
    """

    def __init__(self, ephemeral_ports: Callable[[], tuple[int, int]]) -> None:
        self._ephemeral_ports = ephemeral_ports
        self._ephemeral: tuple[int, int] | None = None
        self._ports: dict[tuple[IPAddress, str], _Ports] = {}
        self._lock = threading.Lock()

    def request(
        self, address: IPAddress, protocol: str, first: int, last: int, *, preferred: int = 0
    ) -> int:
        """Give out a port of a range.

        Args:
            address: of the host, or the unspecified one.
            protocol: tcp, udp or sctp.
            first: of the range; 0 for the ephemeral one.
            last: of the range.
            preferred: is given out if it is free: the one that the other family has got.

        Raises:
            EngineError: `Bind for <address>:<port> failed: port is already allocated`,
                `all ports are allocated`, or `invalid port range` for one that begins with 0.
        """
        with self._lock:
            ports = self._ports.setdefault((address, protocol), _Ports())
            if preferred and not ports.is_taken(preferred):
                self._note(ports, first, last, preferred)
                return preferred
            if first and first == last:
                if ports.is_taken(first):
                    raise EngineError(
                        f"Bind for {address}:{first} failed: port is already allocated"
                    )
                ports.take(first)
                return first
            found = self._find(ports, first, last)
            self._note(ports, first, last, found)
            return found

    def release(self, address: IPAddress, protocol: str, port: int) -> None:
        """Take a port back; no error when it was not given out."""
        with self._lock:
            ports = self._ports.get((address, protocol))
            if ports is not None:
                ports.give_back(port)
                if not ports.taken and not ports.last:
                    del self._ports[address, protocol]

    def _find(self, ports: _Ports, first: int, last: int) -> int:
        begin, end = self._bounds(first, last)
        after = ports.last.get((first, last), end)
        for low, high in ((after + 1, end), (begin, after)):
            port = ports.free_from(low)
            if port <= high:
                return port
        raise EngineError("all ports are allocated")

    def _bounds(self, first: int, last: int) -> tuple[int, int]:
        if first and last:
            return first, last
        if last:
            raise EngineError(f"invalid port range: {first}-{last}")
        if self._ephemeral is None:
            self._ephemeral = self._ephemeral_ports()
        return self._ephemeral

    @staticmethod
    def _note(ports: _Ports, first: int, last: int, port: int) -> None:
        ports.take(port)
        if first and first == last:
            return
        if len(ports.last) >= _RANGES_MAX:
            ports.last.clear()
        ports.last[first, last] = port
