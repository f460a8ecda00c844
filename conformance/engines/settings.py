"""engines.toml: every engine is one table."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.engines.roots import RootSettings

ENGINES_TOML = Path(__file__).parent.parent / "engines.toml"
_KINDS = ("reference", "dockerd", "podman")
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


class SettingsError(Exception):
    """engines.toml is not well formed, or an engine is not in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """One table of engines.toml.

    Attributes:
        name: how `--engine` calls it.
        kind: which class of conformance/engines starts it.
        family: whose expectations hold for it.
        command: the program and its leading arguments.
        profile: the Docker release whose promises hold for it; "" = its own version.
        config: daemon options by their long names, without the dashes.
        packages: the distribution's packages whose exact versions go into the report.
        root: the tree that it runs in; None = it is a program of this machine.
        own_cgroup: whether it knows control groups of version 2 only, and gets one of its own.
        upgrades_from: the engines, oldest first, that its state folder passes through in the rows
            of an upgrade; each one starts on what the one before left. Empty = no such rows.
    """

    name: str
    kind: str
    family: str
    command: tuple[str, ...]
    profile: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    root: RootSettings | None = None
    own_cgroup: bool = False
    upgrades_from: tuple[str, ...] = ()


def load_settings(path: Path = ENGINES_TOML) -> dict[str, EngineSettings]:
    """Read engines.toml, in its order.

    Raises:
        SettingsError: a table lacks a key, has an unknown one, or names an unknown kind.
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
    if table["kind"] not in _KINDS:
        raise SettingsError(f"{where}: unknown kind {table['kind']!r}; known: {', '.join(_KINDS)}")
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
