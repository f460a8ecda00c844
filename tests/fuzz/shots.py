"""A shot: one request as data, and the bytes that it is on the wire.

Its `repr` is Python that makes it again, so that what a failing run prints can be pasted into
test_found.py. Nothing in it is an id of one engine: `<id mole>`, `<id mole 12>` (the beginning),
`<net north>`, `<exec>` and `<image>` are filled in for the engine that it is sent to.
"""

from __future__ import annotations

import base64
import dataclasses
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

PLACEHOLDER = re.compile(r"<(id|net|exec|image)(?: ([\w.-]+))?(?: (\d+))?>")

PACKED_FROM_BYTES = 1500
"""A longer body is shown packed."""

FRAMINGS = (
    "chunked",
    "chunk extension and trailer",
    "chunk size is no number",
    "chunk size is huge",
    "chunk size is negative",
    "chunks without an end",
    "chunks with bare line feeds",
    "length too long",
    "length too short",
    "no length",
    "length and chunks",
    "two lengths",
    "length -1",
    "length +5",
    "length of words",
    "length of 30 digits",
    "unknown transfer encoding",
    "expect",
    "expect, and no body",
    "expect something else",
)
"""How a body is framed; "length" is the right way. A careful server refuses most of the others."""

ENDINGS = (
    "half-close",
    "hang up early",
    "hang up after the head",
    "hang up",
    "hang up after the answer's head",
    "type",
    "twice",
)
"""What the client does after it has sent; "read" reads the whole answer."""


@dataclass(frozen=True)
class Shot:
    """One request.

    Attributes:
        method: GET, POST, ... or nonsense.
        target: what stands behind it, the version's prefix and the query too.
        body: None = none.
        headers: on top of Host and of what the framing needs.
        framing: "length" or one of FRAMINGS.
        ending: "read" or one of ENDINGS.
        odd: what is odd about it, for a reader.
        raw: sent as it is, in place of all of the above.
    """

    method: str = "GET"
    target: str = "/_ping"
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    framing: str = "length"
    ending: str = "read"
    odd: str = ""
    raw: bytes | None = None

    def __repr__(self) -> str:
        """Give the call that makes it, without what is as usual."""
        words = [repr(self.method), repr(self.target)]
        for field in dataclasses.fields(self)[2:]:
            value = getattr(self, field.name)
            if value == field.default:
                continue
            shown = repr(value)
            if isinstance(value, bytes) and len(shown) > PACKED_FROM_BYTES:
                shown = f"unpacked({base64.b85encode(zlib.compress(value, 9)).decode()!r})"
            words.append(f"{field.name}={shown}")
        return f"Shot({', '.join(words)})"

    def filled(self, find: Callable[[str, str], str]) -> Shot:
        """Put one engine's own ids in the place of `<id mole>` and its like.

        Args:
            find: gives the whole id of a kind and a name.
        """

        def put(match: re.Match[str]) -> str:
            whole = find(match[1], match[2] or "")
            return whole[: int(match[3])] if match[3] else whole

        body = self.body
        if body is not None and b"<" in body:
            body = PLACEHOLDER.sub(put, body.decode("latin-1")).encode("latin-1", "replace")
        return dataclasses.replace(self, target=PLACEHOLDER.sub(put, self.target), body=body)

    def is_whole(self) -> bool:
        """Say whether the server has all that it needs for an answer."""
        return (
            self.raw is None
            and self.ending not in {"hang up early", "hang up after the head"}
            and self.framing
            in {"length", "chunked", "chunk extension and trailer", "expect", "length too short"}
        )

    def head_and_body(self) -> tuple[bytes, bytes]:
        """Give the bytes of the request's head and those of its body, framed."""
        if self.raw is not None:
            return self.raw, b""
        headers, body = self._framed()
        lines = [
            f"{self.method} {self.target} HTTP/1.1",
            "Host: engine",
            *(f"{name}: {value}" for name, value in (*headers, *self.headers)),
        ]
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace"), body

    def _framed(self) -> tuple[list[tuple[str, str]], bytes]:
        body = self.body
        if body is None:
            return [], b""
        half = len(body) // 2
        chunks = b"%x\r\n%s\r\n%x\r\n%s\r\n" % (half, body[:half], len(body) - half, body[half:])
        if half == 0:
            chunks = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
        by_length = [("Content-Length", str(len(body)))]
        by_chunks = [("Transfer-Encoding", "chunked")]
        end = b"0\r\n\r\n"
        framings: dict[str, tuple[list[tuple[str, str]], bytes]] = {
            "length": (by_length, body),
            "chunked": (by_chunks, chunks + end),
            "chunk extension and trailer": (
                by_chunks,
                b'%x;a=b;c="d"\r\n%s\r\n0\r\nX-Late: 1\r\n\r\n' % (len(body), body)
                if body
                else b"0;x\r\nX-Late: 1\r\n\r\n",
            ),
            "chunk size is no number": (by_chunks, b"zz\r\n" + body + b"\r\n" + end),
            "chunk size is huge": (by_chunks, b"f" * 40 + b"\r\n" + body + b"\r\n" + end),
            "chunk size is negative": (by_chunks, b"-5\r\n" + body + b"\r\n" + end),
            "chunks without an end": (by_chunks, chunks),
            "chunks with bare line feeds": (by_chunks, chunks.replace(b"\r\n", b"\n") + b"0\n\n"),
            "length too long": ([("Content-Length", str(len(body) + 7))], body),
            "length too short": ([("Content-Length", str(max(0, len(body) - 3)))], body),
            "no length": ([], body),
            "length and chunks": ([*by_length, *by_chunks], chunks + end),
            "two lengths": ([*by_length, ("Content-Length", str(len(body) + 1))], body),
            "length -1": ([("Content-Length", "-1")], body),
            "length +5": ([("Content-Length", "+5")], body),
            "length of words": ([("Content-Length", "five")], body),
            "length of 30 digits": ([("Content-Length", "9" * 30)], body),
            "unknown transfer encoding": ([("Transfer-Encoding", "gzip, chunked")], chunks + end),
            "expect": ([*by_length, ("Expect", "100-continue")], body),
            "expect, and no body": ([*by_length, ("Expect", "100-continue")], b""),
            "expect something else": ([*by_length, ("Expect", "200-ok")], body),
        }
        return framings[self.framing]


def unpacked(text: str) -> bytes:
    """Give the body that a `repr` shows packed."""
    return zlib.decompress(base64.b85decode(text))


def listing(shots: list[Shot]) -> str:
    """Write shots as a Python list, for test_found.py."""
    return "[\n" + "".join(f"    {shot!r},\n" for shot in shots) + "]"
