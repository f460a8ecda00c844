"""`python -m conformance impact --to COLUMN`: what of an upgrade concerns what is there."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from conformance.changes import is_upgrade, release_of
from conformance.compare import cells_of, compare_engines, facts_of, find_columns
from conformance.engines.base import EngineError
from conformance.engines.external import FROM_ENVIRONMENT, ExternalEngine, address_of, is_address
from conformance.engines.settings import SettingsError
from conformance.impact.columns import nearest_column
from conformance.impact.compose import read_compose
from conformance.impact.documents import objects_of, read_dump
from conformance.impact.engine import read_engine
from conformance.impact.foretell import Impact, foretell
from conformance.impact.parts import SetupError
from conformance.impact.setup import Container, Network, Setup
from conformance.impact.told import impact_json, impact_markdown, impact_plain
from conformance.registry import load_catalogue
from conformance.report.document import Document
from conformance.usage import Usage
from conformance.verdicts import ExitCode

_FILE = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was read, and from what.

    Attributes:
        family: of the engine; "" where no engine was asked.
        version: likewise.
    """

    containers: list[Container]
    networks: list[Network]
    family: str = ""
    version: str = ""
    is_anew: bool = False
    is_live_restored: bool = False


@click.command()
@click.option(
    "--engine", help="Read the engine there: unix:///path, tcp://host:port, or `env`. GETs only."
)
@click.option(
    "--inspect",
    "dumps",
    multiple=True,
    type=_FILE,
    help="Read what `docker inspect` printed of containers and networks; `-` = standard input. "
    "May be repeated.",
)
@click.option("--compose", type=_FILE, help="Read a compose file, by `docker compose config`.")
@click.option(
    "--from",
    "source",
    metavar="COLUMN",
    help="The column of the release that is there. With --engine the default is the nearest one.",
)
@click.option("--to", "target", metavar="COLUMN", required=True, help="The column to go to.")
@click.option(
    "--report",
    "reports",
    multiple=True,
    type=_FILE,
    help="A run's report, or its folder, in which the columns are looked for first.",
)
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def impact(
    engine: str | None,
    dumps: tuple[Path, ...],
    compose: Path | None,
    source: str | None,
    target: str,
    reports: tuple[Path, ...],
    as_markdown: bool,
    as_json: bool,
) -> None:
    """Tell what of an upgrade concerns your own containers.

    Of the differences between two releases only those are told that concern a container or
    network that is there, by its name.

    \b
    Exit codes: 0 nothing that can be told concerns anything
                1 something is concerned
                3 it cannot be told: no such column, no engine, a document that cannot be read
    """
    if [bool(engine), bool(dumps), compose is not None].count(True) != 1:
        raise Usage("want one of --engine, --inspect and --compose")
    if as_json and as_markdown:
        raise Usage("give one of --json and --markdown")
    if not (engine or source):
        raise Usage("a file does not say of which release it is: want --from")
    if engine and engine != FROM_ENVIRONMENT and not is_address(engine):
        raise Usage(
            f"--engine wants unix:///path, tcp://host:port or `env`, not {engine}; a column is "
            "named with --from and --to"
        )
    columns = find_columns(reports)
    _check_columns(columns, source, target)
    try:
        read = _read(engine, dumps, compose)
        first = source or _column_of(read, columns)
    except (SetupError, EngineError, SettingsError) as exc:
        raise Usage(str(exc)) from exc
    setup, found = _foretell(read, columns, first, target, is_named=source is not None)
    notes = [] if source else _about(read, first, target)
    if as_json:
        click.echo(json.dumps(impact_json(first, target, setup, found, notes), indent=2))
    else:
        show = impact_markdown if as_markdown else impact_plain
        click.echo(show(first, target, setup, found, notes))
    sys.exit(int(ExitCode.RED if found.found else ExitCode.AS_EXPECTED))


def _check_columns(columns: Mapping[str, Document], source: str | None, target: str) -> None:
    for name in (source, target):
        if name is not None and name not in columns:
            raise Usage(f"no column {name}; there are: {', '.join(columns)}")
    if source == target:
        raise Usage(f"--from and --to name one column, {target}: nothing to compare")


def _about(read: Read, first: str, target: str) -> list[str]:
    """Say which column was found for an engine."""
    notes = [f"The engine is {read.family} {read.version}; compared is {first}."]
    if first == target:
        notes.append("That is the column to go to, so nothing differs.")
    return notes


def _read(engine: str | None, dumps: tuple[Path, ...], compose: Path | None) -> Read:
    if compose is not None:
        containers, networks = read_compose(compose)
        return Read(containers=containers, networks=networks, is_anew=True)
    if engine is None:
        containers, networks = objects_of(part for path in dumps for part in read_dump(path))
        return Read(containers=containers, networks=networks)
    asked = ExternalEngine(address_of(engine))
    try:
        asked.start()
        parts, is_live_restored = read_engine(asked)
        containers, networks = objects_of(parts)
        return Read(
            containers=containers,
            networks=networks,
            family=asked.family,
            version=asked.version().version,
            is_live_restored=is_live_restored,
        )
    finally:
        asked.stop()


def _column_of(read: Read, columns: Mapping[str, Document]) -> str:
    known = {}
    for name in columns:
        facts = facts_of(columns, name)
        known[name] = (str(facts.get("family", "")), str(facts.get("version", "")))
    return nearest_column(read.family, read.version, known)


def _foretell(
    read: Read, columns: Mapping[str, Document], first: str, second: str, *, is_named: bool
) -> tuple[Setup, Impact]:
    is_same = first == second
    differs = () if is_same else compare_engines(columns, first, second).differences
    own = "" if is_named else read.version
    setup = Setup(
        containers=tuple(read.containers),
        networks=tuple(read.networks),
        source=own or release_of(facts_of(columns, first)),
        target=release_of(facts_of(columns, second)),
        is_docker=is_upgrade(facts_of(columns, first), facts_of(columns, second)),
        is_anew=read.is_anew,
        is_live_restored=read.is_live_restored,
    )
    target = cells_of(columns, second)
    return setup, foretell(differs, load_catalogue(), target, setup)
