"""Servers in containers' namespaces, and clients anywhere, for the tests of published ports.

Run as a program it serves: every connection and every packet is answered with a name and the
asker's address.

    python -m tests.kernel.ports_stage NAME PORT
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.kernel.docker_cli import IMAGE, ROOT, WAIT_S, load_image, tool
from tests.kernel.own_engine import NETNS, Engine, own_engine

OUTSIDE = f"ni-ports-{os.getpid()}"
HOST, ASKER = "192.0.2.1", "192.0.2.2"
HOST6, ASKER6 = "2001:db8:5::1", "2001:db8:5::2"
ASK_S = 5.0
_ASK = """
import json, socket, sys
family, kind, address, port, own_port = json.loads(sys.argv[1])
one = socket.socket(family, kind)
one.settimeout(%s)
try:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if own_port:
        one.bind(("", own_port))
    one.connect((address, port))
    one.send(b"?")
    print(one.recv(1000).decode(), end="")
except OSError as error:
    print(type(error).__name__, end="")
"""
KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def ask(
    namespace: str, address: str, port: int, kind: str = "tcp", *, own_port: int = 0,
    wait_s: float = ASK_S,
) -> str:  # fmt: skip
    """Ask from a namespace; return the answer, or the name of the error."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    question = json.dumps([family, KINDS[kind], address, port, own_port])
    done = subprocess.run(
        ["nsenter", f"--net={namespace}", sys.executable, "-c", _ASK % wait_s, question],
        capture_output=True, text=True, check=True, timeout=WAIT_S,
    )  # fmt: skip
    return done.stdout


class Stage:
    """An engine with an outside, and containers that serve."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.docker = engine.docker
        self.host = f"/run/netns/{NETNS}"
        self.outside = f"/run/netns/{OUTSIDE}"
        self._servers: list[subprocess.Popen[bytes]] = []

    def inside(self, name: str) -> str:
        """Return the path of a container's namespace."""
        return f"/proc/{self.engine.state(name, 'Pid')}/ns/net"

    def run(self, name: str, *options: str, port: int = 80) -> None:
        """Run a container that answers at a port with its name."""
        self.docker("run", "-d", "--name", name, "--stop-timeout", "0", *options, IMAGE,
                    "sleep", "1000")  # fmt: skip
        self.serve(name, port)

    def serve(self, name: str, port: int = 80) -> None:
        """Begin to answer in a running container."""
        self._begin(self.inside(name), name, port)

    def _begin(self, namespace: str, name: str, port: int) -> None:
        server = subprocess.Popen(
            ["nsenter", f"--net={namespace}", sys.executable, "-m",
             "tests.kernel.ports_stage", name, str(port)],
            cwd=ROOT, stdout=subprocess.PIPE,
        )  # fmt: skip
        self._servers.append(server)
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"

    def serve_host(self, port: int = 7777) -> None:
        """Begin to answer in the host's own namespace."""
        self._begin(self.host, "host", port)

    def hairpin(self, pid: str) -> bool:
        """Tell whether the bridge sends frames back to a process's `eth0`."""
        enter = ["nsenter", f"--net=/proc/{pid}/ns/net"]
        shown = json.loads(_output(*enter, "ip", "-j", "link", "show", "eth0"))
        links = json.loads(_output("ip", "-n", NETNS, "-j", "-d", "link"))
        (port,) = [one for one in links if one["ifindex"] == shown[0]["link_index"]]
        return bool(port["linkinfo"]["info_slave_data"]["hairpin"])

    def address(self, name: str, network: str = "bridge") -> str:
        return self.docker(
            "inspect",
            "-f",
            f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}',
            name,
        )

    def ports(self, name: str) -> dict[str, list[dict[str, str]] | None]:
        """Return inspect's `Ports`."""
        shown = self.docker("inspect", "-f", "{{json .NetworkSettings.Ports}}", name)
        ports: dict[str, list[dict[str, str]] | None] = json.loads(shown)
        return ports

    def port(self, name: str, key: str = "80/tcp") -> int:
        """Return the port of the host that leads to a port."""
        bindings = self.ports(name)[key]
        assert bindings
        return int(bindings[0]["HostPort"])

    def listening(self) -> set[str]:
        """Return what sockets of the host's namespace are bound to, as `ss` shows it."""
        shown = subprocess.run(
            ["nsenter", f"--net={self.host}", "ss", "-Hltun"],
            capture_output=True, text=True, check=True, timeout=WAIT_S,
        )  # fmt: skip
        return {f"{line.split()[0]} {line.split()[4]}" for line in shown.stdout.splitlines()}

    def relays(self) -> list[int]:
        """Return the relay processes of the engine's namespace."""
        inode = Path(self.host).stat().st_ino
        found = []
        for process in Path("/proc").iterdir():
            try:
                if (
                    process.name.isdigit()
                    and b"refimpl/relay.py" in (process / "cmdline").read_bytes()
                    and (process / "ns/net").stat().st_ino == inode
                ):
                    found.append(int(process.name))
            except OSError:
                continue
        return found

    def elements(self) -> list[str]:
        """Return every element of the maps and sets of published ports."""
        found = []
        for text in self.engine.tables().values():
            for part in text.split("elements = {")[1:]:
                found += [one.strip() for one in part.partition("}")[0].split(",")]
        return [one for one in found if not one.startswith('"')]

    def close(self) -> None:
        for server in self._servers:
            server.kill()
            server.wait()
            if server.stdout is not None:
                server.stdout.close()


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=WAIT_S)
    return done.stdout


@contextmanager
def stage(folder: Path, *options: str) -> Iterator[Stage]:
    """Start an engine, and put a namespace beside its own that stands for the outside."""
    with own_engine(folder) as engine:
        tool("ip", "netns", "add", OUTSIDE)
        try:
            tool("ip", "link", "add", "out0", "netns", NETNS, "type", "veth",
                 "peer", "name", "eth0", "netns", OUTSIDE)  # fmt: skip
            for namespace, link, *addresses in (
                (NETNS, "out0", f"{HOST}/24", f"{HOST6}/64"),
                (OUTSIDE, "eth0", f"{ASKER}/24", f"{ASKER6}/64"),
            ):
                for address in addresses:
                    dad = ["nodad"] if ":" in address else []
                    tool("ip", "-n", namespace, "address", "add", address, "dev", link, *dad)
                tool("ip", "-n", namespace, "link", "set", link, "up")
            tool("ip", "-n", OUTSIDE, "link", "set", "lo", "up")
            engine.start(*options)
            load_image(engine.docker)
            here = Stage(engine)
            try:
                yield here
            finally:
                here.close()
        finally:
            tool("ip", "netns", "delete", OUTSIDE)


def _serve(name: str, port: int) -> None:
    selector = selectors.DefaultSelector()
    for family, kind in ((f, k) for f in (socket.AF_INET, socket.AF_INET6) for k in KINDS.values()):
        one = socket.socket(family, kind)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(("", port))
        if kind == socket.SOCK_STREAM:
            one.listen()
        selector.register(one, selectors.EVENT_READ, one)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            one = key.data
            if one.type == socket.SOCK_STREAM:
                client, address = one.accept()
                with client:
                    client.recv(1)
                    client.send(f"{name} {address[0]}".encode())
            else:
                _, address = one.recvfrom(1000)
                one.sendto(f"{name} {address[0]}".encode(), address)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
