"""Ports as a client writes them: `80`, `80/udp`, `8000-8010/tcp`.

Mirrors: go-connections nat/nat.go and nat/parse.go (as vendored by moby v20.10).
"""

from __future__ import annotations

import re

from refimpl.limits import PORT_MAX
from refimpl.model.strconv import quote

PROTOCOLS = frozenset({"tcp", "udp", "sctp"})
"""Whose ports can be exposed and published."""
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_DIGITS_MAX = 5


def split_proto_port(text: str) -> tuple[str, str]:
    """Return protocol and port of `port/protocol`; both are "" where there is no port.

    Mirrors: nat.SplitProtoPort.
    """
    port, _, rest = text.partition("/")
    if not port:
        return "", ""
    return rest.partition("/")[0] or "tcp", port


def parse_port(text: str) -> int:
    """Return the number of a port; "" is 0.

    Mirrors: nat.ParsePort.

    Raises:
        ValueError: with Go's text, `strconv.ParseUint: parsing "x": invalid syntax`.
    """
    if not text:
        return 0
    if not _DIGITS.fullmatch(text):
        raise ValueError(f"strconv.ParseUint: parsing {quote(text)}: invalid syntax")
    digits = text.lstrip("0") or "0"
    # the length first: Python refuses to convert thousands of digits
    if len(digits) > _DIGITS_MAX or int(digits) > PORT_MAX:
        raise ValueError(f"strconv.ParseUint: parsing {quote(text)}: value out of range")
    return int(digits)


def parse_port_range(text: str) -> tuple[int, int]:
    """Return the first and the last port of `80` or `80-90`.

    Mirrors: nat.ParsePortRange, which looks at no more than two numbers.

    Raises:
        ValueError: with Go's text.
    """
    if not text:
        raise ValueError("Empty string specified for ports.")
    first, *more = text.split("-")
    start = _parse_part(first)
    end = _parse_part(more[0]) if more else start
    if end < start:
        raise ValueError(f"Invalid range specified for the Port: {text}")
    return start, end


def _parse_part(text: str) -> int:
    if not text:
        raise ValueError('strconv.ParseUint: parsing "": invalid syntax')
    return parse_port(text)


def parse_host_port(text: str) -> tuple[int, int]:
    """Return the first and the last port of a binding's HostPort; 0 and 0 for the engine's choice.

    Mirrors: nat.NewPort of nat.SplitProtoPort, and Port.Range.

    Raises:
        ValueError: with Go's text.
    """
    _, port = split_proto_port(text)
    return parse_port_range(port) if port else (0, 0)
