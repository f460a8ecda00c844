"""The engine's own nftables table; its rules are rewritten as a whole in one transaction.

No other table is read or changed, so a firewall of the host's, or another engine's, works on
unhindered. The reverse holds too: nftables asks every table, and a packet that one of them drops
is dropped, so a host whose own FORWARD policy is DROP (as dockerd sets it) must let the bridges'
traffic to the outside through itself.

The rules say what moby's iptables chains say (libnetwork/drivers/bridge/setup_ip_tables.go,
v20.10): masquerade, DOCKER-ISOLATION-STAGE-1 and -2, the internal network's and the icc rules,
and that nobody outside begins a conversation with a container (20.10: FORWARD's policy DROP) but
through its published ports. Those are elements of maps and sets, which `ports` writes: rewriting
the rules leaves them alone.
"""

from __future__ import annotations

import errno
import hashlib
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from refimpl.kernel import nftables
from refimpl.kernel.base import FirewallHole, FirewallNetwork

_TABLE = "netinit"
_TIMEOUT_S = 30
ANY_IPV4, ANY_IPV6 = "published4", "published6"
"""Maps from a protocol and a port of every address of the host to a container's address, port."""
ONE_IPV4, ONE_IPV6 = "published4_at", "published6_at"
"""The same for a port of one address."""
OPEN_IPV4, OPEN_IPV6 = "open4", "open6"
"""Sets of a container's address, a protocol and a port, which whoever has a route may reach."""
_SETS = (
    "set bridges { type ifname; }",
    *(
        f"map {name} {{ type {host}inet_proto . inet_service : {address} . inet_service; }}"
        for name, host, address in (
            (ANY_IPV4, "", "ipv4_addr"),
            (ANY_IPV6, "", "ipv6_addr"),
            (ONE_IPV4, "ipv4_addr . ", "ipv4_addr"),
            (ONE_IPV6, "ipv6_addr . ", "ipv6_addr"),
        )
    ),
    f"set {OPEN_IPV4} {{ type ipv4_addr . inet_proto . inet_service; }}",
    f"set {OPEN_IPV6} {{ type ipv6_addr . inet_proto . inet_service; }}",
)
_PUBLISHED = (
    # a bridge lets 127.0.0.0/8 through for the host's own sake, and for nobody else's
    "chain guard {",
    "type filter hook prerouting priority raw; policy accept;",
    "iifname @bridges ip daddr 127.0.0.0/8 drop",
    "iifname @bridges ip saddr 127.0.0.0/8 drop",
    "}",
    "chain published {",
    # no packet leaves the loopback interface with this address: the relay serves it
    "ip6 daddr ::1 return",
    f"dnat ip addr . port to ip daddr . meta l4proto . th dport map @{ONE_IPV4}",
    f"dnat ip addr . port to meta l4proto . th dport map @{ANY_IPV4}",
    f"dnat ip6 addr . port to ip6 daddr . meta l4proto . th dport map @{ONE_IPV6}",
    f"dnat ip6 addr . port to meta l4proto . th dport map @{ANY_IPV6}",
    "}",
    "chain prerouting {",
    "type nat hook prerouting priority dstnat; policy accept;",
    # on a wire nobody has this address: the kernel drops it, unless it was translated before
    "ip daddr 127.0.0.0/8 return",
    "fib daddr type local jump published",
    "}",
    "chain output {",
    "type nat hook output priority -100; policy accept;",
    "fib daddr type local jump published",
    "}",
)
_BRIDGE_TRAFFIC_PASSES_FORWARD = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


class TableClaim:
    """The name of the table that an instance writes, its own for as long as the process lives.

    The first instance in a network namespace writes `netinit`, further ones a table that is named
    after their data-root. Who has `netinit` is told by a unix socket without a file: such a name
    belongs to the network namespace, as the table does, and is free again however its owner ends.

    Args:
        data_root: what tells the instance from others.
    """

    def __init__(self, data_root: str) -> None:
        own = f"{_TABLE}-{hashlib.sha256(data_root.encode()).hexdigest()[:6]}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.bind(f"\0{_TABLE}/nftables")
        except OSError as error:
            self._socket.close()
            if error.errno != errno.EADDRINUSE:
                raise
            self.table, self._other = own, ""
        else:
            self.table, self._other = _TABLE, own

    def remove_other_table(self) -> None:
        """Delete what the instance wrote when it was not the first one."""
        if self._other:
            Firewall(self._other).remove()

    def release(self) -> None:
        """Let another instance be the first one."""
        self._socket.close()


class Firewall:
    """One table of the inet family.

    Args:
        table: its name, which must be nobody else's in this network namespace.
    """

    def __init__(self, table: str = _TABLE) -> None:
        self._table = table
        self._is_written = False

    def apply(self, networks: Sequence[FirewallNetwork]) -> None:
        """Make the table say exactly this; other tables stay as they are.

        Raises:
            OSError: nft refused, or icc=false was asked for and bridged packets cannot be seen.
        """
        if any(not network.icc for network in networks):
            _show_bridged_packets_to_the_firewall()
        _run_nft(render(self._table, networks, keep_ports=self._is_written))
        self._is_written = True

    def remove(self) -> None:
        """Delete the table; no error when it is not there."""
        # not by nft: this is part of every boot, and a process takes longer than a message
        deletion = nftables.no_inet_table(self._table)
        data = nftables.transaction(deletion)
        nftables.run(data, len(deletion), f"delete the firewall table {self._table}")


def render(table: str, networks: Sequence[FirewallNetwork], *, keep_ports: bool = False) -> str:
    """Return the nft script that replaces the table's rules, as one transaction.

    Args:
        table: its name.
        networks: what it is to say.
        keep_ports: leave the elements that `ports` has written. Else the whole table is replaced:
            it may be a dead engine's.
    """
    for network in networks:
        _check_name(network.bridge)
    lines = [f"table inet {table} {{", *_SETS, "}"]
    if keep_ports:
        lines += [f"flush table inet {table}", f"flush set inet {table} bridges"]
    else:
        lines = [f"table inet {table}", f"delete table inet {table}", *lines]
    if networks:
        names = ", ".join(f'"{network.bridge}"' for network in networks)
        lines.append(f"add element inet {table} bridges {{ {names} }}")
    lines += [f"table inet {table} {{", *_PUBLISHED]
    lines += ["chain postrouting {", "type nat hook postrouting priority srcnat; policy accept;"]
    lines += [rule for network in networks for rule in _masquerade(network)]
    lines += [rule for network in networks for rule in _to_itself(network)]
    lines.append("oifname @bridges ip saddr 127.0.0.0/8 masquerade")
    lines += ["}", "chain forward {", "type filter hook forward priority filter; policy accept;"]
    for network in networks:
        inside = f'iifname "{network.bridge}" oifname "{network.bridge}"'
        lines += [rule for hole in network.holes for rule in _hole(network, hole)]
        if not network.icc:
            lines.append(f"{inside} ct status dnat accept")
        verdict = "accept" if network.icc else "drop"
        lines.append(f"{inside} {verdict}")
    for network in networks:
        if network.internal:
            lines.append(f'iifname "{network.bridge}" drop')
            lines.append(f'oifname "{network.bridge}" drop')
    # one network from another, and all of them from outside: only answers and what is asked of a
    # published port come in; a neighbour outside may ask the container's own address for that
    lines.append("iifname @bridges oifname @bridges ct status dnat accept")
    lines.append("iifname @bridges oifname @bridges drop")
    lines.append("oifname @bridges ct state established,related accept")
    lines.append(f"oifname @bridges ip daddr . meta l4proto . th dport @{OPEN_IPV4} accept")
    lines.append(f"oifname @bridges ip6 daddr . meta l4proto . th dport @{OPEN_IPV6} accept")
    lines.append("oifname @bridges drop")
    lines += ["}", "}"]
    return "\n".join(lines) + "\n"


def _check_name(name: str) -> None:
    """Refuse a name that nft would read as a pattern, or as the end of a string."""
    if not name or any(character in '"*\\' or not character.isprintable() for character in name):
        raise OSError(errno.EINVAL, f"change the firewall: {name!r} is no usable bridge name")


def _masquerade(network: FirewallNetwork) -> list[str]:
    if network.internal or not network.masquerade:
        return []
    rules = []
    for subnet in network.subnets:
        family = "ip" if subnet.version == 4 else "ip6"
        verdict = "masquerade"
        if network.snat_to is not None and subnet.version == 4:
            verdict = f"snat ip to {network.snat_to}"
        rules.append(f'{family} saddr {subnet} oifname != "{network.bridge}" {verdict}')
    return rules


def _to_itself(network: FirewallNetwork) -> list[str]:
    """Give who reaches a published port of its own bridge the gateway's address.

    Else the answer would go straight to the asker, who has not asked that address.
    """
    return [
        f"{'ip' if subnet.version == 4 else 'ip6'} saddr {subnet} "
        f'oifname "{network.bridge}" ct status dnat masquerade'
        for subnet in network.subnets
        if not network.internal
    ]


def _hole(network: FirewallNetwork, hole: FirewallHole) -> tuple[str, str]:
    """Let a request through, and its answer (libnetwork drivers/bridge/link.go)."""
    inside = f'iifname "{network.bridge}" oifname "{network.bridge}"'
    return (
        f"{inside} ip saddr {hole.source} ip daddr {hole.target} "
        f"{hole.protocol} dport {hole.port} accept",
        f"{inside} ip saddr {hole.target} ip daddr {hole.source} "
        f"{hole.protocol} sport {hole.port} accept",
    )


def _show_bridged_packets_to_the_firewall() -> None:
    path = _BRIDGE_TRAFFIC_PASSES_FORWARD
    try:
        if path.read_text(encoding="ascii").strip() != "1":
            path.write_text("1", encoding="ascii")
    except OSError as error:
        raise OSError(
            error.errno,
            f"switch off traffic between containers: {path} ({error.strerror}); "
            "is the kernel module br_netfilter loaded?",
        ) from error


def _run_nft(script: str) -> None:
    try:
        result = subprocess.run(
            ["nft", "-f", "-"],
            input=script,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(errno.ETIMEDOUT, f"change the firewall: {error}") from error
    if result.returncode != 0:
        raise OSError(f"change the firewall: nft: {result.stderr.strip()}")
