"""What several commands share: options, who may run them, the file of samples, the verdict."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from benchmarks.machine import Load, describe_machine


class NewFile(click.Path):
    """A file to be written when all is measured; its folder is made before that.

    So that nobody measures for minutes what can then not be written down.
    """

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """Return the path, when a file can be written there."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        is_new = not path.exists()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.open("ab").close()
            if is_new:
                path.unlink()
        except OSError as error:
            self.fail(f"{path}: {error.strerror}", param, ctx)
        return path


def json_option(text: str) -> Callable[[Any], Any]:
    """Return the option `--json FILE`.

    Args:
        text: what will be in it, as its help says.
    """
    return click.option("--json", "json_path", type=NewFile(), metavar="FILE", help=text)


def refuse_quick_check(*, quick: bool, check: bool) -> None:
    """Refuse to judge what was measured only to see that it runs.

    Raises:
        click.UsageError: both are asked for.
    """
    if quick and check:
        raise click.UsageError("--quick judges no bar, so there is nothing to --check")


def show_verdict(missed: Sequence[str], *, quick: bool) -> str:
    """Return what is said of the bars: which are missed, in words, or that none is judged."""
    if quick:
        return "quick: no bar is judged"
    return "\n".join(f"MISSED: {one}" for one in missed) or "every bar is met"


def require_root(doing: str) -> None:
    """End the program with 2 when it may not do something; `doing` says what that is."""
    if os.geteuid() != 0:
        click.echo(f"error: {doing}; run it as root", err=True)
        sys.exit(2)


def write_samples(path: Path | None, load: Load, **samples: Any) -> None:
    """Write what was measured, and the machine that it was measured on, where it is wanted."""
    if path is not None:
        document = {"machine": {**describe_machine(), "load": asdict(load)}, **samples}
        path.write_text(json.dumps(document, indent=1), encoding="utf-8")
