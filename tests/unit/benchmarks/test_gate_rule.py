"""The rule of the gate on made-up samples: what is slower goes red, and what is not does not."""

import random
from dataclasses import replace

import pytest

pytest.importorskip("scipy", reason="the gate's dependencies are a group of their own")

from benchmarks.gate.cases import CASES
from benchmarks.gate.job import LIMIT_S, MORE_PAIRS, PAIRS, Pace, decide
from benchmarks.gate.rates import Rate
from benchmarks.gate.rule import Samples, Thresholds, Verdict, judge

SPREAD = 0.18
"""Of the logarithm of CPU time: what the real allocate has on an idle machine."""


def make(rng, *, cpu=1.0, wait=0.0, pairs=PAIRS):
    return Samples(
        cpu=[cpu * rng.lognormvariate(0, SPREAD) for _ in range(pairs)],
        wall=[cpu + wait + rng.expovariate(4) for _ in range(pairs)],
    )


def judge_made(seed, *, cpu=1.0, wait=0.0, pairs=PAIRS):
    rng = random.Random(seed)
    base, head = make(rng, pairs=pairs), make(rng, cpu=cpu, wait=wait, pairs=pairs)
    return judge(base, head, cases=3, thresholds=Thresholds(resamples=500))


def reds(count, **change):
    return sum(judge_made(seed, **change).red for seed in range(count))


def test_slowdown_of_a_tenth_is_red_nearly_always_and_unchanged_code_nearly_never():
    assert reds(20, cpu=1.10) >= 19
    assert reds(20) <= 1


def test_pure_wait_is_red_by_latency_alone():
    judged = [judge_made(seed, wait=0.10) for seed in range(10)]
    assert sum(one.red for one in judged) >= 9
    assert all("latency" in " ".join(one.reasons) for one in judged if one.red)


def test_what_got_faster_passes():
    judged = judge_made(1, cpu=0.8)
    assert not judged.red
    assert judged.excludes_slowdown


def test_slowdown_below_the_floor_is_not_red_however_sure_it_is():
    rng = random.Random(2)
    base = make(rng)
    head = Samples(cpu=[1.02 * one for one in base.cpu], wall=[1.02 * one for one in base.wall])
    judged = judge(base, head)
    assert judged.cpu.value == pytest.approx(1.02)
    assert judged.cpu_p < 1e-9
    assert not judged.red


def test_equal_samples_are_no_evidence():
    base = make(random.Random(3))
    judged = judge(base, base)
    assert (judged.cpu.value, judged.cpu_p, judged.wall.value) == (1.0, 1.0, 1.0)
    assert not judged.red
    assert judged.excludes_slowdown


def test_ties_and_a_coarse_clock_do_not_hide_a_slowdown():
    rng = random.Random(4)
    steps = [rng.randint(8, 12) / 10 for _ in range(PAIRS)]
    base = Samples(cpu=steps, wall=steps)
    head = Samples(cpu=[one + 0.1 for one in steps], wall=[one + 0.1 for one in steps])
    assert judge(base, head).red


def test_more_cases_need_stronger_evidence():
    rng = random.Random(5)
    base, head = make(rng, pairs=40), make(rng, cpu=1.12, pairs=40)
    judged = judge(base, head)
    cases = 2 * round(Thresholds().p / judged.cpu_p)
    assert any("CPU" in reason for reason in judged.reasons)
    assert not any("CPU" in reason for reason in judge(base, head, cases=cases).reasons)


def test_interval_covers_the_truth_as_often_as_it_says():
    covered = [
        judged.cpu.low <= 1.05 <= judged.cpu.high
        for judged in (judge_made(seed, cpu=1.05, pairs=60) for seed in range(100))
    ]
    assert sum(covered) >= 96


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cpu": (1.0,) * 299}, "differ in length"),
        ({"wall": (0.0,) + (1.0,) * 299}, "not positive"),
    ],
    ids=["length", "zero"],
)
def test_samples_that_make_no_sense_are_refused(change, message):
    base = Samples(cpu=(1.0,) * 300, wall=(1.0,) * 300)
    with pytest.raises(ValueError, match=message):
        judge(base, replace(base, **change))


def test_too_few_pairs_are_refused():
    few = Samples(cpu=(1.0,) * 19, wall=(1.0,) * 19)
    with pytest.raises(ValueError, match="fewer than two blocks"):
        judge(few, few)


CASE = CASES[0]
GREEN = judge_made(10)
RED = judge_made(11, cpu=1.3)
UNCLEAR = replace(GREEN, excludes_slowdown=False)


def decide_from(*judgements):
    """Return the verdict and what was measured again, the measurements being given in advance."""
    coming, asked = list(judgements[1:]), []

    def again(cases, pairs, _why):
        asked.append(pairs)
        return {case: coming.pop(0) for case in cases}

    (outcome,) = decide({CASE: judgements[0]}, again, lambda _cases: MORE_PAIRS)
    assert coming == []
    assert len(outcome.measurements) == len(judgements)
    return outcome.verdict, asked


@pytest.mark.parametrize(
    ("judgements", "verdict", "asked"),
    [
        ([GREEN], Verdict.PASS, []),
        ([RED, RED], Verdict.FAIL, [PAIRS]),
        ([RED, GREEN], Verdict.PASS, [PAIRS]),
        ([UNCLEAR, GREEN], Verdict.PASS, [MORE_PAIRS]),
        ([UNCLEAR, UNCLEAR], Verdict.INCONCLUSIVE, [MORE_PAIRS]),
        ([UNCLEAR, RED, RED], Verdict.FAIL, [MORE_PAIRS, PAIRS]),
        ([UNCLEAR, RED, UNCLEAR], Verdict.INCONCLUSIVE, [MORE_PAIRS, PAIRS]),
        ([RED, UNCLEAR, GREEN], Verdict.PASS, [PAIRS, MORE_PAIRS]),
    ],
    ids=lambda value: None,
)
def test_only_red_twice_fails_and_nothing_is_measured_without_end(judgements, verdict, asked):
    assert decide_from(*judgements) == (verdict, asked)


def test_when_a_case_has_failed_an_unclear_one_is_not_measured_on():
    asked = []

    def again(cases, pairs, _why):
        asked.append((tuple(cases), pairs))
        return dict.fromkeys(cases, RED)

    failed, unclear = decide({CASES[0]: RED, CASES[1]: UNCLEAR}, again, lambda _cases: MORE_PAIRS)
    assert (failed.verdict, unclear.verdict) == (Verdict.FAIL, Verdict.INCONCLUSIVE)
    assert asked == [((CASES[0],), PAIRS)]


@pytest.mark.parametrize(
    ("cases", "spent_s", "pairs"),
    [
        (CASES, 5, MORE_PAIRS),  # 55 s left, and 15 lives of 3.5 s take 52.5
        (CASES, 30, 480),  # 30 s: eight lives
        (CASES, LIMIT_S - 6 * 3.5 - 0.1, PAIRS + 60),
        (CASES, LIMIT_S - 6 * 3.5 + 0.1, 0),  # as many as at first would be a second throw
        (CASES, LIMIT_S + 5, 0),
        (CASES[:1], 30, MORE_PAIRS),  # through the API, where a life takes 1.5 s
        (CASES[1:2], 30, MORE_PAIRS),
        (CASES[1:2], 35, 720),  # one of the two cases in process: at most the 2 s of both
    ],
)
def test_what_is_unclear_is_measured_on_for_as_long_as_a_job_may_take(cases, spent_s, pairs):
    now = 1000.0
    pace = Pace(clock=lambda: now)
    with pace.taking("in-process"):
        now += 10.0
    with pace.taking("api"):
        now += 7.5
    now = 1000.0 + spent_s
    assert pace.pairs_of(cases) == pairs


def test_without_time_for_more_an_unclear_case_stays_so():
    asked = []

    def again(cases, pairs, _why):
        asked.append((cases, pairs))
        return {}

    (outcome,) = decide({CASE: UNCLEAR}, again, lambda _cases: 0)
    assert asked == []
    assert (outcome.verdict, outcome.measurements) == (Verdict.INCONCLUSIVE, (UNCLEAR,))


def test_rate_has_the_exact_interval():
    rate = Rate.of(0, 300)
    assert rate.low == 0
    assert rate.high == pytest.approx(0.0122, abs=1e-4)
    assert str(Rate.of(3, 4)) == "3 of 4 = 75.0% (95 % 19.4% to 99.4%)"


def idle_of(shift_s: float) -> tuple[float, ...]:
    """Idle times of a busy machine: most are some microseconds, some are long, some below zero."""
    rng = random.Random(3)
    return tuple(
        rng.gauss(2e-6, 1e-6) + (rng.gauss(0, 1e-3) if rng.random() < 0.2 else 0) + shift_s
        for _ in range(300)
    )


def test_a_wait_that_was_added_is_red_however_busy_the_machine():
    base = Samples(cpu=(1e-3,) * 300, wall=NOISY_WALL, idle=idle_of(0))
    head = Samples(cpu=(1e-3,) * 300, wall=NOISY_WALL, idle=idle_of(1e-4))
    judged = judge(base, head, cases=3)
    (reason,) = judged.reasons
    assert reason.startswith("waits 10.0% of latency longer")
    assert not judged.excludes_slowdown
    assert not judge(base, base, cases=3).reasons
    assert not judge(head, base, cases=3).reasons


def test_a_short_wait_is_no_reason():
    base = Samples(cpu=(1e-3,) * 300, wall=NOISY_WALL, idle=idle_of(0))
    head = Samples(cpu=(1e-3,) * 300, wall=NOISY_WALL, idle=idle_of(4e-5))
    judged = judge(base, head, cases=3)
    assert not judged.reasons
    assert judged.idle is not None
    assert judged.idle.value == pytest.approx(0.04, abs=0.001)


def test_without_idle_times_the_other_figures_decide():
    base = Samples(cpu=(1e-3,) * 300, wall=(1e-3,) * 300)
    judged = judge(base, base)
    assert judged.idle is None
    assert judged.excludes_slowdown


NOISY_WALL = tuple(1e-3 * max(1, number % 10 - 2) for number in range(300))
"""Of latency the 10th percentile is 1 ms here, and it says nothing of the wait."""
