import itertools

import pytest

from conformance.registry import Level
from conformance.verdicts import ExitCode, Outcome, Verdict, exit_code, judge, worst


@pytest.mark.parametrize(
    ("outcome", "level", "is_expected_to_fail", "verdict"),
    [
        (Outcome.PASSED, Level.MUST, False, Verdict.PASS),
        (Outcome.PASSED, Level.MUST, True, Verdict.FIXED),
        (Outcome.PASSED, Level.SHOULD, True, Verdict.FIXED),
        (Outcome.FAILED, Level.MUST, False, Verdict.FAIL),
        (Outcome.FAILED, Level.MUST, True, Verdict.KNOWN),
        (Outcome.FAILED, Level.SHOULD, False, Verdict.NON_STRICT),
        (Outcome.FAILED, Level.MAY, False, Verdict.NON_STRICT),
        (Outcome.FAILED, Level.SHOULD, True, Verdict.KNOWN),
    ],
)
def test_judgement(outcome, level, is_expected_to_fail, verdict):
    assert judge(outcome, level=level, is_expected_to_fail=is_expected_to_fail) is verdict


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        (Outcome.ERROR, Verdict.ERROR),
        (Outcome.LEAKED, Verdict.FAIL),
        (Outcome.UNSUPPORTED, Verdict.UNSUPPORTED),
        (Outcome.NOT_PROMISED, Verdict.NOT_PROMISED),
    ],
)
def test_no_expectation_and_no_level_changes_these(outcome, verdict):
    for level, expected in itertools.product(Level, (True, False)):
        assert judge(outcome, level=level, is_expected_to_fail=expected) is verdict


def test_worst_wins_in_the_documented_order():
    order = "error FAIL FIXED known non-strict pass unsupported n/a".split()
    assert [v.value for v in Verdict] == order
    for better, worse in itertools.combinations(reversed(list(Verdict)), 2):
        assert worst([better, worse]) is worse
        assert worst([worse, better]) is worse


def test_worst_of_nothing_is_an_error():
    assert worst([]) is Verdict.ERROR


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([], 2),
        (["unsupported", "n/a"], 2),
        (["pass"], 0),
        (["pass", "known", "non-strict", "unsupported", "n/a"], 0),
        (["pass", "FAIL"], 1),
        (["pass", "FIXED"], 1),
        (["FAIL", "error"], 2),
    ],
)
def test_exit_code(verdicts, code):
    assert exit_code(Verdict(v) for v in verdicts) == ExitCode(code)
