"""What a hostile container does with sockets, packets, leases and addresses.

    nsenter --net=/proc/PID/ns/net python hostile_storm.py PID

It is part of the container: it works in its network namespace and on its files, until it is killed.
The image has no program that could do this. Each step is repeated at a bounded rate.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

RESOLVER = ("127.0.0.11", 53)
SILENT_SERVER = ("127.0.0.99", 53)
"""Its own upstream nameserver, as the test told the engine: it never answers."""
QUESTIONS_A_TICK = 40
TICK_S = 0.02
TCP_CLIENTS = 600
LISTENERS = 300
ADDRESSES = 500


def question(name: bytes, kind: int = 1) -> bytes:
    labels = b"".join(bytes([len(one)]) + one for one in name.split(b".") if one)
    identity = random.randrange(1 << 16)
    return struct.pack(">6H", identity, 0x0100, 1, 0, 0, 0) + labels + struct.pack(">xHH", kind, 1)


def odd_packets() -> list[bytes]:
    """Return packets that are no question, or none that a client should send."""
    plain = question(b"i1")
    long_name = b".".join([b"x" * 63] * 3 + [b"y" * 61])  # 255 octets on the wire
    loop = struct.pack(">6H", 1, 0x0100, 1, 0, 0, 0) + b"\xc0\x0c" + struct.pack(">HH", 1, 1)
    return [
        b"",
        b"\0",
        plain[:5],
        plain[:-3],
        plain + bytes(60_000),
        os.urandom(512),
        loop,
        question(long_name),
        question(long_name[:-1]),
        question(b"\xff\0\n.\x80"),
        question(b"i1", 255),
        question(b"i1", 28),
        question(b"1.0.18.172.in-addr.arpa", 12),
        struct.pack(">6H", 1, 0x0100, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF) + os.urandom(100),
        struct.pack(">6H", 1, 0x8180, 1, 0, 0, 0) + plain[12:],  # an answer
    ]


def ask(udp: socket.socket, packets: list[bytes]) -> None:
    """Send one tick's questions, most of them for the upstream server that never answers."""
    for number in range(QUESTIONS_A_TICK):
        kind = number % 4
        packet = {
            0: lambda: random.choice(packets),
            1: lambda: question(b"i%d" % random.randrange(20)),
        }.get(kind, lambda: question(b"n%d.example" % random.randrange(1 << 30)))()
        with contextlib.suppress(OSError):
            udp.send(packet)


def connect(held: list[socket.socket]) -> None:
    """Open TCP connections to the embedded DNS that say half of something, and keep them."""
    for _ in range(10):
        if len(held) >= TCP_CLIENTS:
            held.pop(0).close()
        with contextlib.suppress(OSError):
            one = socket.create_connection(RESOLVER, timeout=0.2)
            one.send(random.choice([b"\0", b"\xff\xff", b"\0\0" * 50, b"\0\x20" + os.urandom(8)]))
            held.append(one)


def lease(root: Path, held: list[int]) -> None:
    """Hold a lease on the files that the engine rewrites, and give them odd attributes."""
    for name in ("hosts", "resolv.conf", "hostname"):
        with contextlib.suppress(OSError):
            descriptor = os.open(root / "etc" / name, os.O_RDONLY | os.O_NONBLOCK)
            held.append(descriptor)
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        with contextlib.suppress(OSError):
            os.setxattr(root / "etc" / name, "user.odd", os.urandom(3000))
    while len(held) > 6:
        os.close(held.pop(0))


def move_addresses() -> None:
    """Take other addresses, the neighbours' too, rename the link and lose the route."""
    lines = ["addr flush dev eth0", "addr add 10.91.0.5/24 dev eth0", "route del default"]
    lines += [f"addr add 10.92.{n // 250}.{n % 250 + 1}/16 dev eth0" for n in range(ADDRESSES)]
    lines += ["link set eth0 down", "link set eth0 name evil0", "link set evil0 up"]
    lines += ["link add odd0 type dummy", "link set odd0 name eth0"]
    subprocess.run(
        ["ip", "-force", "-batch", "-"],
        input="\n".join(lines).encode(), stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    subprocess.run(
        ["busybox", "arping", "-U", "-c", "1", "-w", "1", "-I", "evil0", "10.91.0.5"],
        capture_output=True, check=False,
    )  # fmt: skip


def did(root: Path, step: str) -> None:
    with (root / "steps").open("a") as steps:
        steps.write(f"{step}\n")


def main() -> None:
    """Do all of it in turn until somebody kills us."""
    signal.signal(signal.SIGIO, signal.SIG_IGN)  # the kernel asks for the leases back
    root = Path(f"/proc/{sys.argv[1]}/root")
    upstream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    upstream.bind(SILENT_SERVER)
    listeners = []
    for _ in range(LISTENERS):
        one = socket.socket()
        one.bind(("0.0.0.0", 0))
        one.listen(1)
        listeners.append(one)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setblocking(False)
    udp.connect(RESOLVER)
    packets = odd_packets()
    clients: list[socket.socket] = []
    leases: list[int] = []
    print("storm", flush=True)
    tick = answers = 0
    while True:
        ask(udp, packets)
        if tick % 5 == 0:
            connect(clients)
        if tick % 10 == 0:
            lease(root, leases)
        if tick == 100:
            move_addresses()
            did(root, "addresses")
        with contextlib.suppress(OSError):
            while udp.recv(65535):
                answers += 1
        tick += 1
        if tick == 50 and clients and leases and answers:
            did(root, "questions")
        time.sleep(TICK_S)


if __name__ == "__main__":
    main()
