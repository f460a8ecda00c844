import pytest

from benchmarks.machine import CpuTimes, Load, load_before_run

BEFORE = "cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 ...\n"
AFTER = "cpu  200 0 100 900 50 0 0 50 0 0\ncpu0 ...\n"


def test_busy_and_stolen_shares_are_those_of_the_window():
    before, after = CpuTimes.from_proc_stat(BEFORE), CpuTimes.from_proc_stat(AFTER)
    assert after.busy_share_since(before) == pytest.approx(200 / 300)
    assert after.steal_share_since(before) == pytest.approx(50 / 300)


def test_empty_window_is_an_idle_one():
    now = CpuTimes.from_proc_stat(BEFORE)
    assert (now.busy_share_since(now), now.steal_share_since(now)) == (0.0, 0.0)


def test_quiet_machine_gives_no_reason():
    assert Load(cpus=2, load_average=0.3, busy_share=0.05, steal_share=0.01).reasons == ()


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (Load(cpus=2, load_average=1.5, busy_share=0.0), "load average 1.5 on 2 CPUs"),
        (Load(cpus=2, load_average=0.0, busy_share=0.5), "50% busy"),
        (Load(cpus=2, load_average=0.0, busy_share=0.0, steal_share=0.2), "20% of the CPU time"),
    ],
    ids=["load-average", "busy", "steal"],
)
def test_each_kind_of_load_is_named(load, words):
    (reason,) = load.reasons
    assert words in reason


@pytest.mark.slow
def test_this_machine_can_be_watched():
    load = load_before_run()
    assert load.cpus >= 1
    assert 0.0 <= load.busy_share <= 1.0
