"""The keys that leave an attached terminal while its process goes on.

Mirrors: moby/term {ascii,proxy}.go as vendored by v20.10.
"""

from __future__ import annotations

DEFAULT_DETACH_KEYS = b"\x10\x11"
"""ctrl-p, ctrl-q."""

_CONTROL_KEYS = frozenset("@[\\]^_abcdefghijklmnopqrstuvwxyz")


def parse_detach_keys(spec: str) -> bytes:
    """Return the bytes of a sequence such as `ctrl-p,ctrl-q` or `a,b`; "" is the default one.

    Raises:
        ValueError: it is none. Docker's text differs between attach and exec.
    """
    if not spec:
        return DEFAULT_DETACH_KEYS
    keys = bytearray()
    for key in spec.split(","):
        name = key.removeprefix("ctrl-")
        if key == name and len(key.encode("utf-8", "replace")) == 1:
            keys += key.encode()
        elif key != name and name in _CONTROL_KEYS:
            keys.append(ord(name) & 0x1F)
        else:
            raise ValueError(spec)
    return bytes(keys)


class DetachKeys:
    """Looks for the sequence in typed bytes, and holds back what may be its beginning."""

    def __init__(self, sequence: bytes) -> None:
        self._sequence = sequence
        self._matched = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Return the bytes that go to the process, and whether the sequence is complete."""
        passed = bytearray()
        for byte in data:
            if byte == self._sequence[self._matched]:
                self._matched += 1
                if self._matched == len(self._sequence):
                    self._matched = 0
                    return bytes(passed), True
                continue
            passed += self._sequence[: self._matched]
            self._matched = 1 if byte == self._sequence[0] else 0
            if not self._matched:
                passed.append(byte)
        return bytes(passed), False
