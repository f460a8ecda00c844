"""The names that the endpoints of one network answer to in the embedded DNS.

Mirrors: libnetwork network.go addSvcRecords, deleteSvcRecords, ResolveName, ResolveIP (v20.10).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from refimpl.libnetwork.ipam import IPAddress


class _Holder(NamedTuple):
    ipv4: IPv4Address
    ipv6: IPv6Address | None


class ServiceRecords:
    """Names to addresses and back; safe to use from many threads.

    A name may have several holders (a shared alias); then all their addresses are the answer.
    Names are kept in lower case, since lookups ignore case.
    """

    def __init__(self) -> None:
        self._records: dict[str, dict[str, _Holder]] = {}
        """By name, then by endpoint."""
        self._reverse: dict[IPAddress, str] = {}
        self._lock = threading.Lock()

    def add(
        self,
        endpoint_id: str,
        names: Iterable[str],
        ipv4: IPv4Address,
        ipv6: IPv6Address | None = None,
        *,
        reverse: str = "",
    ) -> None:
        """Let an endpoint answer to names.

        Args:
            endpoint_id: The holder.
            names: Every name, also one that reads as an address.
            ipv4: The holder's address.
            ipv6: Its IPv6 address, if it has one.
            reverse: The name that the addresses answer with, "" for none.
        """
        with self._lock:
            holder = _Holder(ipv4, ipv6)
            for name in names:
                self._records.setdefault(name.lower(), {})[endpoint_id] = holder
            if reverse:
                self._reverse[ipv4] = reverse
                if ipv6 is not None:
                    self._reverse[ipv6] = reverse

    def remove(self, endpoint_id: str, names: Iterable[str]) -> None:
        """Take names from an endpoint, and its addresses' reverse name with them."""
        with self._lock:
            for name in names:
                holders = self._records.get(name.lower(), {})
                holder = holders.pop(endpoint_id, None)
                if holder is None:
                    continue
                self._reverse.pop(holder.ipv4, None)
                if holder.ipv6 is not None:
                    self._reverse.pop(holder.ipv6, None)
                if not holders:
                    del self._records[name.lower()]

    def lookup(self, name: str, version: int) -> tuple[tuple[IPAddress, ...], bool]:
        """Return the addresses of a name in one family, and whether the name exists at all."""
        with self._lock:
            record = self._records.get(name.lower())
            if record is None:
                return (), False
            holders = tuple(record.values())
        if version == 4:
            return tuple(holder.ipv4 for holder in holders), True
        return tuple(holder.ipv6 for holder in holders if holder.ipv6 is not None), True

    def reverse(self, address: IPAddress) -> str:
        """Return the name of an address, "" when it has none."""
        with self._lock:
            return self._reverse.get(address, "")

    def __bool__(self) -> bool:
        """Return whether there is any name."""
        return bool(self._records)

    def has(self, name: str) -> bool:
        """Return whether this is a name, as it is kept: in lower case."""
        return name in self._records
