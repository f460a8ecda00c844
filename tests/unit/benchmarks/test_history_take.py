"""What a measurement leaves in the history, with made-up samples instead of allocates."""

import random

import pytest

pytest.importorskip("scipy", reason="the gate's dependencies are a group of their own")

from benchmarks.gate.revisions import Commit, RevisionError
from benchmarks.gate.rule import Samples
from benchmarks.history.lines import CPU, WALL, read_lines
from benchmarks.history.take import ATTEMPTS, HEAD, MEASURED_CASES, SIDES, Taken, add_lines
from benchmarks.worker import WorkerError

ANCHOR = "a" * 40
COMMITS = [
    Commit(
        id=str(number) * 40, time=f"2026-01-0{number}T00:00:00+00:00", subject=f"Change {number}"
    )
    for number in (1, 2)
]


class Fake:
    """Takes samples in which the head needs so many times as much."""

    def __init__(self, times=1.0, failures=()):
        self.times = times
        self.failures = list(failures)
        self.asked = []

    def __call__(self, commit, anchor):
        self.asked.append((commit.id[0], anchor))
        if self.failures:
            raise self.failures.pop(0)
        rng = random.Random(commit.id)
        found = {}
        for case in MEASURED_CASES:
            for side in SIDES:
                times = self.times if side == HEAD else 1.0
                samples = [times * rng.lognormvariate(0, 0.05) for _ in range(60)]
                found[case, side] = Samples(cpu=samples, wall=samples)
        return Taken(found=found, counts=None, machine={"cpu": "model", "steal_share": 0.0})


@pytest.fixture
def add(tmp_path):
    def call(measure, *, again=False, anchor=ANCHOR):
        path = tmp_path / "history.jsonl"
        add_lines(COMMITS, anchor, history=path, again=again, measure=measure, say=lambda _: None)
        return read_lines(path)

    return call


def test_line_has_the_ratio_of_the_revision_and_of_the_control(add):
    line = add(Fake(times=0.5))[0]
    assert (line.revision, line.subject, line.anchor) == ("1" * 40, "Change 1", ANCHOR)
    assert line.pairs == 60
    assert set(line.cases) == {"in-process-bridge", "in-process-user"}
    for case in line.cases:
        for figure in (CPU, WALL):
            ratio, control = line.cases[case][figure], line.control[case][figure]
            assert ratio.low < ratio.value < ratio.high
            assert ratio.value == pytest.approx(0.5, rel=0.1)
            assert control.value == pytest.approx(1.0, rel=0.1)


def test_revision_has_one_line_per_anchor_unless_asked_again(add):
    measure = Fake()
    assert [line.revision[0] for line in add(measure)] == ["1", "2"]
    assert len(add(measure)) == 2
    assert len(add(measure, anchor="b" * 40)) == 4
    assert len(add(measure, again=True)) == 6
    assert [anchor[0] for _, anchor in measure.asked] == ["a", "a", "b", "b", "a", "a"]


@pytest.mark.parametrize("error", [WorkerError("it has died"), RevisionError("no refimpl")])
def test_revision_that_cannot_be_measured_has_a_line_with_the_reason(add, error):
    measure = Fake(failures=[error] * ATTEMPTS)
    first, second = add(measure)
    assert (first.failure, first.cases, first.pairs) == (str(error), {}, 0)
    assert second.failure is None
    assert len(add(measure)) == 2


def test_worker_that_failed_has_another_chance(add):
    lines = add(Fake(failures=[WorkerError("no answer in 30 s")]))
    assert [line.failure for line in lines] == [None, None]


def test_lines_are_there_as_soon_as_they_are_taken(add):
    class Stopped(Fake):
        def __call__(self, commit, anchor):
            if commit.id.startswith("2"):
                raise KeyboardInterrupt
            return super().__call__(commit, anchor)

    with pytest.raises(KeyboardInterrupt):
        add(Stopped())
    measure = Fake()
    assert len(add(measure)) == 2
    assert [commit for commit, _ in measure.asked] == ["2"]
