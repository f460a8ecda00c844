"""Engines in a root of their own: a Debian tree in the cache, made by ci/engines/provision.py.

The layout is `<cache>/engines/<engine>/root` and, beside it, `root.json`, which says what the tree
was made from and which packages it got. A tree is never changed by an engine that runs in it.
"""

import json
import os
import re
import shutil
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import platformdirs

from conformance.engines.program import ask
from conformance.versions import matches, parse_condition

CACHE_VARIABLE = "NETINIT_CACHE"
MARKER = "root.json"
TREE = "root"
_VERSION_WORD = re.compile(r"\d+\.\d+[^\s,]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class RootSettings:
    """What an engine's tree is made from: the key `root` of its table in engines.toml.

    Attributes:
        suite: Debian's name of the release: bookworm, trixie, sid.
        install: the packages to put into it, on top of the smallest Debian.
        newer: packages that are then taken from another suite, as "SUITE/PACKAGE".
        own: the machine's own program serves in the place of a tree where its version meets this
            PEP 440 condition; "" = never.
    """

    suite: str
    install: tuple[str, ...]
    newer: tuple[str, ...] = ()
    own: str = ""

    @classmethod
    def from_toml(cls, table: dict[str, Any]) -> "RootSettings":
        """Read the key.

        Raises:
            ValueError: saying what is wrong with it.
        """
        unknown = sorted(set(table) - {"suite", "install", "newer", "own"})
        if unknown:
            raise ValueError(f"unknown key root.{', root.'.join(unknown)}")
        missing = sorted({"suite", "install"} - set(table))
        if missing:
            raise ValueError(f"missing key root.{', root.'.join(missing)}")
        own = str(table.get("own", ""))
        parse_condition(own)
        newer = tuple(table.get("newer", ()))
        if wrong := [word for word in newer if word.count("/") != 1]:
            raise ValueError(f"root.newer: {wrong[0]!r}: want SUITE/PACKAGE")
        return cls(suite=table["suite"], install=tuple(table["install"]), newer=newer, own=own)

    @property
    def made_from(self) -> dict[str, Any]:
        """What a tree was made from, as its marker says it."""
        found: dict[str, Any] = {"suite": self.suite, "install": list(self.install)}
        return {**found, "newer": list(self.newer)} if self.newer else found


def engines_folder() -> Path:
    """Give the folder of all trees; `NETINIT_CACHE` names another cache than the user's."""
    chosen = os.environ.get(CACHE_VARIABLE, "")
    cache = Path(chosen).absolute() if chosen else platformdirs.user_cache_path("netinit")
    return cache / "engines"


def tree_of(engine: str) -> Path:
    """Give the place of an engine's tree, whether it is there or not."""
    return engines_folder() / engine / TREE


def read_marker(engine: str) -> dict[str, Any]:
    """Read what an engine's tree was made from; empty where there is no complete tree."""
    try:
        found = json.loads((engines_folder() / engine / MARKER).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def why_unprovisioned(engine: str, root: RootSettings) -> str:
    """Say in one sentence what is wrong with an engine's tree; "" = it is there and as wanted."""
    remedy = f"make it with: python ci/engines/provision.py {engine}"
    marker = read_marker(engine)
    if not marker:
        return f"{engine}: its root (Debian {root.suite}) is not on this machine; {remedy}"
    if {
        key: marker[key] for key in ("suite", "install", "newer") if key in marker
    } != root.made_from:
        return f"{engine}: its root was made for other settings than engines.toml has; {remedy}"
    return ""


def needs_root(program: str, root: RootSettings | None) -> bool:
    """Say whether an engine runs in a tree, not as the machine's own program."""
    if root is None:
        return False
    version = own_version(program) if root.own else ""
    return not (version and matches(root.own, version))


@lru_cache(maxsize=8)
def own_version(program: str) -> str:
    """Ask the machine's own program for its version; "" where there is none."""
    path = shutil.which(program)
    if path is None:
        return ""
    answer = ask([path, "--version"], os.environ)
    found = _VERSION_WORD.search(answer.text)
    return found[0] if found and not answer.why else ""
