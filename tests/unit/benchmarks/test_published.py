"""Goal: what ports cost is told as a ratio, and a ratio beyond the bar is named."""

from benchmarks.published import Samples, render


def test_ratio_within_the_bar():
    samples = Samples([[0.002]] * 5, [[0.003]] * 5)
    assert render(samples).splitlines() == [
        "allocate, p50 in ms:     2.00",
        "with two ports:          3.00",
        "ratio of p50:            1.5 [1.5 1.5]",
        "every bar is met",
    ]


def test_ratio_beyond_the_bar_is_missed():
    samples = Samples([[0.002]] * 5, [[0.0031]] * 5)
    assert render(samples).splitlines()[-1] == "MISSED: two ports: more than 1.5 times an allocate"
