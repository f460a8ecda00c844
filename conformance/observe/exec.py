"""Runs a command inside a container, through the API, and reads all of its output.

The SDK's own reader loses output that arrives in one read with the answer's head
(docker-py#3332), so this one speaks HTTP itself: what the engine sent is what the row sees.
"""

import socket
from dataclasses import dataclass
from typing import Any

from conformance.engines.base import Engine, EngineError

_HEAD_MAX_BYTES = 64 * 1024
_OUTPUT_MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecResult:
    """What a command inside a container did."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """The standard output without the last newline."""
        return self.stdout.rstrip("\n")

    @property
    def lines(self) -> list[str]:
        """The standard output's lines."""
        return self.stdout.splitlines()


def run_in_container(
    engine: Engine, container_id: str, *command: str, **options: Any
) -> ExecResult:
    """Run a command in a running container and wait for its end.

    Args:
        engine: the engine that runs the container.
        container_id: the container.
        command: program and arguments.
        options: further arguments of the SDK's exec_create: user, environment, workdir.
    """
    api = engine.client().api
    exec_id = api.exec_create(container_id, list(command), **options)["Id"]
    with engine.connect() as connection:
        request = (
            f"POST /v{api.api_version}/exec/{exec_id}/start HTTP/1.1\r\n"
            "Host: engine\r\nContent-Type: application/json\r\n"
            "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 28\r\n\r\n"
            '{"Detach":false,"Tty":false}'
        )
        connection.sendall(request.encode())
        status, rest = _read_head(connection)
        if status not in (101, 200):
            raise EngineError(f"exec start answered {status}: {rest.decode(errors='replace')}")
        stdout, stderr = split_frames(rest + _read_to_end(connection))
    state = api.exec_inspect(exec_id)
    return ExecResult(
        exit_code=int(state["ExitCode"]),
        stdout=stdout.decode("utf-8", "replace"),
        stderr=stderr.decode("utf-8", "replace"),
    )


def _read_head(connection: socket.socket) -> tuple[int, bytes]:
    """Read the answer's head; give its status and what came behind it in the same read."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part or len(data) > _HEAD_MAX_BYTES:
            raise EngineError(f"exec start: no complete answer, only {data[:200]!r}")
        data += part
    head, _, rest = data.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), rest


def _read_to_end(connection: socket.socket) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := connection.recv(65536):
        parts.append(part)
        size += len(part)
        if size > _OUTPUT_MAX_BYTES:
            raise EngineError(f"exec printed more than {_OUTPUT_MAX_BYTES} bytes")
    return b"".join(parts)


def split_frames(data: bytes) -> tuple[bytes, bytes]:
    """Take the API's frames apart into standard output and standard error.

    Raises:
        EngineError: the stream is cut off inside a frame or has an unknown stream number.
    """
    streams: dict[int, list[bytes]] = {1: [], 2: []}
    at = 0
    while at < len(data):
        header = data[at : at + 8]
        size = int.from_bytes(header[4:8], "big")
        body = data[at + 8 : at + 8 + size]
        if len(header) < 8 or len(body) < size or header[0] not in streams:
            raise EngineError(f"exec: the output is not framed as it should be at byte {at}")
        streams[header[0]].append(body)
        at += 8 + size
    return b"".join(streams[1]), b"".join(streams[2])
