"""The verdict on one behaviour on one engine, and the exit code of a run.

The lattice: when several attempts or phases disagree, the worst wins.
"""

from collections.abc import Iterable
from enum import IntEnum, StrEnum

from conformance.registry import Level


class Verdict(StrEnum):
    """What a run says about one behaviour on one engine; listed worst first."""

    ERROR = "error"
    FAIL = "FAIL"
    FIXED = "FIXED"
    KNOWN = "known"
    NON_STRICT = "non-strict"
    PASS = "pass"
    UNSUPPORTED = "unsupported"
    NOT_PROMISED = "n/a"

    @property
    def is_red(self) -> bool:
        """Say whether this verdict makes the run red."""
        return self in (Verdict.ERROR, Verdict.FAIL, Verdict.FIXED)

    @property
    def was_executed(self) -> bool:
        """Say whether the row really ran on the engine."""
        return self not in (Verdict.UNSUPPORTED, Verdict.NOT_PROMISED)

    @property
    def has_passed(self) -> bool:
        """Say whether the engine did what the row states, expected or not."""
        return self in (Verdict.PASS, Verdict.FIXED)

    @property
    def is_promised(self) -> bool:
        """Say whether the row is one of the engine's promises, seen or not."""
        return self is not Verdict.NOT_PROMISED


class Outcome(StrEnum):
    """What happened to the row itself, before expectations are looked at."""

    PASSED = "passed"
    FAILED = "failed"
    LEAKED = "leaked"
    ERROR = "error"
    UNSUPPORTED = "unsupported"
    NOT_PROMISED = "n/a"


class ExitCode(IntEnum):
    """The exit codes of `python -m conformance run`."""

    AS_EXPECTED = 0
    RED = 1
    ERROR = 2
    USAGE = 3
    INTERRUPTED = 130


_WORST_FIRST = tuple(Verdict)
# What neither a level nor an expectation can change.
_DECIDED = {
    Outcome.ERROR: Verdict.ERROR,
    Outcome.LEAKED: Verdict.FAIL,
    Outcome.UNSUPPORTED: Verdict.UNSUPPORTED,
    Outcome.NOT_PROMISED: Verdict.NOT_PROMISED,
}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Give the worst verdict; of none at all, `error`: nothing ran is never green."""
    return min(verdicts, key=_WORST_FIRST.index, default=Verdict.ERROR)


def judge(
    outcome: Outcome, *, level: Level, is_expected_to_fail: bool, is_elsewhere: bool = False
) -> Verdict:
    """Turn what happened into a verdict.

    An expectation covers a failure at its own assertion only: one elsewhere is red, an error stays
    an error, what is left behind stays red whatever the row demands, and a pass against the
    expectation is FIXED, which is red, so that the expectation is taken away.
    """
    if outcome in _DECIDED:
        return _DECIDED[outcome]
    if outcome is Outcome.PASSED:
        return Verdict.FIXED if is_expected_to_fail else Verdict.PASS
    if is_expected_to_fail:
        return Verdict.FAIL if is_elsewhere else Verdict.KNOWN
    return Verdict.FAIL if level is Level.MUST else Verdict.NON_STRICT


def exit_code(verdicts: Iterable[Verdict]) -> ExitCode:
    """Give the exit code of a run: 2 beats 1 beats 0, and a run that ran no row is an error."""
    seen = list(verdicts)
    if Verdict.ERROR in seen or not any(verdict.was_executed for verdict in seen):
        return ExitCode.ERROR
    return ExitCode.RED if any(verdict.is_red for verdict in seen) else ExitCode.AS_EXPECTED
