"""What a person does about a change: conformance/changes/*.toml, a table per behaviour.

    ["drivers.bridge.endpoint-ifname"]
    see = "docker run --rm --network name=n,driver-opt=...endpoint.ifname=front box ip link"
    advice = "Nothing, unless a script in the container counts on the name eth0."

The name is the behaviour's newest row. `see` is one docker command, or a few in one line, that
shows the difference and changes nothing of the machine outside of Docker; "" where there is none.
`box` is any image with a shell.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

CHANGES_DIR = Path(__file__).parent / "changes"


class ChangeError(Exception):
    """A change is described wrongly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How to see a change, and what to do about it."""

    see: str
    advice: str


def load_changes(folder: Path = CHANGES_DIR) -> dict[str, Change]:
    """Read all changes, by the id of the behaviour's newest row.

    Raises:
        ChangeError: an entry lacks a text, has an unknown key or stands twice.
    """
    changes: dict[str, Change] = {}
    for path in sorted(folder.glob("*.toml")):
        for id, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
            if id in changes:
                raise ChangeError(f"{path.name}: {id} stands twice")
            try:
                changes[id] = Change(**entry)
            except TypeError as exc:
                raise ChangeError(f"{path.name}: {id}: {exc}") from exc
    return changes
