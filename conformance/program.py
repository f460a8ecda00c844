"""What all commands of `python -m conformance` share: exit codes, encodings, what goes wrong."""

import errno
import io
import os
import sys
import traceback
from importlib import metadata

import click

from conformance.bisect import usage_code
from conformance.pytest_words import refused
from conformance.usage import Usage
from conformance.verdicts import ExitCode

# What a shell shows of a program that SIGPIPE ended.
_BROKEN_PIPE = 141


def version_text() -> str:
    """Give the version of the distribution, as `--version` shows it."""
    try:
        return metadata.version("netinit")
    except metadata.PackageNotFoundError:
        return "of a checkout that is not installed"


class Program(click.Group):
    """The program; click's own complaints about usage get exit code 3, too."""

    def main(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]  # as click calls it
        """Run the command line."""
        click.UsageError.exit_code = usage_code(sys.argv[1:])
        for stream in (sys.stdout, sys.stderr):  # a sign that a terminal lacks ends no run
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*args, **kwargs)  # type: ignore[call-overload]  # passed on as it came

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; what goes wrong in this program must not look like a red row (1)."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            sys.exit(int(ExitCode.INTERRUPTED))
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:  # `list | head`: nobody reads on
            _drop_stdout()
            sys.exit(_BROKEN_PIPE)
        except Exception as exc:
            if isinstance(exc, OSError) and exc.errno == errno.ENOSPC:
                _drop_stdout()
                raise Usage(f"cannot be written: {exc}") from exc
            traceback.print_exc()  # a defect of ours, shown as it is
        sys.exit(int(ExitCode.ERROR))


def _drop_stdout() -> None:
    """Let nothing that is left in the buffer fail once more when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class RowsCommand(click.Command):
    """A command whose words after `--` are pytest's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep pytest's words apart from the rows."""
        if "--" in args:
            cut = args.index("--")
            args, ctx.obj = args[:cut], tuple(args[cut + 1 :])
            if complaint := refused(ctx.obj):
                raise click.UsageError(complaint, ctx)
        return super().parse_args(ctx, args)


def counted(number: int, one: str, many: str = "") -> str:
    """Write a number with its noun: `1 row`, `2 rows`."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"
