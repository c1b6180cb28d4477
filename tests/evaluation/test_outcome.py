"""Accuracy, tokens, seconds, and the intervals and tests that compare two runs."""

import dataclasses
import itertools
import statistics

import pytest

from adasr_trl.core.clock import Clock
from adasr_trl.core.episode import AnswerType, Episode, Source
from adasr_trl.core.protocol import Ending, Phase
from adasr_trl.core.rollout import Rollout
from adasr_trl.evaluation.outcome import (
    Interval,
    Outcome,
    clustered_bootstrap,
    mcnemar,
    outcome,
    paired_bootstrap,
    percentile,
    summarise,
    wilson_interval,
)

R, S, D = Phase.READ, Phase.STREAM, Phase.DEEP

EPISODE = Episode(
    id="ledger-7",
    group="ledger",
    question="How many apples has Tom?",
    chunks=("Tom has 5 apples.", " He buys 3."),
    answer="8",
    answer_type=AnswerType.NUMBER,
    source=Source("ledger", "1", "CC0-1.0", "train"),
    arrival_seconds=(1.0, 2.0),
    tags=("deep",),
)
ROLLOUT = Rollout(
    episode_id="ledger-7",
    prompt_length=1,
    token_ids=tuple(range(10)),
    phases=(R, R, S, S, R, S, R, D, D, D),
    chunk_of_token=(-1, 0, 0, 0, 1, 1, 2, 2, 2, 2),
    thought_endings=(Ending.THOUGHT, Ending.SKIP),
    ending=Ending.ANSWERED,
    logprobs=None,
    thoughts=("Tom 5", ""),
    deep="",
    answer="8",
    answer_tokens=2,
)
CLOCK = Clock(seconds_per_token=0.1, prefill_seconds_per_token=0.01)


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


def test_a_paired_bootstrap_of_two_questions_is_their_four_resamples() -> None:
    # Means 0, 1/2, 1/2, 1 with a quarter each: 2.5 % and 97.5 % lie in the outer ones.
    assert paired_bootstrap([0.0, 1.0], resamples=1000) == Interval(0.5, 0.0, 1.0)


def test_a_paired_bootstrap_of_a_constant_has_no_width() -> None:
    assert paired_bootstrap([0.25] * 8, resamples=50) == Interval(0.25, 0.25, 0.25)


def test_a_paired_bootstrap_agrees_with_the_normal_approximation() -> None:
    # 500 questions: 60 gained, 40 lost. Mean 0.04, standard error sqrt((100/500 - 0.04^2) / 500) = 0.01992.
    found = paired_bootstrap([1.0] * 60 + [-1.0] * 40 + [0.0] * 400, resamples=4000)
    assert found.mean == pytest.approx(0.04)
    assert found.low == pytest.approx(0.04 - 1.96 * 0.01992, abs=0.0025)
    assert found.high == pytest.approx(0.04 + 1.96 * 0.01992, abs=0.0025)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = [0.1, 0.5, -0.2, 0.9, 0.3]
    first = paired_bootstrap(values, resamples=200, seed=3)
    assert first == paired_bootstrap(values, resamples=200, seed=3)
    assert first != paired_bootstrap(values, resamples=200, seed=4)


def test_a_clustered_bootstrap_of_one_seed_is_the_paired_one() -> None:
    values = [1.0, 0.0, 0.0, -1.0, 1.0]
    assert clustered_bootstrap([values], resamples=99) == paired_bootstrap(values, resamples=99)


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


def test_an_outcome_holds_tokens_seconds_and_the_verdict() -> None:
    # Chunk 1 arrives at 2.0 and is done at 2.0 + 0.01 + 0.1: backlog 0.11. Then 0.01 and 2 tokens of 0.1.
    found = outcome(ROLLOUT, EPISODE, CLOCK)
    assert found.right
    assert (found.streaming_tokens, found.deep_tokens, found.total_tokens) == (3, 3, 6)
    assert found.skip_rate == 0.5
    assert found.backlog_seconds == pytest.approx(0.11)
    assert found.answer_latency_seconds == pytest.approx(0.32)
    assert (found.ending, found.tags) == (Ending.ANSWERED, ("deep",))


@pytest.mark.parametrize("ending", [Ending.OUT_OF_TOKENS, Ending.MALFORMED])
def test_an_answer_that_the_protocol_did_not_close_is_wrong(ending: Ending) -> None:
    assert not outcome(dataclasses.replace(ROLLOUT, ending=ending), EPISODE, CLOCK).right


@pytest.mark.parametrize("answer", ["9", None])
def test_a_different_or_missing_answer_is_wrong(answer: str | None) -> None:
    assert not outcome(dataclasses.replace(ROLLOUT, answer=answer), EPISODE, CLOCK).right


def test_an_interval_writes_itself_in_any_form() -> None:
    assert f"{Interval(4.06, -0.3, 8.3):+.1f}" == "+4.1 (-0.3 to +8.3)"
    assert f"{Interval(0.5, 0.25, 0.75):.3f}" == "0.500 (0.250 to 0.750)"


@pytest.mark.parametrize(
    ("thoughts", "told", "right"),
    [
        (("Tom 5", "5 + 3 = 8"), ("Tom 5", "so 8"), True),
        (("Tom 5", "5 + 3 = 9"), ("Tom 5", "so 8"), False),
        (("Tom 5", "8.0"), ("Tom 5", "8"), True),  # a number, however it is written
        (("", "so"), ("Tom 5", "so 8"), None),
        (("Tom 5", "8"), None, None),
    ],
)
def test_a_stream_is_right_where_it_ends_in_the_traces_number(thoughts, told, right) -> None:
    rollout = dataclasses.replace(ROLLOUT, thoughts=thoughts)
    episode = dataclasses.replace(EPISODE, thoughts=told, deep=None if told is None else "")
    assert outcome(rollout, episode, CLOCK).stream_right is right


def test_a_rollout_of_another_episode_is_refused() -> None:
    with pytest.raises(
        ValueError, match="answers episode 'other' but was given episode 'ledger-7'"
    ):
        outcome(dataclasses.replace(ROLLOUT, episode_id="other"), EPISODE, CLOCK)


def fake(*, right: bool, streaming: int, deep: int, latency: float, ending: Ending) -> Outcome:
    return Outcome(
        "a", right, streaming, deep, streaming + deep, 0.5, latency, 0.0, 0.0, ending, ()
    )


def test_a_summary_is_the_means_of_all_outcomes_wrong_ones_included() -> None:
    found = summarise(
        [
            fake(right=True, streaming=10, deep=20, latency=1.0, ending=Ending.ANSWERED),
            fake(right=True, streaming=20, deep=30, latency=2.0, ending=Ending.ANSWERED),
            fake(right=False, streaming=30, deep=0, latency=3.0, ending=Ending.MALFORMED),
            fake(right=False, streaming=0, deep=90, latency=10.0, ending=Ending.OUT_OF_TOKENS),
        ]
    )
    assert (found.n, found.accuracy) == (4, 0.5)
    assert (found.accuracy_low, found.accuracy_high) == wilson_interval(2, 4)
    assert (found.streaming_tokens, found.deep_tokens, found.total_tokens) == (15, 35, 50)
    assert (found.answer_latency_seconds, found.latency_median) == (4.0, 2.5)
    assert found.latency_p95 == pytest.approx(3.0 + 0.85 * 7.0)  # position 3 * 0.95 = 2.85
    assert (found.answered, found.malformed, found.out_of_tokens) == (0.5, 0.25, 0.25)
    assert found.skip_rate == 0.5


def test_a_summary_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="evaluate at least one episode"):
        summarise([])
