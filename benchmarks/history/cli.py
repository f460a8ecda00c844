"""The command line of the history: `python -m benchmarks history append|replay|report|anchor`.

numpy, scipy, matplotlib and otava are imported when a command needs them.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click

from benchmarks.gate.cli import ExitCode, load
from benchmarks.gate.revisions import (
    Commit,
    RevisionError,
    describe_commit,
    latest_commits,
    resolve,
)
from benchmarks.history.lines import (
    ANCHORS,
    HISTORY,
    Anchor,
    HistoryError,
    read_anchors,
    read_lines,
    write_anchors,
)
from benchmarks.options import require_root
from conformance.engines.managed import FOLDER_PREFIX, WORKSPACE_ROOT

PREFIX = f"{FOLDER_PREFIX}history-"
PAIRS, REPLAY_PAIRS = 300, 60


def _option_file(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--file",
        "history_path",
        type=click.Path(dir_okay=False, path_type=Path),
        default=HISTORY,
        help="The history  [default: benchmarks/history/history.jsonl]",
    )(command)


def _option_anchor(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--anchor", "anchor_name", metavar="REV", help="An earlier anchor than the one in use."
    )(command)


def _options_measure(pairs: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        command = click.option(
            "--again", is_flag=True, help="Also what has a line against this anchor."
        )(command)
        return click.option(
            "--pairs",
            type=click.IntRange(min=60),
            default=pairs,
            show_default=True,
            help="Per case, rounded up to multiples of 60.",
        )(_option_anchor(_option_file(command)))

    return decorate


@click.group()
def history() -> None:
    """Tell which revisions made it slower or faster.

    Each is measured beside one that is pinned, the anchor.

    \b
    Exit codes of its commands:
      0  done
      2  could not be measured, or not be read
      3  the command line makes no sense
    docs/history.md says how to read it.
    """


@history.command()
@click.argument("revision", default="HEAD")
@_options_measure(PAIRS)
def append(
    *, revision: str, pairs: int, history_path: Path, anchor_name: str | None, again: bool
) -> None:
    """Measure REVISION against the anchor and add its line.

    REVISION is HEAD where none is named. Exact counts are in the line, too.
    """
    try:
        commits = [describe_commit(revision)]
    except RevisionError as error:
        _end(error)
    added = _measure(
        commits, pairs=pairs, path=history_path, anchor_name=anchor_name, again=again, counted=True
    )
    if any(line.failure for line in added):
        sys.exit(ExitCode.ERROR)


@history.command()
@click.argument("count", type=click.IntRange(min=1))
@_options_measure(REPLAY_PAIRS)
def replay(
    *, count: int, pairs: int, history_path: Path, anchor_name: str | None, again: bool
) -> None:
    """Measure the last COUNT commits of the reference.

    The oldest of those that touched it comes first.

    What has a line is passed over, so that a replay can be stopped and gone on with. What cannot be
    measured has a line that says why.
    """
    try:
        commits = latest_commits(count)
    except RevisionError as error:
        _end(error)
    _measure(
        commits, pairs=pairs, path=history_path, anchor_name=anchor_name, again=again, counted=False
    )


@history.command()
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="The folder for the page.",
)
@_option_anchor
@_option_file
def report(*, folder: Path, anchor_name: str | None, history_path: Path) -> None:
    """Print where the figures changed, and write a page of plots."""
    module = load("benchmarks.history.report", group="history")
    try:
        if not history_path.exists():
            raise HistoryError(f"{history_path}: there is no such file")
        found = module.make_report(read_lines(history_path), _find_anchor(anchor_name))
    except HistoryError as error:
        _end(error)
    click.echo(found.to_text())
    try:
        click.echo(f"wrote {module.write_page(found, folder)}")
    except OSError as error:
        _end(error)


@history.command()
@click.argument("revision")
@click.option("--reason", required=True, help="Why this one.")
def anchor(*, revision: str, reason: str) -> None:
    """Make REVISION the anchor; those before it stay in the list.

    Measure it, or HEAD, with `append --anchor OLD` as well: only that ties both stretches.
    """
    try:
        new = Anchor(
            revision=resolve(revision), since=datetime.now(UTC).date().isoformat(), reason=reason
        )
        anchors = read_anchors(ANCHORS)
    except (RevisionError, HistoryError) as error:
        _end(error)
    if new.revision in {each.revision for each in anchors}:
        raise click.UsageError(f"{new.revision[:12]} is, or was, an anchor already")
    write_anchors([*anchors, new], ANCHORS)
    click.echo(f"anchor {new.revision[:12]}, before it {anchors[-1].revision[:12]}")


def _find_anchor(name: str | None) -> Anchor:
    """Return the anchor in use, or the earlier one whose id begins so."""
    anchors = read_anchors(ANCHORS)
    if name is None:
        return anchors[-1]
    for each in anchors:
        if name and each.revision.startswith(name):
            return each
    raise HistoryError(f"{name}: no anchor begins so; they are in {ANCHORS}")


def _measure(
    commits: Sequence[Commit],
    *,
    pairs: int,
    path: Path,
    anchor_name: str | None,
    again: bool,
    counted: bool,
) -> Sequence[Any]:
    require_root("this makes network namespaces")
    module = load("benchmarks.history.take", group="history")
    try:
        revision = resolve(_find_anchor(anchor_name).revision)  # a shallow clone may not have it
        with tempfile.TemporaryDirectory(prefix=PREFIX, dir=WORKSPACE_ROOT) as folder:
            measure = partial(module.take, pairs=pairs, counted=counted, workspace=Path(folder))
            added: Sequence[Any] = module.add_lines(
                commits,
                revision,
                history=path,
                again=again,
                measure=measure,
                say=lambda text: click.echo(text, err=True),
            )
    except (HistoryError, RevisionError) as error:
        _end(error)
    return added


def _end(error: Exception) -> NoReturn:
    click.echo(f"error: {error}", err=True)
    sys.exit(ExitCode.ERROR)
