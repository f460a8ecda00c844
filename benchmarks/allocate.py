"""What `python -m benchmarks run` gives to pytest: a test per case, which replays its samples.

Only `run` has samples to replay. Under plain pytest this file says so; `test_allocate.py` and
`test_start.py` are for that.
"""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.cases import Case
from benchmarks.figures import flatten
from benchmarks.measure import Measurements
from benchmarks.plugin import CLOCK, RUN

NOTHING_TO_REPLAY = (
    "this replays the samples of `python -m benchmarks run`; plain pytest measures with "
    "`pytest benchmarks/ --benchmark-only`"
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Skip where there is no run; where there is, its plugin makes the tests."""
    if "case_id" in metafunc.fixturenames and RUN not in metafunc.config.stash:
        skip = pytest.mark.skip(reason=NOTHING_TO_REPLAY)
        metafunc.parametrize("case_id", [pytest.param("", marks=skip, id="no-run")])


@pytest.fixture(scope="session")
def measurements(pytestconfig: pytest.Config) -> Measurements:
    """Measure everything, once."""
    return pytestconfig.stash[RUN].measure()


@pytest.fixture
def case(pytestconfig: pytest.Config, case_id: str) -> Case:
    """Return the case that a test stands for."""
    return pytestconfig.stash[RUN].case(case_id)


@pytest.mark.benchmark(timer=CLOCK.now)
def test_latency(case: Case, measurements: Measurements, benchmark: BenchmarkFixture) -> None:
    """Put the raw samples of one case into pytest-benchmark's storage."""
    rounds = measurements.samples.get(case)
    if rounds is None:
        benchmark.skipped = True
        pytest.skip(f"{measurements.label(case.engine)} does not show it")
    samples = flatten(rounds)
    remaining = iter(samples)

    def next_sample() -> tuple[tuple[float], dict[str, object]]:
        CLOCK.reset()
        return (next(remaining),), {}

    benchmark.group = case.figure.value
    benchmark.extra_info.update(
        figure=case.figure.name.lower(),
        engine=measurements.label(case.engine),
        network=case.network,
        samples_per_round=len(rounds[0]),
    )
    benchmark.pedantic(CLOCK.pass_time, setup=next_sample, rounds=len(samples))
