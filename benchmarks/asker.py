"""A program that asks the embedded DNS from inside a container's network, over and over.

    nsenter --net=/proc/PID/ns/net python -m benchmarks.asker NAME ADDRESS udp SECONDS

It prints one JSON document: `{"seconds": ..., "latencies": [...]}`, or `{"error": "..."}`. Some
clients ask at once, each again as soon as it has its answer; by TCP with a connection for every
question, as a stub resolver does it. (20.10 ends a connection after 128 questions.)
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time

import dns.message

RESOLVER = ("127.0.0.11", 53)
CLIENTS = 4
ANSWER_TIMEOUT_S = 5
_ANSWER_BYTES = 4096
_IDENTITY_BYTES = 2


class AnswerError(Exception):
    """A question had no answer, or a wrong one."""


class Client:
    """Asks one question at a time."""

    def __init__(self, kind: str, question: bytes) -> None:
        self._kind = kind
        self._question = question
        self._identity = 0
        self._began_s = 0.0
        self.socket = self._connect() if kind == "udp" else socket.socket()

    def _connect(self) -> socket.socket:
        kind = socket.SOCK_DGRAM if self._kind == "udp" else socket.SOCK_STREAM
        one = socket.socket(socket.AF_INET, kind)
        one.connect(RESOLVER)
        return one

    def ask(self) -> None:
        """Send the question; by TCP on a new connection."""
        self._identity = (self._identity + 1) & 0xFFFF
        message = self._identity.to_bytes(_IDENTITY_BYTES) + self._question
        self._began_s = time.perf_counter()
        if self._kind == "udp":
            self.socket.send(message)
            return
        self.socket.close()
        self.socket = self._connect()
        self.socket.send(len(message).to_bytes(2) + message)

    def take(self, address: bytes) -> float:
        """Return how long the answer took.

        Raises:
            AnswerError: it is wrong.
        """
        answer = self.socket.recv(_ANSWER_BYTES)
        latency_s = time.perf_counter() - self._began_s
        if self._kind == "tcp":
            answer = answer[2:]
        if int.from_bytes(answer[:2]) != self._identity or not answer.endswith(address):
            raise AnswerError(f"a wrong answer by {self._kind}: {answer.hex()}")
        return latency_s


def ask_for(name: str, address: str, kind: str, seconds: float) -> list[float]:
    """Ask for a while and return how long each answer took.

    Raises:
        AnswerError: one did not come, or was wrong.
        OSError: there is nobody to ask.
    """
    question = dns.message.make_query(name, "A").to_wire()[_IDENTITY_BYTES:]
    wanted = socket.inet_aton(address)
    latencies_s = []
    waiting: dict[int, Client] = {}
    poll = select.epoll()

    def ask(client: Client) -> None:
        client.ask()
        waiting[client.socket.fileno()] = client
        poll.register(client.socket, select.EPOLLIN)

    with poll:
        for client in [Client(kind, question) for _ in range(CLIENTS)]:
            ask(client)
        end_s = time.perf_counter() + seconds
        while time.perf_counter() < end_s:
            events = poll.poll(ANSWER_TIMEOUT_S)
            if not events:
                raise AnswerError(f"a question by {kind} has no answer after {ANSWER_TIMEOUT_S} s")
            for descriptor, _ in events:
                client = waiting.pop(descriptor)
                poll.unregister(descriptor)
                latencies_s.append(client.take(wanted))
                ask(client)
    return latencies_s


def main() -> int:
    """Ask as the command line says."""
    name, address, kind, seconds = sys.argv[1:]
    began_s = time.perf_counter()
    try:
        latencies_s = ask_for(name, address, kind, float(seconds))
    except (AnswerError, OSError) as error:
        print(json.dumps({"error": str(error)}))
        return 1
    print(json.dumps({"seconds": time.perf_counter() - began_s, "latencies": latencies_s}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
