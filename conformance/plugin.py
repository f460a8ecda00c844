"""The pytest plugin: rows x engines, fixtures, verdicts, progress, and the JSON of the run.

Loaded by conformance.cli in the controlling process and, through pytest-xdist, in each worker. A
worker runs rows and judges them; the controller collects the results and writes the report.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import docker.errors
import pytest
from _pytest.terminal import TerminalReporter

from conformance.assertions import BehaviourViolated
from conformance.capabilities import missing_capabilities
from conformance.expectations import Expectation, find_expectation
from conformance.leaks import LeakFound
from conformance.pool import EnginePool, StartedEngine
from conformance.registry import Behaviour, behaviour_of
from conformance.report.collect import Collector
from conformance.verdicts import Outcome, Verdict, judge
from conformance.versions import matches

pytest_plugins = ["conformance.fixtures"]

LOG_TAIL_BYTES = 256 * 1024
RESULT = "netinit_result"


class HarnessMistake(Exception):
    """A row or a fixture is written wrongly."""


@dataclass(slots=True)
class RowRun:
    """What is known of one row on one engine while it runs."""

    behaviour: Behaviour
    spec: str
    started: StartedEngine | None = None
    expectation: Expectation | None = None
    outcome: Outcome = Outcome.PASSED
    reason: str = ""
    expected: str = ""
    actual: str = ""
    text: str = ""
    seconds: float = 0.0
    log_offset: int = 0
    logs: dict[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The verdict as it stands now."""
        return judge(
            self.outcome,
            level=self.behaviour.level,
            is_expected_to_fail=self.expectation is not None,
        )


ROW = pytest.StashKey[RowRun]()
POOL = pytest.StashKey[EnginePool]()
COLLECTOR = pytest.StashKey[Collector]()
_RANK = (
    Outcome.ERROR,
    Outcome.FAILED,
    Outcome.PASSED,
    Outcome.UNSUPPORTED,
    Outcome.NOT_PROMISED,
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options; conformance.cli is their only caller."""
    group = parser.getgroup("netinit")
    group.addoption("--netinit-engine", action="append", default=[], help="engine to run against")
    group.addoption("--netinit-row", action="append", default=[], help="id of a behaviour to run")
    group.addoption("--netinit-run-id", default="dev", help="begins the names of all objects")
    group.addoption("--netinit-workspace", default="/tmp/netinit-dev", help="folder of the daemons")  # noqa: S108 - short: unix sockets
    group.addoption("--netinit-report", default="reports", help="folder of the report")
    group.addoption("--netinit-keep", default="", help="name under which the engines stay up")


def _is_controller(config: pytest.Config) -> bool:
    return not hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    """Make the pool of engines, and in the controller the collector of results."""
    option = config.option
    config.stash[POOL] = EnginePool(
        run_id=option.netinit_run_id,
        workspace=Path(option.netinit_workspace),
        keep=option.netinit_keep,
    )
    if _is_controller(config):
        config.stash[COLLECTOR] = Collector(
            folder=Path(option.netinit_report),
            rows=option.netinit_row,
            engines=option.netinit_engine,
        )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every row once per engine, and each engine's rows in one worker."""
    if "engine_spec" in metafunc.fixturenames:
        specs = metafunc.config.option.netinit_engine
        marked = [pytest.param(spec, marks=pytest.mark.xdist_group(spec)) for spec in specs]
        metafunc.parametrize("engine_spec", marked, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the chosen rows, in the catalogue's order per engine."""
    chosen = set(config.option.netinit_row)
    kept: list[tuple[tuple[int, str], pytest.Item]] = []
    dropped = []
    for item in items:
        function = cast("pytest.Function", item)
        row = behaviour_of(function.function)
        if row is None:
            raise pytest.UsageError(f"{item.nodeid} has no @behaviour over it")
        spec = function.callspec.params["engine_spec"]
        item.stash[ROW] = RowRun(behaviour=row, spec=spec)
        if row.id in chosen:
            kept.append(((config.option.netinit_engine.index(spec), row.id), item))
        else:
            dropped.append(item)
    config.hook.pytest_deselected(items=dropped)
    items[:] = [item for _, item in sorted(kept, key=lambda pair: pair[0])]


def prepare_row(item: pytest.Item) -> StartedEngine:
    """Start the row's engine if need be, and skip the row if the engine cannot or need not.

    Raises:
        EngineError: the engine did not come up.
    """
    run = item.stash[ROW]
    started = item.config.stash[POOL].shared(run.spec)
    run.started = started
    outcome, reason = why_not_run(run.behaviour, started)
    if outcome is not None:
        run.outcome, run.reason = outcome, reason
        pytest.skip(reason)
    run.expectation = find_expectation(
        started.expectations, behaviour=run.behaviour.id, version=started.version
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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note what each phase of a row did; after the last one, attach the row's result."""
    report = yield
    run = item.stash[ROW]
    run.seconds += call.duration
    if call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception):
        _note_failure(run, call.when, call.excinfo.value, report.longreprtext)
    if call.when == "call":
        _adjust_report(run, report)
    if call.when == "teardown":
        report.__dict__[RESULT] = _result(run, Path(item.config.option.netinit_report))
    return report


def _note_failure(run: RowRun, phase: str, error: BaseException, text: str) -> None:
    """Keep the worst thing that happened to the row, and the text of everything."""
    run.text += f"--- {phase}\n{text}\n"
    outcome, parts = classify(phase, error)
    if _RANK.index(outcome) < _RANK.index(run.outcome):
        run.outcome = outcome
        run.reason, run.expected, run.actual = parts


def classify(phase: str, error: BaseException) -> tuple[Outcome, tuple[str, str, str]]:
    """Tell a failure of the engine from an error of the harness.

    A failed assertion in the row, a leak, or a request that the engine refused although the row
    rests on it: FAILED. Everything else, and everything in a fixture: ERROR.
    """
    if isinstance(error, LeakFound) or (phase == "call" and isinstance(error, BehaviourViolated)):
        violation = cast("BehaviourViolated", error)
        return Outcome.FAILED, (violation.what, violation.expected, violation.actual)
    if phase == "call" and isinstance(error, docker.errors.APIError):
        actual = f"HTTP {error.status_code}: {error.explanation}"
        return Outcome.FAILED, ("a request that the row rests on", "accepted", actual)
    if phase == "call" and isinstance(error, AssertionError):
        return Outcome.FAILED, (str(error).strip() or "assertion failed", "", "")
    first_line = (str(error).strip() or "no message").splitlines()[0]
    return Outcome.ERROR, (f"{type(error).__name__} in {phase}: {first_line}", "", "")


def _adjust_report(run: RowRun, report: pytest.TestReport) -> None:
    """Make pytest's own counts agree with the verdict."""
    if run.verdict in (Verdict.KNOWN, Verdict.NON_STRICT):
        report.outcome = "skipped"
        report.__dict__["wasxfail"] = run.expectation.reason if run.expectation else run.reason
    elif run.verdict is Verdict.FIXED:
        assert run.expectation is not None
        run.reason = f"passed, though expected to fail: {run.expectation.reason}"
        report.outcome = "failed"
        report.longrepr = run.reason


def _result(run: RowRun, folder: Path) -> dict[str, Any]:
    started = run.started
    result = {
        "behaviour": run.behaviour.id,
        "engine": started.column if started else run.spec,
        "verdict": run.verdict.value,
        "duration_s": round(run.seconds, 3),
        "reason": run.reason,
        "expected": run.expected,
        "actual": run.actual,
        "expectation": run.expectation.to_json() if run.expectation else None,
        "log": "",
    }
    if run.verdict not in (Verdict.PASS, Verdict.UNSUPPORTED, Verdict.NOT_PROMISED):
        result["log"] = _write_logs(run, folder, f"logs/{result['engine']}/{run.behaviour.id}")
    return {
        "result": result,
        "row": run.behaviour.to_json(),
        "facts": started.facts if started else {"name": run.spec, "spec": run.spec},
    }


def _write_logs(run: RowRun, folder: Path, relative: str) -> str:
    """Keep what explains a cell that is not a plain pass; give its place in the report."""
    place = folder / relative.replace("://", "-").replace("//", "/")
    place.mkdir(parents=True, exist_ok=True)
    (place / "row.log").write_text(run.text or run.reason, encoding="utf-8")
    log = run.started.engine.log_path if run.started else None
    if log is not None and log.exists():
        with log.open("rb") as stream:
            stream.seek(max(run.log_offset, log.stat().st_size - LOG_TAIL_BYTES))
            (place / "engine.log").write_bytes(stream.read())
    for name, text in run.logs.items():
        (place / name).write_text(text, encoding="utf-8")
    return str(place.relative_to(folder))


class Controller:
    """Collects the workers' results and shows the progress."""

    def __init__(self, config: pytest.Config) -> None:
        """Remember where to collect."""
        self._config = config
        self._collector = config.stash[COLLECTOR]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take a row's result and print one line: n/N, engine, behaviour, verdict."""
        taken = report.__dict__.pop(RESULT, None)
        if taken is None:
            return
        line = self._collector.take(taken)
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if isinstance(reporter, TerminalReporter):
            reporter.ensure_newline()
            reporter.write_line(line)

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Say nothing per phase: the progress line says it; keep pytest's categories."""
        if report.when == "call" and hasattr(report, "wasxfail"):
            return "xfailed", "", ""
        if report.when == "call" or report.outcome != "passed":
            category = "error" if report.failed and report.when != "call" else report.outcome
            return category, "", ""
        return "", "", ""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write the JSON of the run."""
        self._collector.write()


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Give the controller its part."""
    if _is_controller(session.config):
        session.config.pluginmanager.register(Controller(session.config), "netinit-controller")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop the engines of this process."""
    for complaint in session.config.stash[POOL].stop_all():
        session.config.issue_config_time_warning(UserWarning(complaint), stacklevel=1)

