"""From what `--engine` says to an engine: a table of engines.toml, an address, or KIND:ARGUMENT."""

from pathlib import Path
from typing import Any

from conformance.engines.base import Engine
from conformance.engines.external import (
    FROM_ENVIRONMENT,
    ExternalEngine,
    address_of,
    is_address,
)
from conformance.engines.kinds import FoundKind, find_kind, kind_names
from conformance.engines.settings import (
    PLAIN_NAME,
    EngineSettings,
    SettingsError,
    load_settings,
)


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
        SettingsError: it is none of the three, or a kind of somebody else failed.
    """
    if is_address(spec):
        return ExternalEngine(spec)
    settings, found = settings_of(spec)
    with found.blamed():
        engine = found.kind.make(
            settings,
            run_id=run_id,
            slot=slot or settings.name,
            workspace=workspace,
            config=config,
            keep=keep,
        )
    return found.check(engine)


def settings_of(spec: str) -> tuple[EngineSettings, FoundKind]:
    """Give what an engine is started from, and the kind that starts it.

    Raises:
        SettingsError: no engine is called so, or a kind of somebody else failed.
    """
    tables = load_settings()
    if spec in tables:
        return tables[spec], find_kind(tables[spec].kind)
    kind, colon, argument = spec.partition(":")
    if not colon:
        raise SettingsError(
            f"no engine is called {spec!r}; known: {', '.join(tables)}, an address such as "
            f"unix:///var/run/docker.sock, or {':..., '.join(kind_names())}:..."
        )
    found = find_kind(kind)
    with found.blamed():
        settings = found.kind.settings_of(argument)
        if not (settings.argument and PLAIN_NAME.fullmatch(settings.name)):
            raise SettingsError(f"its settings for {argument!r} lack an argument or a plain name")
    return settings, found


def full_spec(spec: str) -> str:
    """Give what `--engine` says in the one form in which it stands in a report.

    `env` becomes an address, and a path an absolute one.

    Raises:
        SettingsError: no engine is called so, or an address is none.
    """
    if spec == FROM_ENVIRONMENT or is_address(spec):
        return address_of(spec)
    return settings_of(spec)[0].spec


def slot_of(spec: str) -> str:
    """Give a short word for an engine that is no address, for folders and namespaces."""
    return spec if is_address(spec) else settings_of(spec)[0].name


def blame(spec: str, exc: Exception) -> str:
    """Say what went wrong with an engine, and whose kind it is if it is not the suite's own."""
    if not is_address(spec):
        found = settings_of(spec)[1]
        if found.package:
            return found.blame(exc)
    return str(exc)
