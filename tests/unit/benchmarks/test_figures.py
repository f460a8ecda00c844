import random
import statistics

import pytest

from benchmarks.figures import percentile, percentiles, ratio_of_medians


def test_percentiles_are_interpolated_over_all_rounds():
    rounds = [[float(number) for number in range(start, start + 10)] for start in range(0, 101, 10)]
    figures = percentiles([*rounds[:10], [100.0]])
    assert (figures.n, figures.p50, figures.p95, figures.p99) == (101, 50.0, 95.0, 99.0)


def test_single_sample_is_every_percentile():
    assert [percentile([0.004], percent) for percent in (50, 95, 99)] == [0.004] * 3


def test_percentile_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="no sample"):
        percentile([], 50)


def noisy(rng: random.Random, median: float, rounds: int) -> list[list[float]]:
    return [[median * rng.lognormvariate(0, 0.2) for _ in range(3)] for _ in range(rounds)]


def test_ratio_is_that_of_the_medians_and_lies_in_its_interval():
    rng = random.Random(1)
    above, below = noisy(rng, 4.0, 40), noisy(rng, 1.0, 40)
    ratio = ratio_of_medians(above, below, rng=random.Random(2))
    assert ratio is not None
    flat = [[sample for each in side for sample in each] for side in (above, below)]
    assert ratio.value == statistics.median(flat[0]) / statistics.median(flat[1])
    assert ratio.low < ratio.value < ratio.high


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = random.Random(3)
    hits = 0
    for trial in range(100):
        ratio = ratio_of_medians(
            noisy(rng, 2.0, 30), noisy(rng, 1.0, 30), rng=random.Random(trial), resamples=200
        )
        assert ratio is not None
        hits += ratio.low <= 2.0 <= ratio.high
    # 95 of 100 are expected; 88 or fewer would happen once in 300 such tests
    assert hits >= 88


def test_interval_narrows_with_more_rounds():
    rng = random.Random(4)
    few = ratio_of_medians(noisy(rng, 2, 10), noisy(rng, 1, 10), rng=random.Random(0))
    many = ratio_of_medians(noisy(rng, 2, 400), noisy(rng, 1, 400), rng=random.Random(0))
    assert few is not None
    assert many is not None
    assert many.high - many.low < (few.high - few.low) / 2


def test_rounds_are_drawn_together():
    # Every round is slow or fast for both sides alike, so the ratio is exact in every draw.
    weather = [[factor] for factor in (1.0, 5.0, 2.0, 9.0, 3.0)]
    doubled = [[2 * sample] for (sample,) in weather]
    ratio = ratio_of_medians(doubled, weather, rng=random.Random(0))
    assert ratio is not None
    assert (ratio.low, ratio.value, ratio.high) == (2.0, 2.0, 2.0)


def test_few_rounds_have_no_interval():
    rounds = [[1.0], [2.0], [3.0], [4.0], [5.0]]
    assert ratio_of_medians(rounds, rounds, rng=random.Random(0)) is not None
    assert ratio_of_medians(rounds[1:], rounds[1:], rng=random.Random(0)) is None


@pytest.mark.parametrize(
    ("above", "below"),
    [([[1.0]], [[-0.5]]), ([[-1.0]], [[0.5]]), ([[1.0]], []), ([], [[1.0]])],
    ids=["below-negative", "above-negative", "below-empty", "above-empty"],
)
def test_no_ratio_where_it_would_say_nothing(above, below):
    assert ratio_of_medians(above, below, rng=random.Random(0)) is None


@pytest.mark.parametrize(("negative", "has_ratio"), [(6, True), (18, False)])
def test_no_ratio_where_resamples_without_one_would_make_its_interval_too_narrow(
    negative, has_ratio
):
    # of 40 rounds; more than half of a resample must be negative for its median to be so
    below = [[-1.0]] * negative + [[1.0]] * (40 - negative)
    ratio = ratio_of_medians([[2.0]] * 40, below, rng=random.Random(0))
    assert (ratio is not None) == has_ratio
