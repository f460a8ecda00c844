"""What the embedded DNS answers: a question and a sandbox's names in, a message out.

Pure: no sockets here. What it cannot answer itself it hands back to be forwarded.

Mirrors: libnetwork resolver.go (v20.10).
"""

from __future__ import annotations

import random
from collections.abc import Callable, MutableSequence
from typing import Any, Protocol

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

from refimpl.libnetwork.ipam import IPAddress, parse_ip
from refimpl.limits import DNS_TTL_S, DNS_UDP_PAYLOAD_BYTES

Shuffle = Callable[[MutableSequence[Any]], None]


class Backend(Protocol):
    """What the resolver asks a sandbox.

    Called from the resolver's thread, so it takes no lock that is held across kernel operations.
    """

    @property
    def upstreams(self) -> tuple[str, ...]:
        """Addresses of the nameservers for everything that is not ours."""

    @property
    def ndots_set(self) -> bool:
        """Whether the user set ndots."""

    def resolve_name(self, name: str, version: int) -> tuple[tuple[IPAddress, ...], bool]:
        """Return addresses of a name, and whether the name exists without one of this family."""

    def resolve_ip(self, address: IPAddress) -> str:
        """Return the name of an address, "" for none."""


def parse_query(wire: bytes) -> dns.message.Message | None:
    """Read a query; None for what is no question at all and gets no answer."""
    try:
        query = dns.message.from_wire(wire)
    except (dns.exception.DNSException, ValueError):
        return None
    return None if query.flags & dns.flags.QR else query


def answer(
    query: dns.message.Message, backend: Backend, shuffle: Shuffle = random.shuffle
) -> dns.message.Message | None:
    """Return the answer to a query, or None when an upstream server has to be asked.

    Args:
        query: The question.
        backend: The sandbox that asks.
        shuffle: Mixes the addresses of a name with several holders, so that they take turns.
    """
    if query.opcode() != dns.opcode.QUERY or len(query.question) != 1:
        return failure(query, dns.rcode.NOTIMP if query.question else dns.rcode.FORMERR)
    question = query.question[0]
    if question.rdclass != dns.rdataclass.IN:
        return None
    match question.rdtype:
        case dns.rdatatype.A | dns.rdatatype.AAAA:
            response = _answer_address(query, backend, shuffle)
        case dns.rdatatype.MX:
            response = _answer_mail_exchange(query, backend)
        case dns.rdatatype.PTR:
            response = _answer_pointer(query, backend)
        case _:
            response = None
    return response


def failure(query: dns.message.Message, rcode: dns.rcode.Rcode) -> dns.message.Message:
    """Return an answer that says only what went wrong."""
    response = _response(query)
    response.set_rcode(rcode)
    return response


def to_wire(query: dns.message.Message, response: dns.message.Message, *, udp: bool) -> bytes:
    """Encode an answer; one that a UDP client has no room for is cut and marked truncated."""
    if not udp:
        return response.to_wire(max_size=65535)
    size = max(DNS_UDP_PAYLOAD_BYTES, query.payload if query.edns >= 0 else 0)
    try:
        return response.to_wire(max_size=size)
    except dns.exception.TooBig:
        cut = _response(query)
        cut.flags |= dns.flags.TC
        return cut.to_wire(max_size=size)


def _response(query: dns.message.Message) -> dns.message.Message:
    response = dns.message.make_response(query, recursion_available=True, our_payload=4096)
    response.set_rcode(dns.rcode.NOERROR)
    return response


def _answer_address(
    query: dns.message.Message, backend: Backend, shuffle: Shuffle
) -> dns.message.Message | None:
    question = query.question[0]
    version = 4 if question.rdtype == dns.rdatatype.A else 6
    name = question.name.to_text(omit_final_dot=True)
    addresses, is_miss = backend.resolve_name(name, version)
    if not addresses:
        # our name without such an address: NOERROR and nothing in it. A single label with a
        # user's ndots: likewise, so that the client goes on with its search domains.
        is_root_label = backend.ndots_set and "." not in name
        return _response(query) if is_miss or is_root_label else None
    mixed = list(addresses)
    if len(mixed) > 1:
        shuffle(mixed)
    response = _response(query)
    response.answer.append(
        dns.rrset.from_text(
            question.name,
            DNS_TTL_S,
            dns.rdataclass.IN,
            question.rdtype,
            *(str(address) for address in mixed),
        )
    )
    return response


def _answer_mail_exchange(
    query: dns.message.Message, backend: Backend
) -> dns.message.Message | None:
    """Return nothing without an error for a name of ours, which then takes its mail itself."""
    name = query.question[0].name.to_text(omit_final_dot=True)
    is_ours = any(backend.resolve_name(name, version)[0] for version in (4, 6))
    return _response(query) if is_ours else None


def _answer_pointer(query: dns.message.Message, backend: Backend) -> dns.message.Message | None:
    question = query.question[0]
    try:
        address = parse_ip(dns.reversename.to_address(question.name))
    except (dns.exception.DNSException, ValueError):
        return None
    name = "" if address is None else backend.resolve_ip(address)
    if not name:
        return None
    try:
        target = dns.name.from_text(name)
    except dns.exception.DNSException:
        # a network may be called what no DNS name can be
        return None
    response = _response(query)
    response.answer.append(
        dns.rrset.from_text(
            question.name, DNS_TTL_S, dns.rdataclass.IN, dns.rdatatype.PTR, target.to_text()
        )
    )
    return response
