"""A request that the command line cannot meet."""

import click

from conformance.verdicts import ExitCode


class Usage(click.ClickException):
    """A request that makes no sense, or cannot be met on this machine: exit code 3."""

    exit_code = int(ExitCode.USAGE)
