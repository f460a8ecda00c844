"""The reference implementation: a process like any other, known only by its flags and its API.

`--engine reference:/path` is that of another checkout.
"""

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

from conformance.engines.kinds import EngineKind
from conformance.engines.machine import environment_of
from conformance.engines.managed import METRICS_ADDRESS, RECORD, ManagedEngine
from conformance.engines.program import newest_change
from conformance.engines.settings import (
    EngineSettings,
    load_settings,
    path_of_argument,
    settings_of_argument,
)

_SINGULAR = {"dns-opts": "dns-opt", "default-address-pools": "default-address-pool"}
"""What dockerd calls an option as a flag where its file has another name for it."""


class ReferenceEngine(ManagedEngine):
    """`python -m refimpl` with dockerd's own flag names."""

    networks_kept = "netinit.db*"

    def command_line(self) -> list[str]:
        """Give the command; options are flags, since the reference reads no file."""
        flags = {
            "host": self.address,
            "data-root": str(self.data_root),
            "exec-root": str(self.exec_root),
            "pidfile": str(self.pid_file),
            "metrics-addr": METRICS_ADDRESS,
            "log-level": "info",
            **self.config,
        }
        return self.words() + [word for key, value in flags.items() for word in _flags(key, value)]

    def is_current(self) -> bool:
        """Say whether the kept daemon was started after the last change of its source."""
        changed = (newest_change(file) for file in self._source_folder().rglob("*.py"))
        return max(changed, default=0.0) < (self.folder / RECORD).stat().st_mtime

    def why_unavailable(self) -> str:
        """Say why this machine cannot have it; "" = it can."""
        source = self._source_folder()
        if not self.settings.argument and not (source / "__main__.py").exists():
            return f"{self.name}: the package refimpl is not installed beside the suite"
        return super().why_unavailable()

    def why_not_built(self) -> str:
        """Say why a folder is no checkout of the reference; "" = it looks like one."""
        folder = Path(self.settings.argument)
        if not folder.is_dir():
            return f"{folder} is not a folder; want a checkout, with the folder refimpl in it"
        # Without the first one Python would take another reference that is installed.
        for name in ("refimpl/__init__.py", "refimpl/__main__.py"):
            if not (folder / name).is_file():
                return f"{folder} is no checkout of the reference: it has no {name}"
        return ""

    def environment(self) -> dict[str, str]:
        """Give the daemon's environment, in which Python finds the checkout first."""
        found = environment_of(self.tree)
        if self.settings.argument:
            found["PYTHONPATH"] = self.settings.argument
        return found

    def _source_folder(self) -> Path:
        """Find the reference's package without importing it."""
        if self.settings.argument:
            return Path(self.settings.argument) / "refimpl"
        spec = importlib.util.find_spec("refimpl")
        places = list(spec.submodule_search_locations or []) if spec else []
        return Path(places[0]) if places else Path("/nonexistent")


def _flags(key: str, value: Any) -> list[str]:
    """Write an option of dockerd's file as flags: a list is one that is repeated."""
    if isinstance(value, list):
        name = _SINGULAR.get(key, key)
        return [word for item in value for word in (f"--{name}", _value(item))]
    return [f"--{key}", str(value).lower() if isinstance(value, bool) else str(value)]


def _value(item: Any) -> str:
    """Write one item of a list as its flag has it: an object is `key=value,...`."""
    if isinstance(item, dict):
        return ",".join(f"{key}={value}" for key, value in item.items())
    return str(item)


def settings_of(argument: str) -> EngineSettings:
    """Read what follows `reference:`; the folder of a checkout.

    Raises:
        SettingsError: it is no path.
    """
    path = path_of_argument("reference", argument)
    own = load_settings()["reference"]
    found = settings_of_argument("reference", path, family=own.family, word="built")
    return replace(found, command=own.command, profile=own.profile)


KIND = EngineKind(settings_of=settings_of, make=ReferenceEngine)
