"""What an engine is started from: a table of engines.toml, or `--engine KIND:ARGUMENT`."""

import hashlib
import os
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.engines.roots import RootSettings

ENGINES_TOML = Path(__file__).parent.parent / "engines.toml"
_KEYS = {
    "kind",
    "family",
    "command",
    "profile",
    "config",
    "packages",
    "root",
    "own_cgroup",
    "upgrades_from",
}


# What becomes a part of the names of folders, sockets and namespaces.
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")


class SettingsError(Exception):
    """engines.toml is not well formed, or what `--engine` names is not to be had by anybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """One table of engines.toml, or what KIND:ARGUMENT means.

    Attributes:
        name: how `--engine` calls it; of KIND:ARGUMENT a short name for folders and messages.
        kind: which kind of engine it is; see kinds.py.
        family: whose expectations hold for it.
        command: the program and its leading arguments.
        profile: the Docker release whose promises hold for it; "" = its own version.
        config: daemon options by their long names, without the dashes.
        packages: the distribution's packages whose exact versions go into the report.
        root: the tree that it runs in; None = it is a program of this machine.
        own_cgroup: whether it knows control groups of version 2 only, and gets one of its own.
        upgrades_from: the engines, oldest first, that its state folder passes through in the rows
            of an upgrade; each one starts on what the one before left. Empty = no such rows.
        argument: the ARGUMENT of KIND:ARGUMENT, such as the path of a program; "" = a table.
        origin: what tells its column from a recorded one, the same for the same argument; "" = a
            table.
    """

    name: str
    kind: str
    family: str
    command: tuple[str, ...] = ()
    profile: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    root: RootSettings | None = None
    own_cgroup: bool = False
    upgrades_from: tuple[str, ...] = ()
    argument: str = ""
    origin: str = ""

    @property
    def spec(self) -> str:
        """What `--engine` takes for it."""
        return f"{self.kind}:{self.argument}" if self.argument else self.name


def settings_of_argument(
    kind: str, argument: str, *, family: str, word: str = "", command: tuple[str, ...] = ()
) -> EngineSettings:
    """Give the settings of KIND:ARGUMENT.

    Args:
        kind: the kind.
        argument: what follows the colon, in the one form in which it stands in reports.
        family: whose expectations hold.
        word: what its column says beside the version; "" = the kind.
        command: the program and its leading arguments, if it is one.
    """
    mark = hashlib.sha256(os.fsencode(argument)).hexdigest()[:6]
    return EngineSettings(
        name=f"{kind}-{mark}",
        kind=kind,
        family=family,
        command=command,
        argument=argument,
        origin=f"{word or kind}-{mark}",
    )


def path_of_argument(kind: str, argument: str) -> str:
    """Give an ARGUMENT that is a path as an absolute one; `~` is the caller's home.

    Raises:
        SettingsError: no path is named, or one that no PATH can hold.
    """
    if not argument:
        raise SettingsError(f"{kind}: names nothing; want {kind}:/path")
    path = os.path.abspath(os.path.expanduser(argument))  # noqa: PTH100, PTH111 - links stay, .. goes
    if os.pathsep in path or not path.isprintable():
        raise SettingsError(
            f"{kind}: {path!r} has a colon or a character that cannot be printed in it; such a "
            "folder cannot be on PATH: use a link to it"
        )
    return path


def load_settings(path: Path = ENGINES_TOML) -> dict[str, EngineSettings]:
    """Read engines.toml, in its order.

    Raises:
        SettingsError: a table lacks a key or has an unknown one.
    """
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    return {name: _read_table(path.name, name, table) for name, table in tables.items()}


def _read_table(file: str, name: str, table: dict[str, Any]) -> EngineSettings:
    where = f"{file}: [{name}]"
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise SettingsError(f"{where}: unknown key {', '.join(unknown)}")
    missing = sorted({"kind", "family", "command"} - set(table))
    if missing:
        raise SettingsError(f"{where}: missing key {', '.join(missing)}")
    try:
        root = RootSettings.from_toml(table["root"]) if "root" in table else None
    except ValueError as exc:
        raise SettingsError(f"{where}: {exc}") from exc
    return EngineSettings(
        name=name,
        kind=table["kind"],
        family=table["family"],
        command=tuple(table["command"]),
        profile=table.get("profile", ""),
        config=dict(table.get("config", {})),
        packages=tuple(table.get("packages", ())),
        root=root,
        own_cgroup=bool(table.get("own_cgroup", False)),
        upgrades_from=tuple(table.get("upgrades_from", ())),
    )
