"""The reference implementation: a process like any other, known only by its flags and its API."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

from conformance.engines.managed import METRICS_ADDRESS, RECORD, ManagedEngine

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
        command = [word.format(python=sys.executable) for word in self.settings.command]
        return command + [word for key, value in flags.items() for word in _flags(key, value)]

    def is_current(self) -> bool:
        """Say whether the kept daemon was started after the last change of its source."""
        changed = (file.stat().st_mtime for file in _source_folder().rglob("*.py"))
        return max(changed, default=0.0) < (self.folder / RECORD).stat().st_mtime

    def why_unavailable(self) -> str:
        """Say why this machine cannot have it; "" = it can."""
        if not (_source_folder() / "__main__.py").exists():
            return f"{self.name}: the package refimpl is not installed beside the suite"
        return super().why_unavailable()


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


def _source_folder() -> Path:
    """Find the reference's package without importing it."""
    spec = importlib.util.find_spec("refimpl")
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) if places else Path("/nonexistent")
