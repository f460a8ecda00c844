"""The pytest side of a run: it measures once, then hands every case to pytest-benchmark.

pytest-benchmark times one function at a time, all its rounds in a row; our rounds are interleaved
over engines, and an engine's metric is a time that no function of ours takes. So the measuring is
a session fixture, and each case is a test that replays its samples against a clock that moves by
exactly the sample. What pytest-benchmark then keeps is its own storage with our raw samples.
"""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.bars import make_bars
from benchmarks.cases import Case, plan_cases
from benchmarks.machine import Load
from benchmarks.measure import EngineInfo, Measurements, Progress, Settings, measure
from benchmarks.table import make_rows, noise

SCHEMA_VERSION = 2


class ReplayClock:
    """A clock that stands still until it is told how much time has passed; seconds."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def now(self) -> float:
        """Return the time since the last reset."""
        return self._now_s

    def reset(self) -> None:
        """Start from zero, so that a sample is kept exactly, without a sum's rounding."""
        self._now_s = 0.0

    def pass_time(self, seconds: float) -> None:
        """Let time pass; backwards too, since a difference of two starts can be negative."""
        self._now_s += seconds


CLOCK = ReplayClock()
RUN: pytest.StashKey[BenchmarkPlugin] = pytest.StashKey()


class BenchmarkPlugin:
    """Given to pytest as an object, so that the caller gets at the measurements afterwards."""

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self._settings = settings
        self._progress = progress
        self._cases = {case.id: case for case in plan_cases(settings.engines, settings.peers)}
        self.measured: Measurements | None = None
        self.failure: Exception | None = None

    def pytest_configure(self, config: pytest.Config) -> None:
        """Let the fixtures find this run."""
        config.stash[RUN] = self

    def measure(self) -> Measurements:
        """Measure everything; a failure ends the session at once, with nothing kept."""
        try:
            self.measured = measure(self._settings, self._progress)
        except Exception as error:  # noqa: BLE001 - kept, and explained by the caller
            self.failure = error
            pytest.exit("nothing was measured", returncode=pytest.ExitCode.INTERNAL_ERROR)
        return self.measured

    def case(self, case_id: str) -> Case:
        """Return the case that a test stands for."""
        return self._cases[case_id]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make a test of each case."""
        if "case_id" in metafunc.fixturenames:
            metafunc.parametrize("case_id", list(self._cases))

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.TestReport | pytest.CollectReport
    ) -> tuple[str, str, str] | None:
        """Draw no dots: that the samples were kept is no news."""
        return ("passed", "", "PASSED") if report.passed else None

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_update_machine_info(self, machine_info: dict[str, Any]) -> None:
        """Add what pytest-benchmark does not say about the machine."""
        if self.measured is not None:
            machine_info["load"] = load_to_wire(self.measured.load)

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_update_json(self, output_json: dict[str, Any]) -> None:
        """Add the engines and everything that the table says."""
        if self.measured is not None:
            output_json["netinit"] = run_to_wire(self.measured)


def load_to_wire(load: Load) -> dict[str, Any]:
    """Return the machine's load for the JSON."""
    return {
        "cpus": load.cpus,
        "load_average_before": load.load_average,
        "busy_share_before": load.busy_share,
        "steal_share_during": load.steal_share,
    }


def info_to_wire(info: EngineInfo) -> dict[str, str]:
    """Return an engine or a peer for the JSON."""
    return {
        "name": info.name,
        "family": info.family,
        "label": info.label,
        "version": info.version,
    }


def run_to_wire(measurements: Measurements) -> dict[str, Any]:
    """Return what the table says, for the JSON."""
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": measurements.run_id,
        "rounds": measurements.settings.rounds,
        "warmup_rounds": measurements.settings.warmup_rounds,
        "seed": measurements.settings.seed,
        "engines": [info_to_wire(info) for info in measurements.engines],
        "peers": [info_to_wire(info) for info in measurements.peers],
        "under_load": list(noise(measurements)),
        "table": [row.to_wire() for row in make_rows(measurements)],
        "bars": [bar.to_wire() for bar in make_bars(measurements)],
    }
