"""From a name or an address to an engine."""

from pathlib import Path
from typing import Any

from conformance.engines.base import Engine
from conformance.engines.dockerd import DockerdEngine
from conformance.engines.external import ExternalEngine
from conformance.engines.managed import ManagedEngine
from conformance.engines.podman import PodmanEngine
from conformance.engines.reference import ReferenceEngine
from conformance.engines.settings import SettingsError, load_settings

_CLASSES: dict[str, type[ManagedEngine]] = {
    "dockerd": DockerdEngine,
    "podman": PodmanEngine,
    "reference": ReferenceEngine,
}


def make_engine(
    spec: str,
    *,
    run_id: str,
    workspace: Path,
    slot: str = "",
    config: dict[str, Any] | None = None,
    keep: str = "",
) -> Engine:
    """Make the engine that `--engine SPEC` means; it is not started yet.

    Raises:
        SettingsError: it is neither a table of engines.toml nor an address.
    """
    if "://" in spec:
        return ExternalEngine(spec)
    settings = load_settings()
    if spec not in settings:
        raise SettingsError(
            f"no engine is called {spec!r}; known: {', '.join(settings)}, or an address such as "
            "unix:///var/run/docker.sock"
        )
    return _CLASSES[settings[spec].kind](
        settings[spec],
        run_id=run_id,
        slot=slot or spec,
        workspace=workspace,
        config=config,
        keep=keep,
    )
