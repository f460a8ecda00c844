"""`run --bisect`: the exit codes that `git bisect run` understands.

A row that passes is good and one that fails is bad, whatever the files of known deviations say:
they are about releases, and a commit between two releases is neither. Where nothing can be said
the commit is to be skipped. A command line that makes sense for no commit stops the bisection, and
so does whoever interrupts the run.
"""

import functools
import sys
import traceback
from collections.abc import Callable, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any

import click

from conformance.pytest_words import showing
from conformance.report.document import (
    FILE_NAME,
    INTERRUPTED,
    Document,
    DocumentError,
    read_document,
)
from conformance.verdicts import ExitCode, Verdict

OPTION = "--bisect"
_INTERRUPTED = "the run did not come to its end"


class Answer(IntEnum):
    """What `git bisect run` is told; 128 and more stops it."""

    GOOD = 0
    BAD = 1
    CANNOT_TELL = 125
    STOP = 128
    INTERRUPTED = int(ExitCode.INTERRUPTED)

    @property
    def words(self) -> str:
        """The answer as it is printed."""
        return self.name.lower().replace("_", " ")


def usage_code(words: Sequence[str]) -> int:
    """Give the exit code of a wrong command line: 3 would make git take the commit for bad."""
    return int(Answer.STOP if OPTION in words else ExitCode.USAGE)


def answering_bisect(command: Callable[..., None]) -> Callable[..., None]:
    """Give the command `run` the option --bisect."""

    @click.option(
        OPTION,
        "is_bisecting",
        is_flag=True,
        help="For `git bisect run`: exit 0 if the rows pass, 1 if one fails, 125 if nothing can be "
        "said, as of an engine that does not start.",
    )
    @functools.wraps(command)
    def run(*words: Any, is_bisecting: bool, **options: Any) -> None:
        if not is_bisecting:
            command(*words, **options)
            return
        if len(options["engines"]) != 1 or not options["select"]:
            raise click.UsageError(
                f"{OPTION} wants one --engine, and the rows that tell good from bad"
            )
        pytest_args = words[0] if words else None  # what `--` sets apart, if there is any
        if word := showing(pytest_args or ()):
            raise click.UsageError(f"{OPTION} wants rows that run, and with {word} none does")
        answer, why = _ask(functools.partial(command, *words), options)
        click.echo(f"bisect: {answer.words}: {why}", err=True)
        sys.exit(int(answer))

    return run


def _ask(command: Callable[..., None], options: dict[str, Any]) -> tuple[Answer, str]:
    """Run the rows, and give what they say of the engine."""
    try:
        command(**options)
    except SystemExit as exc:
        if exc.code == ExitCode.INTERRUPTED:
            return Answer.INTERRUPTED, _INTERRUPTED
        # any other code is about known deviations
    except BrokenPipeError:
        pass  # nobody reads the matrix; the report was written before it
    except click.UsageError:
        raise  # no commit makes the command line better
    except click.ClickException as exc:
        return Answer.CANNOT_TELL, exc.format_message()
    except Exception as exc:  # noqa: BLE001 - a defect of ours says nothing about the commit
        traceback.print_exc()
        return Answer.CANNOT_TELL, f"an error of the harness: {type(exc).__name__}"
    try:
        return judge(read_document(Path(options["report"]) / FILE_NAME))
    except DocumentError as exc:
        return Answer.CANNOT_TELL, f"the run left no report: {exc}"


def judge(document: Document) -> tuple[Answer, str]:
    """Say what a report of one engine's rows means for the commit, and why.

    An error outweighs a failure, which may have come of it; a failure outweighs what did not run.
    A row that the release does not promise counts only where there is no other.
    """
    unfinished = document["run"].get("unfinished", "")
    if unfinished == INTERRUPTED:
        return Answer.INTERRUPTED, _INTERRUPTED
    every = {cell["behaviour"]: (Verdict(cell["verdict"]), cell) for cell in document["results"]}
    promised = {row: found for row, found in every.items() if found[0].is_promised}
    cells = promised or every
    errors = [row for row, (verdict, _) in cells.items() if verdict is Verdict.ERROR]
    passed = [row for row, (verdict, _) in cells.items() if verdict.has_passed]
    left_out = [row for row, (verdict, _) in cells.items() if not verdict.was_executed]
    failed = [row for row in cells if row not in {*errors, *passed, *left_out}]
    for answer, rows, what in (
        (Answer.CANNOT_TELL, errors, "ended in an error"),
        (Answer.BAD, failed, "failed"),
        (Answer.CANNOT_TELL, left_out, "did not run"),
    ):
        if rows:
            reason = cells[rows[0]][1].get("reason") or "no reason is given"
            return answer, f"{len(rows)} of {len(cells)} rows {what}: {rows[0]}: {reason}"
    if unfinished:
        return Answer.CANNOT_TELL, f"the run ended before its last row: {unfinished}"
    if not passed:
        return Answer.CANNOT_TELL, "no row ran"
    said = f"{len(passed)} of {len(cells)} rows pass"
    if others := len(every) - len(cells):
        said += f"; {others} {'is' if others == 1 else 'are'} not promised by this release"
    return Answer.GOOD, said
