"""A request that the command line cannot meet."""

from pathlib import Path

import click

from conformance.verdicts import ExitCode


class Usage(click.ClickException):
    """A request that makes no sense, or cannot be met on this machine: exit code 3."""

    exit_code = int(ExitCode.USAGE)


def write_output(path: Path, text: str) -> None:
    """Write a file that a command was asked for.

    Raises:
        Usage: it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except (OSError, ValueError) as exc:  # ValueError: a name with a zero in it
        raise Usage(f"{path} cannot be written: {exc}") from exc
