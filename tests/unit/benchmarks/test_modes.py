"""Goal: the table of whole starts says what its samples say, and which mode misses its bar."""

from benchmarks.modes import Mode, StartTimes, make_rows, render


def starts_of(engine, first_s, again_s):
    return [StartTimes(engine, mode, [[first_s]] * 5, [[again_s]] * 5) for mode in Mode]


def test_first_starts_and_later_ones_have_a_row_in_each_mode():
    found = starts_of("reference", 0.1, 0.05) + starts_of("docker", 0.4, 0.1)
    rows = {row.name: row for row in make_rows(found, seed=1)}
    assert list(rows)[:2] == ["none, first", "host, first"]
    assert len(rows) == 2 * len(Mode)
    ratios = (rows["user network, first"].ratio, rows["user network, again"].ratio)
    assert [ratio and ratio.value for ratio in ratios] == [0.25, 0.5]
    assert str(rows["bridge, first"]).split()[2:6] == ["100.0", "100.0", "400.0", "400.0"]


def test_every_bar_is_met_when_no_median_is_longer():
    found = starts_of("reference", 0.4, 0.1) + starts_of("docker", 0.4, 0.1)
    assert render(found, make_rows(found, seed=1)).splitlines()[-1] == "every bar is met"


def test_a_mode_that_takes_longer_is_named():
    found = starts_of("reference", 0.4, 0.1) + starts_of("docker", 0.4, 0.1)
    slow = next(one for one in found if one.mode is Mode.HOST)
    slow.again = [[0.11]] * 5
    rows = make_rows(found, seed=1)
    assert render(found, rows).splitlines()[-1] == "MISSED: host, again: longer than docker's"
    assert [row.name for row in rows if not row.is_met] == ["host, again"]
    assert render(found, rows, quick=True).splitlines()[-1] == "quick: no bar is judged"
