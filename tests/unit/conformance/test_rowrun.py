from datetime import date
from types import SimpleNamespace
from typing import cast

import docker.errors
import pytest
import requests

from conformance.expectations import Expectation
from conformance.leaks import LeakFound
from conformance.pool import StartedEngine
from conformance.registry import Behaviour
from conformance.rowrun import RowRun, classify
from conformance.verdicts import Outcome, Verdict
from conformance.violation import BehaviourViolated


def api_error() -> docker.errors.APIError:
    response = requests.Response()
    response.status_code = 500
    return docker.errors.APIError("refused", response=response, explanation="boom")


@pytest.mark.parametrize(
    ("phase", "error", "outcome", "actual"),
    [
        ("call", BehaviourViolated("x", 1, 2), Outcome.FAILED, "2"),
        ("call", AssertionError("plain"), Outcome.FAILED, ""),
        ("call", api_error(), Outcome.FAILED, "HTTP 500: boom"),
        ("call", KeyError("x"), Outcome.ERROR, ""),
        ("call", requests.ConnectionError("gone"), Outcome.ERROR, ""),
        ("setup", BehaviourViolated("x", 1, 2), Outcome.ERROR, ""),
        ("setup", api_error(), Outcome.ERROR, ""),
        (
            "teardown",
            LeakFound(["link veth"], ["rule x"], ["container y"]),
            Outcome.LEAKED,
            "container y; left: link veth; gone: rule x",
        ),
        ("teardown", AssertionError("x"), Outcome.ERROR, ""),
    ],
)
def test_failure_of_the_engine_and_error_of_the_harness(phase, error, outcome, actual):
    got, (_, _, got_actual) = classify(phase, error)
    assert (got, got_actual) == (outcome, actual)


def test_worst_phase_wins_and_keeps_its_reason():
    row = Behaviour(id="a.b", statement="It MUST.", source="x")
    run = RowRun(behaviour=row, spec="docker")
    run.note_failure("call", BehaviourViolated("first", 1, 2), "text one")
    run.note_failure("teardown", LeakFound(["link"], [], []), "text two")
    assert (run.outcome, run.actual, run.verdict) == (Outcome.LEAKED, "left: link", Verdict.FAIL)
    run.note_failure("teardown", KeyError("k"), "text three")
    run.note_failure("teardown", BehaviourViolated("late", 1, 2), "text four")
    assert run.verdict is Verdict.ERROR
    assert all(f"text {n}" in run.text for n in ("one", "two", "three", "four"))


@pytest.mark.parametrize(
    ("spec", "value", "folder"),
    [
        ("docker", ".x", "docker/a.b/_x"),
        ("docker", "..", "docker/a.b/_."),
        ("docker", "../x", "docker/a.b/_._x"),
        ("docker", "1.2", "docker/a.b/1.2"),
        ("unix:///home/u/.docker/a.sock", "", "unix-/home/u/_docker/a.sock/a.b"),
        ("unix:///a/../../x", "", "unix-/a/_./_./x/a.b"),
    ],
)
def test_folder_of_a_log_is_neither_hidden_nor_elsewhere(spec, value, folder):
    row = Behaviour(id="a.b", statement="It MUST.", source="x")
    run = RowRun(behaviour=row, spec=spec, value=value)
    run.note_failure("call", KeyError("k"), "text")
    assert run.result()["result"]["log"] == f"logs/{folder}"


@pytest.mark.parametrize(
    ("what", "verdict"),
    [
        ("the answer of netinit-0a1b2c-1", Verdict.KNOWN),
        ("the answer of netinit-0a1b2c-1 once more", Verdict.FAIL),
    ],
)
def test_deviation_is_known_at_its_assertion_only(what, verdict):
    run = RowRun(behaviour=Behaviour(id="a.b", statement="It MAY.", source="x"), spec="docker")
    run.expectation = Expectation(
        behaviour="a.b",
        versions="",
        fails_at=("the status", "the answer of <name-1>"),
        reason="does otherwise",
        link="",
        evidence="seen",
        since=date(2026, 11, 28),
    )
    run.note_failure("call", BehaviourViolated(what, 1, 2), "text")
    assert run.verdict is verdict


@pytest.mark.parametrize(
    ("family", "verdict"), [("refimpl", Verdict.FAIL), ("docker", Verdict.NON_STRICT)]
)
def test_reference_is_held_to_what_an_engine_may_do(family, verdict):
    run = RowRun(behaviour=Behaviour(id="a.b", statement="It MAY.", source="x"), spec="any")
    run.started = cast("StartedEngine", SimpleNamespace(engine=SimpleNamespace(family=family)))
    run.note_failure("call", BehaviourViolated("x", 1, 2), "text")
    assert run.verdict is verdict
