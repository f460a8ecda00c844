"""What a person does about a change: conformance/changes/*.toml, a table per behaviour.

    ["drivers.bridge.endpoint-ifname"]
    see = "docker run --rm --network name=n,driver-opt=...endpoint.ifname=front box ip link"
    advice = "Nothing, unless a script in the container counts on the name eth0."
    breaks = "few"

The name is the behaviour's newest row. `see` is one docker command, or a few in one line, that
shows the difference and changes nothing of the machine outside of Docker; "" where there is none.
`box` is any image with a shell. `breaks` says that a set-up which works with the first engine can
stop to work with the second, or can be open to others, and how many set-ups that concerns: many,
some or few; without it nobody judged so. An advice that begins with "Nothing to do" says that the
change hurts nobody.

The files in conformance/changes/ are for who goes from a Docker to a newer Docker, those in
conformance/changes/podman/ for who goes from a Docker to Podman.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from conformance.versions import VersionError, parse_version

CHANGES_DIR = Path(__file__).parent / "changes"
PODMAN_DIR = CHANGES_DIR / "podman"
_DOCKERS = {"docker", "refimpl"}  # the reference does what the Docker of its version does


class Breaks(StrEnum):
    """How many set-ups a change can stop, or open to others; the most first."""

    MANY = "many"
    SOME = "some"
    FEW = "few"


class ChangeError(Exception):
    """A change is described wrongly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How to see a change, what to do about it, and whether it can stop a set-up."""

    see: str
    advice: str
    breaks: Breaks | None = None

    @property
    def is_harmless(self) -> bool:
        """Say whether nobody has to do anything about it."""
        return self.advice.startswith("Nothing to do")


def load_changes(folder: Path = CHANGES_DIR) -> dict[str, Change]:
    """Read all changes of one folder, by the id of the behaviour's newest row.

    Raises:
        ChangeError: an entry lacks a text, has an unknown key or word, or stands twice.
    """
    changes: dict[str, Change] = {}
    for path in sorted(folder.glob("*.toml")):
        for id, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
            if id in changes:
                raise ChangeError(f"{path.name}: {id} stands twice")
            breaks = entry.pop("breaks", None)
            try:
                changes[id] = Change(**entry, breaks=Breaks(breaks) if breaks else None)
            except (TypeError, ValueError) as exc:
                raise ChangeError(f"{path.name}: {id}: {exc}") from exc
    return changes


def changes_between(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Change]:
    """Give what is written for who goes from the one engine to the other; mostly nothing.

    Args:
        first: the facts of the engine as its report has them.
        second: likewise.
    """
    if second.get("family") == "podman":
        return load_changes(PODMAN_DIR) if first.get("family") in _DOCKERS else {}
    return load_changes() if is_upgrade(first, second) else {}


def is_upgrade(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Tell whether the second engine is a newer release of Docker than the first.

    Not their versions count: who builds a Docker need not name one, and `promises` is a release.
    """
    if not {first.get("family"), second.get("family")} <= _DOCKERS:
        return False
    try:
        return parse_version(release_of(second)) > parse_version(release_of(first))
    except VersionError:
        return False


def release_of(engine: Mapping[str, Any]) -> str:
    """Give the release that an engine is one of, as far as its facts say it; "" = they do not."""
    return str(engine.get("promises") or engine.get("version", ""))
