"""Which ports of the host are given out, for each address and protocol.

What a process of the host has is not known here: the kernel says so when the port is bound.

Mirrors: libnetwork portallocator/portallocator.go (v20.10).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain

from refimpl.errors import EngineError
from refimpl.libnetwork.ipam import IPAddress

_RANGES_MAX = 256
"""Of one address and protocol, whose last port is remembered."""


@dataclass(slots=True)
class _Ports:
    taken: set[int] = field(default_factory=set)
    last: dict[tuple[int, int], int] = field(default_factory=dict)
    """By range: the port that was given out last, after which the search goes on."""


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
            if preferred and preferred not in ports.taken:
                self._note(ports, first, last, preferred)
                return preferred
            if first and first == last:
                if first in ports.taken:
                    raise EngineError(
                        f"Bind for {address}:{first} failed: port is already allocated"
                    )
                ports.taken.add(first)
                return first
            found = self._find(ports, first, last)
            self._note(ports, first, last, found)
            return found

    def release(self, address: IPAddress, protocol: str, port: int) -> None:
        """Take a port back; no error when it was not given out."""
        with self._lock:
            ports = self._ports.get((address, protocol))
            if ports is not None:
                ports.taken.discard(port)
                if not ports.taken and not ports.last:
                    del self._ports[address, protocol]

    def _find(self, ports: _Ports, first: int, last: int) -> int:
        begin, end = self._bounds(first, last)
        after = ports.last.get((first, last), end)
        for port in chain(range(after + 1, end + 1), range(begin, after + 1)):
            if port not in ports.taken:
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
        ports.taken.add(port)
        if first and first == last:
            return
        if len(ports.last) >= _RANGES_MAX:
            ports.last.clear()
        ports.last[first, last] = port
