"""What dnspython does for the embedded DNS: odd questions, and the names in reverse answers.

A module of its own, because to load dnspython takes a tenth of a boot: `answers` imports it when
there is the first such question, and the program when the daemon answers, whichever comes first.
"""

from __future__ import annotations

from collections.abc import Sequence

import dns.exception
import dns.message
import dns.name


def name_to_text(labels: Sequence[bytes]) -> str:
    """Return the text of a name, without the dot at the end."""
    return dns.name.Name([*labels, b""]).to_text(omit_final_dot=True)


def name_to_wire(name: str) -> bytes | None:
    """Return a name as it stands in a message; None for what no name can be."""
    try:
        return dns.name.from_text(name).to_wire()
    except dns.exception.DNSException:
        return None


def read_payload_bytes(wire: bytes) -> int | None:
    """Return the UDP size that a query announces, 0 without; None for a malformed message."""
    try:
        message = dns.message.from_wire(wire, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return None
    return message.payload if message.edns >= 0 else 0
