"""Intervals and tests that compare two runs."""

import itertools
import random
import statistics

import pytest

from adasr_trl.evaluation.intervals import (
    Estimate,
    Interval,
    bounded_bootstrap,
    clustered_bootstrap,
    clustered_ratio,
    mcnemar,
    percentile,
    wilson_interval,
)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [  # The first four: R. G. Newcombe, 1998, Statistics in Medicine 17:857, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (0, 10, 0.0000, 0.2775),
        (8, 10, 0.4902, 0.9433),
        (10, 10, 0.7225, 1.0000),
    ],
)
def test_wilson_intervals_are_the_published_ones(
    successes: int, n: int, low: float, high: float
) -> None:
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_a_share_of_nothing_has_no_interval(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"got {successes} successes of {n}"):
        wilson_interval(successes, n)


def runs(n01: int, n10: int, both: int = 0) -> tuple[list[bool], list[bool]]:
    """Two runs that differ on n01 + n10 questions."""
    return [False] * n01 + [True] * (n10 + both), [True] * n01 + [False] * n10 + [True] * both


def test_mcnemar_counts_each_direction_and_ignores_agreement() -> None:
    # One against three: (1 + 4) of 16 ways are as uneven on each side, so p = 2 * 5 / 16.
    for both in (0, 100):
        test = mcnemar(*runs(3, 1, both))
        assert (test.n01, test.n10, test.p) == (3, 1, 0.625)


def test_mcnemar_of_ten_to_none_is_two_in_1024() -> None:
    assert mcnemar(*runs(0, 10)).p == 2 / 1024


def test_mcnemar_of_equal_counts_or_of_no_difference_is_one() -> None:
    assert mcnemar(*runs(5, 5)).p == 1.0
    assert mcnemar(*runs(0, 0, 7)).p == 1.0


def test_mcnemar_of_large_counts_agrees_with_the_normal_distribution() -> None:
    # 5100 against 4900: z = (200 - 1) / sqrt(10000) = 1.99 with the continuity correction.
    expected = 2 * (1 - statistics.NormalDist().cdf(1.99))
    assert mcnemar(*runs(5100, 4900)).p == pytest.approx(expected, rel=1e-3)


def test_mcnemar_refuses_runs_of_different_length() -> None:
    with pytest.raises(ValueError, match="shorter"):
        mcnemar([True, True], [True])


def test_a_bootstrap_of_two_questions_is_their_four_resamples() -> None:
    # Means 0, 1/2, 1/2, 1 with a quarter each: 2.5 % and 97.5 % lie in the outer ones.
    assert clustered_bootstrap([[0.0, 1.0]], resamples=1000) == Interval(0.5, 0.0, 1.0)


@pytest.mark.parametrize("rows", [[[0.25] * 8], [[0.25]], [[0.1], [0.4]], [[0.25] * 3, [0.25] * 3]])
def test_one_question_or_equal_values_give_no_interval(rows: list[list[float]]) -> None:
    assert clustered_bootstrap(rows, resamples=50) == Estimate(0.25, None, None)


def test_values_that_differ_by_rounding_alone_are_equal() -> None:
    assert clustered_bootstrap([[0.3, 0.1 + 0.2]], resamples=50).low is None


def test_a_bootstrap_agrees_with_the_normal_approximation() -> None:
    # 500 questions: 60 gained, 40 lost. Mean 0.04, standard error sqrt((100/500 - 0.04^2) / 500) = 0.01992.
    found = clustered_bootstrap([[1.0] * 60 + [-1.0] * 40 + [0.0] * 400], resamples=4000)
    assert found.mean == pytest.approx(0.04)
    assert found.low == pytest.approx(0.04 - 1.96 * 0.01992, abs=0.0025)
    assert found.high == pytest.approx(0.04 + 1.96 * 0.01992, abs=0.0025)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = [0.1, 0.5, -0.2, 0.9, 0.3]
    first = clustered_bootstrap([values], resamples=200, seed=3)
    assert first == clustered_bootstrap([values], resamples=200, seed=3)
    assert first != clustered_bootstrap([values], resamples=200, seed=4)


def plain_bootstrap(rows: list[list[float]], resamples: int, seed: int) -> Interval:
    """The same, one resample after the other in plain Python."""
    draw, seeds = random.Random(seed), len(rows)
    columns, means = list(zip(*rows, strict=True)), []
    for _ in range(resamples):
        drawn = sorted(draw.choices(range(seeds), k=seeds)) if seeds > 1 else [0]
        pooled = [added(column[s] for s in drawn) / seeds for column in columns]
        means.append(added(draw.choices(pooled, k=len(columns))) / len(columns))
    mean = statistics.fmean(value for row in rows for value in row)
    return Interval(mean, percentile(means, 2.5), percentile(means, 97.5))


def added(values) -> float:
    """A sum rounded after each addition; ``sum`` rounds once from Python 3.12 on."""
    return list(itertools.accumulate(values))[-1]


@pytest.mark.parametrize(("seeds", "questions"), [(1, 2), (1, 23), (2, 5), (3, 40), (5, 8)])
def test_a_bootstrap_is_the_one_of_plain_python_to_the_last_digit(
    seeds: int, questions: int
) -> None:
    dice = random.Random(questions)
    rows = [[dice.gauss(0.0, 1.0) for _ in range(questions)] for _ in range(seeds)]
    for seed in (0, 3):
        expected = plain_bootstrap(rows, 300, seed)
        assert clustered_bootstrap(rows, resamples=300, seed=seed) == expected


def test_a_clustered_bootstrap_sees_the_spread_between_seeds() -> None:
    # Every question agrees within a seed, the seeds do not: only drawing seeds gives any width.
    found = clustered_bootstrap([[0.0] * 50, [1.0] * 50], resamples=1000)
    assert found == Interval(0.5, 0.0, 1.0)


def test_a_clustered_bootstrap_keeps_a_question_together_across_seeds() -> None:
    # Seeds are equal, so three seeds of two questions hold no more than two questions.
    found = clustered_bootstrap([[0.0, 1.0]] * 3, resamples=1000)
    assert found == Interval(0.5, 0.0, 1.0)


def test_a_clustered_bootstrap_agrees_with_every_resample_counted_out() -> None:
    # 2 seeds and 3 questions have 2^2 * 3^3 = 108 resamples.
    rows = [[0.0, 1.0, 4.0], [2.0, 5.0, 0.0]]
    means = [
        statistics.fmean(rows[s][q] for s in seeds for q in questions)
        for seeds in itertools.product(range(2), repeat=2)
        for questions in itertools.product(range(3), repeat=3)
    ]
    found = clustered_bootstrap(rows, resamples=20_000)
    assert found.mean == pytest.approx(2.0)
    assert found.low == pytest.approx(percentile(means, 2.5), abs=0.2)
    assert found.high == pytest.approx(percentile(means, 97.5), abs=0.2)


@pytest.mark.parametrize("rows", [[], [[]], [[1.0], [1.0, 2.0]]])
def test_a_bootstrap_refuses_rows_that_hold_no_common_questions(rows: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="expected one value a question"):
        clustered_bootstrap(rows)


def test_percentiles_interpolate_between_neighbours() -> None:
    assert percentile([4.0, 1.0, 2.0, 3.0], 50) == 2.5
    assert percentile([0.0, 10.0], 95) == 9.5
    assert percentile([7.0], 95) == 7.0


def test_an_interval_writes_itself_in_any_form() -> None:
    assert f"{Interval(4.06, -0.3, 8.3):+.1f}" == "+4.1 (-0.3 to +8.3)"
    assert f"{Interval(0.5, 0.25, 0.75):.3f}" == "0.500 (0.250 to 0.750)"
    assert f"{Estimate(4.06, None, None):+.1f}" == "+4.1"
    assert Estimate(0.5, None, None).scaled(100) == Estimate(50.0, None, None)


def test_a_ratio_is_that_of_the_means_and_resampled_together() -> None:
    # Two questions: ratios 0/1, 1/2 twice, 1/1 with a quarter each.
    found = clustered_ratio([[0.0, 1.0]], [[1.0, 1.0]], resamples=1000)
    assert found == Interval(0.5, 0.0, 1.0)


@pytest.mark.parametrize(
    ("above", "below"),
    [([1.0, 3.0, 5.0], [2.0, 6.0, 10.0]), ([0.0, 0.5], [0.0, 1.0]), ([0.5], [1.0])],
)
def test_a_ratio_that_all_questions_share_has_no_interval(
    above: list[float], below: list[float]
) -> None:
    assert clustered_ratio([above], [below], resamples=50) == Estimate(0.5, None, None)


def test_a_ratio_to_nothing_is_none_and_resamples_of_nothing_are_left_out() -> None:
    assert clustered_ratio([[1.0, 2.0]], [[0.0, 0.0]], resamples=10) is None
    found = clustered_ratio([[0.0, 1.0, 1.0]], [[0.0, 2.0, 1.0]], resamples=1000)
    assert found == Interval(2 / 3, 0.5, 1.0)


@pytest.mark.parametrize(("seeds", "questions"), [(1, 23), (3, 40)])
def test_a_ratio_is_the_one_of_plain_python(seeds: int, questions: int) -> None:
    dice = random.Random(questions)
    above, below = (
        [[dice.random() for _ in range(questions)] for _ in range(seeds)] for _ in range(2)
    )
    draw, ratios = random.Random(5), []
    for _ in range(60):
        drawn = draw.choices(range(seeds), k=seeds) if seeds > 1 else [0]
        chosen = draw.choices(range(questions), k=questions)
        sums = [sum(rows[s][q] for s in drawn for q in chosen) for rows in (above, below)]
        ratios.append(sums[0] / sums[1])
    found = clustered_ratio(above, below, resamples=60, seed=5)
    assert isinstance(found, Interval)
    assert found.low == pytest.approx(percentile(ratios, 2.5))
    assert found.high == pytest.approx(percentile(ratios, 97.5))


@pytest.mark.parametrize(
    ("value", "bounds", "questions", "low", "high"),
    [  # Wilson's bounds of 0 of 10 and 10 of 10, as published above; the width falls with the questions.
        (0.0, (0.0, 1.0), 10, 0.0, 0.2775),
        (1.0, (0.0, 1.0), 10, 0.7225, 1.0),
        (0.0, (-1.0, 1.0), 10, -0.2775, 0.2775),
        (1.0, (-1.0, 1.0), 10, 1.0 - 2 * 0.2775, 1.0),
        (0.0, (-1.0, 1.0), 500, -0.0076, 0.0076),
        (1.0, (-1.0, 1.0), 1, -0.5869, 1.0),  # one question, won: nothing is shown
    ],
)
def test_equal_values_of_any_number_of_questions_and_seeds_are_not_certain(
    value: float, bounds: tuple[float, float], questions: int, low: float, high: float
) -> None:
    for seeds in (1, 3):
        found = bounded_bootstrap([[value] * questions] * seeds, *bounds, resamples=10)
        assert found.mean == value
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


def test_values_that_differ_are_resampled_whatever_their_bounds() -> None:
    rows = [[0.0, 1.0, 1.0], [0.0, 0.0, 1.0]]
    assert bounded_bootstrap(rows, 0.0, 1.0, resamples=99) == clustered_bootstrap(
        rows, resamples=99
    )


@pytest.mark.parametrize("rows", [[], [[]], [[1.0], [1.0, 1.0]]])
def test_bounded_values_need_common_questions_too(rows: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="expected one value a question"):
        bounded_bootstrap(rows, 0.0, 1.0)


def test_a_ratio_agrees_with_the_delta_method() -> None:
    # r = 0.2, residuals n - r d have standard deviation 1.077 (1 and 0.2 * 2), over a mean of 10 and 400 questions.
    dice = random.Random(1)
    below = [dice.gauss(10.0, 2.0) for _ in range(400)]
    above = [dice.gauss(2.0, 1.0) for _ in range(400)]
    found = clustered_ratio([above], [below], resamples=4000)
    assert found is not None
    half = 1.96 * (1.0 + 0.04 * 4.0) ** 0.5 / 10 / 20
    assert found.high - found.mean == pytest.approx(half, rel=0.12)
    assert found.mean - found.low == pytest.approx(half, rel=0.12)
