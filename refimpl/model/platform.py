"""The platform that a client wants an image for: `os[/architecture[/variant]]`.

Mirrors: containerd platforms.Parse and platforms.Normalize (v1.4), as moby v20.10 uses them.
"""

from __future__ import annotations

import os
import re
from typing import Final, NamedTuple

from refimpl.errors import InvalidParameter
from refimpl.model.strconv import quote

_COMPONENT: Final = re.compile(r"[A-Za-z0-9_-]+")
_COMPONENTS_MAX: Final = 3
_SYSTEMS: Final = frozenset(
    {
        *("aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "js"),
        *("linux", "nacl", "netbsd", "openbsd", "plan9", "solaris", "windows", "zos"),
    }
)
_ARCHITECTURES: Final = frozenset(
    {
        *("386", "amd64", "amd64p32", "arm", "armbe", "arm64", "arm64be", "ppc64", "ppc64le"),
        *("mips", "mipsle", "mips64", "mips64le", "mips64p32", "mips64p32le", "ppc", "riscv"),
        *("riscv64", "s390", "s390x", "sparc", "sparc64", "wasm"),
    }
)
_OTHER_NAMES: Final = {
    "i386": ("386", ""),
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
}


class Platform(NamedTuple):
    """An operating system and a processor; "" where it does not matter."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        """Write it as containerd does."""
        return "/".join(part for part in self if part)


def own_platform() -> Platform:
    """Return the platform of this machine."""
    return Platform("linux", *_processor(os.uname().machine))


def parse_platform(text: str) -> Platform:
    """Read a platform; what is left out is that of this machine.

    Raises:
        InvalidParameter: it is none.
    """
    parts = text.split("/")
    if len(parts) > _COMPONENTS_MAX:
        raise InvalidParameter(f"{quote(text)}: cannot parse platform specifier: invalid argument")
    for part in parts:
        if not _COMPONENT.fullmatch(part):
            raise InvalidParameter(
                f"{quote(part)} is an invalid component of {quote(text)}: platform specifier "
                f"component must match {quote('^[A-Za-z0-9_-]+$')}: invalid argument"
            )
    first, *rest = (part.lower() for part in parts)
    if rest:
        return Platform(_system(first), *_processor(*rest))
    if _system(first) in _SYSTEMS:
        return Platform(_system(first), own_platform().architecture)
    architecture, variant = _processor(first)
    if architecture in _ARCHITECTURES:
        return Platform(own_platform().os, architecture, variant)
    raise InvalidParameter(
        f"{quote(text)}: unknown operating system or architecture: invalid argument"
    )


def _system(name: str) -> str:
    return "darwin" if name == "macos" else name


def _processor(name: str, variant: str = "") -> tuple[str, str]:
    architecture, usual = _OTHER_NAMES.get(name, (name, ""))
    variant = variant or usual
    if architecture == "arm64" and variant in {"8", "v8"}:
        return architecture, ""
    if architecture == "arm":
        return architecture, {"": "v7", "5": "v5", "6": "v6", "7": "v7", "8": "v8"}.get(
            variant, variant
        )
    if architecture in {"386", "amd64"}:
        return architecture, ""
    return architecture, variant
