"""One row on one engine while it runs: what it needs, what happened to it, what is said of it."""

import re
from dataclasses import dataclass, field
from typing import Any

import docker.errors
import pytest

from conformance.capabilities import missing_capabilities
from conformance.engines.base import Engine
from conformance.expectations import Expectation, find_expectation
from conformance.leaks import LeakFound, take_snapshot
from conformance.pool import EnginePool, StartedEngine
from conformance.registry import Behaviour, Level
from conformance.steady import steady_text
from conformance.verdicts import Outcome, Verdict, judge
from conformance.versions import matches
from conformance.violation import BehaviourViolated

LOG_TAIL_BYTES = 256 * 1024


# What outweighs what when two phases of a row disagree.
_RANK = (
    Outcome.ERROR,
    Outcome.LEAKED,
    Outcome.FAILED,
    Outcome.PASSED,
    Outcome.UNSUPPORTED,
    Outcome.NOT_PROMISED,
)


@dataclass(slots=True)
class RowRun:
    """What is known of one row on one engine while it runs."""

    behaviour: Behaviour
    spec: str
    value: str = ""
    started: StartedEngine | None = None
    expectation: Expectation | None = None
    outcome: Outcome = Outcome.PASSED
    reason: str = ""
    expected: str = ""
    actual: str = ""
    text: str = ""
    duration_s: float = 0.0
    is_interrupted: bool = False
    log_offset: int = 0
    logs: dict[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The verdict as it stands now."""
        # The reference has no reason to leave out what an engine may or should do.
        is_reference = self.started is not None and self.started.engine.family == "refimpl"
        return judge(
            self.outcome,
            level=Level.MUST if is_reference else self.behaviour.level,
            is_expected_to_fail=self.expectation is not None,
            is_elsewhere=self.is_elsewhere,
        )

    @property
    def is_elsewhere(self) -> bool:
        """Whether the row failed, but not at the assertion that is known to fail."""
        return (
            self.expectation is not None
            and self.outcome is Outcome.FAILED
            and steady_text(self.reason) not in self.expectation.fails_at
        )

    def note_failure(self, phase: str, error: BaseException, text: str) -> None:
        """Keep the worst thing that happened to the row, and the text of everything."""
        self.text += f"--- {phase}\n{text}\n"
        outcome, parts = classify(phase, error)
        if _RANK.index(outcome) < _RANK.index(self.outcome):
            self.outcome = outcome
            self.reason, self.expected, self.actual = parts

    def keep_host_state(self) -> None:
        """Keep what the engine and the machine look like at the moment of a failure."""
        if self.started is not None:
            self.logs["host-state.txt"] = state_of(self.started.engine)

    def keep_own_daemon(self, name: str, engine: Engine) -> None:
        """Keep the log of a daemon of the row's own, and its state if the row did not pass."""
        if engine.log_path is not None and engine.log_path.exists():
            self.logs[f"{name}.log"] = engine.log_path.read_text("utf-8", "replace")
        if self.outcome is not Outcome.PASSED:
            self.logs[f"{name}-state.txt"] = state_of(engine)

    def adjust_report(self, report: pytest.TestReport) -> None:
        """Make pytest's own counts agree with the verdict."""
        known = self.expectation.reason if self.expectation else ""
        if self.verdict in (Verdict.KNOWN, Verdict.NON_STRICT):
            report.outcome = "skipped"
            report.__dict__["wasxfail"] = known or self.reason
        elif self.verdict is Verdict.FIXED:
            self.reason = f"passed, though expected to fail: {known}"
            report.outcome = "failed"
            report.longrepr = self.reason
        elif self.is_elsewhere and self.expectation is not None:
            self.reason += f" (known to fail at: {', '.join(self.expectation.fails_at)})"

    def result(self) -> dict[str, Any]:
        """Give the row's result and, if it did not pass, its logs for the controller.

        The logs go with it and not into a folder: the controller may be another machine.
        """
        started = self.started
        result = {
            "behaviour": self.behaviour.id,
            "value": self.value,
            "engine": started.column if started else self.spec,
            "verdict": self.verdict.value,
            "duration_s": round(self.duration_s, 3),
            "reason": self.reason,
            "expected": self.expected,
            "actual": self.actual,
            "expectation": self.expectation.to_json() if self.expectation else None,
            "log": "",
        }
        logs: dict[str, str] = {}
        if self.verdict not in (Verdict.PASS, Verdict.UNSUPPORTED, Verdict.NOT_PROMISED):
            place = f"logs/{result['engine']}/{self.behaviour.id}"
            if self.value:
                place += "/" + re.sub(r"[^\w.=-]", "_", self.value)
            place = place.replace("://", "-").replace(":/", "-").replace("//", "/")
            result["log"] = re.sub(r"(^|/)\.", r"\1_", place)
            logs = self._all_logs()
        return {
            "result": result,
            "logs": logs,
            "row": self.behaviour.to_json(),
            "facts": started.facts if started else {"name": self.spec, "spec": self.spec},
        }

    def _all_logs(self) -> dict[str, str]:
        """Give what explains a cell that is not a plain pass, as names and texts of files."""
        found = {"row.log": self.text or self.reason}
        log = self.started.engine.log_path if self.started else None
        if log is not None and log.exists():
            with log.open("rb") as stream:
                stream.seek(max(self.log_offset, log.stat().st_size - LOG_TAIL_BYTES))
                found["engine.log"] = stream.read().decode("utf-8", "replace")
        return found | self.logs


def state_of(engine: Engine) -> str:
    """Say what an engine and its part of the machine look like now."""
    try:
        things = take_snapshot(engine).things
    except Exception as exc:  # noqa: BLE001 - a dead engine must not hide the row's failure
        things = (f"cannot be seen: {exc}",)
    return "\n".join(things) + "\n"


ROW = pytest.StashKey[RowRun]()
POOL = pytest.StashKey[EnginePool]()


def prepare_row(item: pytest.Item) -> StartedEngine:
    """Start the row's engine if need be, and skip the row if the engine cannot or need not.

    Raises:
        EngineError: the engine did not come up, or does not answer any more.
    """
    run = item.stash[ROW]
    pool = item.config.stash[POOL]
    started = pool.shared(run.spec)
    run.started = started
    pool.check_answers(run.spec)
    outcome, reason = why_not_run(run.behaviour, started)
    if outcome is not None:
        run.outcome, run.reason = outcome, reason
        pytest.skip(reason)
    run.expectation = find_expectation(
        started.expectations,
        behaviour=run.behaviour.id,
        version=started.held_to,
        value=run.value,
    )
    log = started.engine.log_path
    run.log_offset = log.stat().st_size if log is not None and log.exists() else 0
    return started


def why_not_run(row: Behaviour, started: StartedEngine) -> tuple[Outcome | None, str]:
    """Say why a row does not run on an engine: not promised there, or a capability is missing."""
    if row.docker and not matches(row.docker, started.promises):
        return Outcome.NOT_PROMISED, f"promised by Docker {row.docker}, not {started.promises}"
    if row.api and not matches(row.api, started.api):
        return Outcome.NOT_PROMISED, f"exposed by API {row.api}, not {started.api}"
    missing = missing_capabilities(row.needs, started.capabilities)
    return (Outcome.UNSUPPORTED, missing) if missing else (None, "")


def classify(phase: str, error: BaseException) -> tuple[Outcome, tuple[str, str, str]]:
    """Tell a failure of the engine from an error of the harness.

    A failed assertion in the row, or a request that the engine refused although the row rests on
    it: FAILED. Something left behind: LEAKED. Everything else, and everything in a fixture: ERROR.
    """
    if isinstance(error, LeakFound):
        return Outcome.LEAKED, (error.what, error.expected, error.actual)
    if phase == "call" and isinstance(error, BehaviourViolated):
        return Outcome.FAILED, (error.what, error.expected, error.actual)
    if phase == "call" and isinstance(error, docker.errors.APIError):
        actual = f"HTTP {error.status_code}: {error.explanation}"
        return Outcome.FAILED, ("a request that the row rests on", "accepted", actual)
    if phase == "call" and isinstance(error, AssertionError):
        return Outcome.FAILED, (str(error).strip() or "assertion failed", "", "")
    first_line = (str(error).strip() or "no message").splitlines()[0]
    return Outcome.ERROR, (f"{type(error).__name__} in {phase}: {first_line}", "", "")
