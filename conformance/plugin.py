"""The pytest plugin: rows x engines, fixtures, verdicts, progress, and the JSON of the run.

Loaded by conformance.cli in the controlling process and, through pytest-xdist, in each worker. A
worker runs rows and judges them; the controller collects the results and writes the report.
conformance/conftest.py loads it, too, for a plain pytest: then there is no report (plain.py).
"""

import os
import secrets
import signal
import sys
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from _pytest.terminal import TerminalReporter

from conformance import plain
from conformance.engines.cleanup import sweep
from conformance.expectations import EXPECTATIONS_DIR
from conformance.pool import EnginePool
from conformance.progress import Progress
from conformance.registry import behaviour_of
from conformance.report.collect import Collector
from conformance.report.document import INTERRUPTED, host_facts
from conformance.rowrun import POOL, ROW, RowRun
from conformance.schedule import EngineScheduling, behaviour_in, engine_id, engine_of
from conformance.ticker import Ticker
from conformance.verdicts import Verdict

pytest_plugins = ["conformance.fixtures"]

RESULT = "netinit_result"
# How pytest and pytest-xdist say that `-x` or `--maxfail` ended a session.
_ENOUGH = "stopping after"
# The first row of an upgrade waits for the whole of it, on a busy machine for minutes.
UPGRADE_TIMEOUT_S = 600
COLLECTOR = pytest.StashKey[Collector]()
# The process that started this one, which sweeps after the run unless it was killed.
STARTER = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options; of all but the first two conformance.cli is the only caller."""
    group = parser.getgroup("netinit", "conformance suite")
    group.addoption(
        "--engine",
        dest="netinit_engine",
        action="append",
        default=[],
        metavar="ENGINE",
        help="engine to run the rows on: a name of engines.toml, unix:///path, tcp://host:port or "
        "`env`; may be given more than once (default: reference)",
    )
    group.addoption(
        "--netinit-row",
        action="append",
        default=[],
        metavar="ID",
        help="id of a behaviour to run (default: all)",
    )
    group.addoption("--netinit-run-id", default="", help="begins the names of all objects")
    group.addoption("--netinit-workspace", default="", help="folder of the daemons")
    group.addoption("--netinit-report", default="", help="folder of the report")
    group.addoption("--netinit-quiet", action="store_true", help="lines only for what is red")
    group.addoption(
        "--netinit-expectations", default=str(EXPECTATIONS_DIR), help="folder of known deviations"
    )
    group.addoption(
        "--netinit-elsewhere", action="store_true", help="the engines' host is not the report's"
    )
    group.addoption(
        "--netinit-parts", type=int, default=1, help="instances of an engine that share its rows"
    )
    group.addoption("--netinit-keep", default="", help="name under which the engines stay up")


def _is_controller(config: pytest.Config) -> bool:
    return not hasattr(config, "workerinput")


def _is_plain(config: pytest.Config) -> bool:
    return bool(getattr(config.option, "netinit_is_plain", False))


def _places(config: pytest.Config) -> list[str]:
    """Give where pytest-xdist runs workers; none where it does not, or was left out."""
    return list(getattr(config.option, "tx", None) or [])


def _worker(config: pytest.Config) -> str:
    """Give what pytest-xdist calls this process; "" = it is the controller."""
    return str(getattr(config, "workerinput", {}).get("workerid", ""))


def pytest_configure(config: pytest.Config) -> None:
    """Make the pool of engines, and in the controller the collector of results."""
    option = config.option
    if not hasattr(option, "netinit_engine"):
        raise pytest.UsageError(
            "rows need options that pytest reads before it collects: name their folder, "
            "`pytest conformance/behaviours`, and nothing beside it"
        )
    if not option.netinit_run_id:
        plain.set_defaults(config)
    if _worker(config):
        # So on an engine that workers share, each is a run beside the others: what it makes has
        # names and labels of its own, and it removes nothing else.
        option.netinit_run_id = secrets.token_hex(3)
    # A lost terminal ends a run as Ctrl-C does: what it made is taken away. Not under nohup.
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    # A script's `... &` starts programs that ignore SIGINT, and the runner has no other word.
    if _is_controller(config):
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.stash[STARTER] = os.getppid()
    config.stash[POOL] = EnginePool(
        run_id=option.netinit_run_id,
        workspace=Path(option.netinit_workspace),
        keep=option.netinit_keep,
        instance="" if option.netinit_parts == 1 else _worker(config),
        expectations=Path(option.netinit_expectations),
        host=host_facts() if option.netinit_elsewhere else None,
    )
    # Without a folder pytest is only asked to show something, as its --help.
    if _is_controller(config) and option.netinit_report and not _is_plain(config):
        config.stash[COLLECTOR] = Collector(
            folder=Path(option.netinit_report),
            rows=option.netinit_row,
            engines=option.netinit_engine,
        )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every row once per engine, and each engine's rows in one worker."""
    if "engine_spec" in metafunc.fixturenames:
        specs = metafunc.config.option.netinit_engine
        row = behaviour_of(metafunc.function)
        ids = [engine_id(spec, row.id if row else "") for spec in specs]
        metafunc.parametrize("engine_spec", specs, ids=ids, scope="session")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> EngineScheduling:
    """Hand out the rows by engine; asked by pytest-xdist in the controller."""
    return EngineScheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the chosen rows, in the catalogue's order per engine."""
    chosen = set(config.option.netinit_row)
    kept: list[tuple[tuple[int, str], pytest.Item]] = []
    dropped = []
    for item in items:
        function = cast("pytest.Function", item)
        row = behaviour_of(function.function)
        if row is None:
            raise pytest.UsageError(
                f"{item.nodeid} has no @behaviour over it; other tests than rows are run by a "
                "pytest of their own"
            )
        spec = str(function.callspec.params["engine_spec"])
        value = function.callspec.id.replace(engine_id(spec, row.id), "").strip("-")
        item.stash[ROW] = RowRun(behaviour=row, spec=spec, value=value)
        if "upgraded" in function.fixturenames:
            item.add_marker(pytest.mark.timeout(UPGRADE_TIMEOUT_S))
        if row.id in chosen or not chosen:
            # a plain pytest keeps the order of the files
            order = "" if _is_plain(config) else row.id
            kept.append(((config.option.netinit_engine.index(spec), order), item))
        else:
            dropped.append(item)
    config.hook.pytest_deselected(items=dropped)
    items[:] = [item for _, item in sorted(kept, key=lambda pair: pair[0])]


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Let Ctrl-C come, which runner.py holds: the workers are up, and the session can be ended."""
    del session
    _let_interrupts_come()


def _let_interrupts_come() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Note that a row was interrupted: nobody asks then whether it left nothing behind."""
    try:
        return (yield)
    except (KeyboardInterrupt, pytest.exit.Exception):
        item.stash[ROW].is_interrupted = True
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note what each phase of a row did; after the last one, attach the row's result."""
    report = yield
    run = item.stash[ROW]
    run.duration_s += call.duration
    if call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception):
        if call.when == "call":
            run.keep_host_state()
        run.note_failure(call.when, call.excinfo.value, report.longreprtext)
    if call.when == "call":
        run.adjust_report(report)
    if _is_plain(item.config):
        plain.explain(run, report)
    if call.when == "teardown":
        if run.verdict is Verdict.ERROR:
            item.config.stash[POOL].doubt(run.spec, run.behaviour.id)
        report.__dict__[RESULT] = run.result()
    return report


class Controller:
    """Collects the workers' results and shows the progress."""

    def __init__(self, config: pytest.Config) -> None:
        """Remember where to collect."""
        option = config.option
        self._collector = config.stash[COLLECTOR]
        self._is_narrowed = bool(option.keyword or option.markexpr or option.deselect)
        self._ticker: Ticker | None = None
        self._is_quiet = bool(option.netinit_quiet)
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if isinstance(reporter, TerminalReporter):
            progress = Progress(
                option.netinit_engine,
                rows=len(option.netinit_row),
                side_by_side=len(_places(config)) or 1,
            )
            self._ticker = Ticker(
                reporter,
                progress,
                moves=not (option.usepdb or option.trace),
                logs=not self._is_quiet,
            )

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Learn what the user's own `-k` has left of the rows."""
        self._narrow(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Learn it from a worker, where workers run the rows."""
        self._narrow(ids)

    def _narrow(self, nodeids: Iterable[str]) -> None:
        if self._is_narrowed:
            self._collector.narrow(behaviour_in(nodeid) for nodeid in nodeids)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Learn which row an engine works on now; said by the worker that runs it."""
        if self._ticker is not None:
            self._ticker.begin(engine_of(nodeid), behaviour_in(nodeid))

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note why the rows ended before the last one: Ctrl-C, or `-x` where workers ran them."""
        said = str(excinfo.value)
        if not isinstance(excinfo.value, pytest.Session.Interrupted) or "keyboard" in said:
            self._collector.unfinished = INTERRUPTED
            if self._ticker is not None:
                self._ticker.interrupt()
        elif said.startswith(_ENOUGH):
            self._collector.unfinished = said

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Take the moving line away before pytest says how it went."""
        if str(session.shouldfail).startswith(_ENOUGH):
            self._collector.unfinished = str(session.shouldfail)
        if self._ticker is not None:
            self._ticker.stop()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take a row's result and print one line: n/N, engine, behaviour, verdict."""
        taken = report.__dict__.pop(RESULT, None)
        if taken is None:
            return
        line = self._collector.take(taken)
        if self._ticker is None:
            return
        self._ticker.end(engine_of(report.nodeid), behaviour_in(report.nodeid))
        if Verdict(taken["result"]["verdict"]).is_red or not self._is_quiet:
            self._ticker.write_line(line)

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Say nothing per phase: the progress line says it; keep pytest's categories."""
        if report.when == "call" and hasattr(report, "wasxfail"):
            return "xfailed", "", ""
        if report.when == "call" or report.outcome != "passed":
            category = "error" if report.failed and report.when != "call" else report.outcome
            return category, "", ""
        return "", "", ""


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Give the controller its part; under a plain pytest, see that the engines can be had."""
    config = session.config
    if not _is_controller(config):
        return
    if not _is_plain(config):
        if COLLECTOR in config.stash:
            config.pluginmanager.register(Controller(config), "netinit-controller")
    elif not config.option.collectonly:
        plain.prepare(config)
    if not all(str(place).startswith("popen") for place in _places(config)):
        # to bring up workers elsewhere takes long
        _let_interrupts_come()


def pytest_report_header(config: pytest.Config) -> str:
    """Say on a plain pytest's first lines which engines the rows run on."""
    return f"engines: {', '.join(config.option.netinit_engine)}"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the engines of this process, and in the controller write the JSON of the run.

    Here and not when the session finishes: by now every fixture is torn down, also after Ctrl-C.
    """
    pool = config.stash.get(POOL, None)
    for complaint in pool.stop_all() if pool is not None else ():
        sys.stderr.write(f"{complaint}\n")
    if _is_plain(config) and _is_controller(config) and not config.option.collectonly:
        plain.finish(config)
    elif _is_controller(config) and os.getppid() != config.stash.get(STARTER, os.getppid()):
        # A worker is given some seconds to clean up after itself, and nobody else is left.
        sweep(config.option.netinit_run_id, is_forced=True)
    collector = config.stash.get(COLLECTOR, None)
    complaint = collector.write() if collector is not None else ""
    if complaint:
        sys.stderr.write(f"{complaint}\n")
