"""Sockets inside a container's network namespace, used from here.

A socket belongs for ever to the namespace in which it was made, whoever holds it: what is sent
over it is what a process of the container would send, and a server on it is one of the
container's, with nothing to install in the container's image.
"""

import contextlib
import errno
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from docker.models.containers import Container

from conformance.assertions import violated
from conformance.engines.base import EngineError
from conformance.observe.host import HostView

_TIMEOUT_S = 30
_TRIES_BESIDE_OTHERS = 3
_CLOSED_PORT = (errno.ECONNREFUSED, errno.ECONNRESET)
_NO_WAY = (
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EACCES,
    errno.EPERM,
    errno.EADDRNOTAVAIL,
    errno.EINVAL,  # 127.0.0.1 is led to where no packet from it may go
)

# Run inside the namespace: makes the socket there and hands it out over a unix socket.
_MAKER = """
import socket, sys
channel, family, kind, protocol = (int(word) for word in sys.argv[1:])
made = socket.socket(family, kind, protocol)
socket.send_fds(socket.socket(fileno=channel), [b"1"], [made.fileno()])
"""


def socket_in(
    netns: Path, family: socket.AddressFamily, kind: socket.SocketKind, protocol: int = 0
) -> socket.socket:
    """Make a socket in a network namespace that a file names.

    Raises:
        EngineError: the namespace cannot be entered.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        python = (sys.executable, "-I", "-S", "-c", _MAKER)
        words = (str(int(word)) for word in (theirs.fileno(), family, kind, protocol))
        done = subprocess.run(
            ["nsenter", f"--net={netns}", *python, *words],
            pass_fds=[theirs.fileno()],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            raise EngineError(f"no socket can be made in {netns}: {done.stderr.strip()}")
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    return socket.socket(fileno=descriptors[0])


class Sockets:
    """Makes a row's sockets and closes them when the row ends: an open one pins its namespace.

    Attributes:
        tries_apart: how often to try what networks are kept from; see `outcome_apart`.
    """

    def __init__(self, host: HostView, *, are_others_at_work: bool = False) -> None:
        """Begin without sockets.

        Args:
            host: the engine seen from the machine.
            are_others_at_work: somebody else may make networks on the engine at any moment.
        """
        self._host = host
        self.tries_apart = _TRIES_BESIDE_OTHERS if are_others_at_work else 1
        self._open = contextlib.ExitStack()

    def close(self) -> None:
        """Close every socket that was made."""
        self._open.close()

    def netns_path(self, where: Container | None) -> Path:
        """Give the file of a running container's namespace; None means the engine's own."""
        if where is None:
            return self._host.daemon_netns().path
        where.reload()
        return self._host.netns_of(where.attrs["State"]["Pid"]).path

    def make(self, where: Container | None, kind: str, *, ipv6: bool = False) -> socket.socket:
        """Make a socket in a container, or with None in the engine's namespace.

        Args:
            where: whose namespace.
            kind: "tcp", "udp" or "sctp".
            ipv6: the socket's family.
        """
        family = socket.AF_INET6 if ipv6 else socket.AF_INET
        stream = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
        protocol = socket.IPPROTO_SCTP if kind == "sctp" else 0
        made = socket_in(self.netns_path(where), family, stream, protocol)
        self._open.callback(made.close)
        made.settimeout(5)
        return made

    def serve(
        self, where: Container | None, address: str = "", port: int = 0, *, kind: str = "tcp"
    ) -> socket.socket:
        """Bind a socket and, with "tcp", listen; the kernel then takes connections by itself.

        Args:
            where: whose namespace.
            address: IPv4 or IPv6; "" = every IPv4 address.
            port: 0 = a free one; `.getsockname()[1]` tells it.
            kind: "tcp", "udp" or "sctp".
        """
        made = self.make(where, kind, ipv6=":" in address)
        if kind != "udp":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((address, port))
        except OSError as exc:
            if where is None:
                raise
            what = f"{address or 'every address'}, port {port}, in the container"
            violated(what, expected="free for a server", actual=exc.strerror)
        if kind != "udp":
            made.listen()
        return made

    def outcome(
        self, where: Container | None, address: str, port: int, *, timeout_s: float = 1
    ) -> str:
        """Try a TCP connection; give "connected", "refused", "unreachable" or "silence".

        "refused" says that a host was reached whose port is closed.
        """
        made = self.make(where, "tcp", ipv6=":" in address)
        made.settimeout(timeout_s)
        try:
            made.connect((address, port))
        except OSError as exc:
            return failure_word(exc)
        return "connected"

    def outcome_apart(self, where: Container | None, address: str, port: int) -> str:
        """Try a TCP connection that two networks are kept from; give the outcome that lasts.

        While somebody else makes a network, Docker takes the jump to its isolation rules away and
        inserts it again (libnetwork iptables EnsureJumpRule v20.10): one try may get through.
        """
        outcomes = (self.outcome(where, address, port) for _ in range(self.tries_apart))
        return next((one for one in outcomes if one != "connected"), "connected")

    def bound_ports(self, where: Container, kind: str, address: str) -> list[int]:
        """Give the ports on which anything listens at an IPv4 address in a container."""
        table = self.netns_path(where).parents[1] / "net" / kind
        wanted = socket.inet_aton(address)[::-1].hex().upper()
        listening = "0A" if kind == "tcp" else "07"
        rows = (line.split() for line in table.read_text(encoding="ascii").splitlines()[1:])
        places = (row[1].split(":") for row in rows if row[3] == listening)
        return sorted(int(port, 16) for host, port in places if host == wanted)

    def received(self, server: socket.socket, *, timeout_s: float = 2) -> bytes:
        """Give the next datagram that reaches a socket, b"" when none does in time."""
        return self.received_from(server, timeout_s=timeout_s)[0]

    def received_from(self, server: socket.socket, *, timeout_s: float = 2) -> tuple[bytes, Any]:
        """Give the next datagram that reaches a socket, and where it came from: address, port.

        When none does in time it is b"" from ("", 0).
        """
        server.settimeout(timeout_s)
        try:
            return server.recvfrom(65535)
        except TimeoutError:
            return b"", ("", 0)

    def source_seen(self, server: socket.socket) -> str:
        """Accept the next connection of a TCP server; give the address it came from."""
        connection, peer = server.accept()
        connection.close()
        return str(peer[0])


def failure_word(error: OSError) -> str:
    """Say why nobody was reached: "refused", "unreachable" or "silence".

    Raises:
        OSError: the error itself, where it says something else.
    """
    if isinstance(error, TimeoutError):
        return "silence"
    if error.errno in _CLOSED_PORT:
        return "refused"
    if error.errno in _NO_WAY:
        return "unreachable"
    raise error


def address_in(container: Container, network: Any, field: str = "IPAddress") -> str:
    """Give a container's address on a network as inspect has it now."""
    container.reload()
    endpoint = container.attrs["NetworkSettings"]["Networks"][network.name]
    return str(endpoint[field])


def resolv_conf_of(container: Container) -> str:
    """Read a running container's /etc/resolv.conf as its processes see it."""
    container.reload()
    pid = container.attrs["State"]["Pid"]
    path = Path(f"/proc/{pid}/root/etc/resolv.conf")
    return path.read_bytes().decode(errors="replace") if os.path.lexists(path) else ""
