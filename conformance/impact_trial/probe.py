"""Run inside a container's network namespace by `python -I`: asks names, tries connections.

Reads `{"names": [...], "targets": [[address, port], ...], "outside": [address, port] or null}` and
prints `{"names": {name: [address, ...]}, "targets": [word, ...], "outside": text}`. Uses nothing
but the standard library, and knows nothing of what is looked for.
"""

import errno
import json
import selectors
import socket
import struct
import sys
import time
from typing import Any

WAIT_S = 2.0
TRIES = 2
_REACHED = (0, errno.ECONNREFUSED, errno.ECONNRESET)


def ask_names(names: list[str]) -> dict[str, list[str]]:
    """Ask the embedded DNS server for the IPv4 addresses of names, all at once."""
    found: dict[str, list[str]] = {name: [] for name in names}
    if not names:
        return found
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(0.2)
        try:
            for number, name in enumerate(names):
                asker.sendto(question(number, name), ("127.0.0.11", 53))
            end, left = time.monotonic() + WAIT_S, set(range(len(names)))
            while left and time.monotonic() < end:
                try:
                    answer = asker.recv(4096)
                except TimeoutError:
                    continue
                number = int.from_bytes(answer[:2], "big")
                left.discard(number)
                found[names[number]] = sorted(addresses(answer))
        except OSError:
            pass  # nobody is there to be asked
    return found


def question(number: int, name: str) -> bytes:
    """Make a question for an IPv4 address."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return (
        struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)
    )


def addresses(answer: bytes) -> list[str]:
    """Read the IPv4 addresses of an answer, whose names are all pointers, as Docker's are."""
    count, at = int.from_bytes(answer[6:8], "big"), 12
    while answer[at]:
        at += answer[at] + 1
    at += 5
    found = []
    for _ in range(count):
        while answer[at] and answer[at] < 0xC0:
            at += answer[at] + 1
        at += 1 if not answer[at] else 2
        kind, _, _, size = struct.unpack(">HHIH", answer[at : at + 10])
        at += 10
        if kind == 1:
            found.append(socket.inet_ntoa(answer[at : at + 4]))
        at += size
    return found


def reach(targets: list[tuple[str, int]]) -> list[str]:
    """Try TCP connections, all at once; "reached" is said by an answer of any kind."""
    words = ["not reached"] * len(targets)
    for _ in range(TRIES):
        open_ones = [at for at, word in enumerate(words) if word != "reached"]
        with selectors.DefaultSelector() as selector:
            for at in open_ones:
                begin(selector, targets[at], at, words)
            wait(selector, words)
    return words


def begin(selector: Any, target: tuple[str, int], at: int, words: list[str]) -> None:
    """Begin one connection."""
    family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setblocking(False)
    code = made.connect_ex(tuple(target))
    if code == errno.EINPROGRESS:
        selector.register(made, selectors.EVENT_WRITE, at)
        return
    words[at] = "reached" if code in _REACHED else "not reached"
    made.close()


def wait(selector: Any, words: list[str]) -> None:
    """Wait for the answers."""
    end = time.monotonic() + WAIT_S
    while selector.get_map() and time.monotonic() < end:
        for key, _ in selector.select(0.2):
            code = key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            words[key.data] = "reached" if code in _REACHED else "not reached"
            selector.unregister(key.fileobj)
            key.fileobj.close()
    for key in list(selector.get_map().values()):
        key.fileobj.close()


def ask_outside(place: tuple[str, int] | None) -> str:
    """Ask a server outside from which address it was asked."""
    if place is None:
        return ""
    for _ in range(TRIES):
        try:
            with socket.create_connection((place[0], place[1]), timeout=WAIT_S) as asker:
                return asker.recv(100).decode()
        except OSError:
            continue
    return "no way"


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    print(
        json.dumps(
            {
                "names": ask_names(asked["names"]),
                "targets": reach(asked["targets"]),
                "outside": ask_outside(asked["outside"]),
            }
        )
    )
