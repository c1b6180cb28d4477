"""The numbers of a suite's table, recomputed by hand."""

from __future__ import annotations

import itertools
import math

import pytest

from adasr_trl.config.eval_section import ClockSection, EvalConfig
from adasr_trl.config.sections import ModelConfig
from adasr_trl.core.clock import Clock
from adasr_trl.core.protocol import Ending, Mode
from adasr_trl.evaluation.clocks import Pace, PacedClock
from adasr_trl.evaluation.intervals import Estimate, Interval, wilson_interval
from adasr_trl.evaluation.outcome import Latencies, Outcome
from adasr_trl.evaluation.page import Findings, markdown_of, pairs_of, shown_pairs
from adasr_trl.evaluation.plan import EvaluationPlan, Questions, Suite
from adasr_trl.evaluation.settings import Condition, Setting
from adasr_trl.evaluation.summary import (
    PairedDifference,
    pass_at_k,
    summarise_samples,
    summarise_seeds,
    values_by_question,
    values_by_seed,
)
from adasr_trl.evaluation.tables import SKIP_RATE


def judged(right, *, deep=10, skips="", trace="", latency=1.0, ending=Ending.ANSWERED) -> Outcome:
    """A rollout that wrote 5 tokens of thoughts; ``skips`` and ``trace`` have an s for each skip, a t for each thought."""
    seconds = Latencies(
        backlog_seconds=latency / 4,
        answer_latency_seconds=latency,
        end_seconds=latency + 0.1,
        overlap=0.5,
        first_seconds=latency - 0.1,
        lagging=2 * latency,
    )
    return Outcome(
        right=right,
        streaming_tokens=5,
        deep_tokens=deep,
        ending=ending,
        skips=tuple(letter == "s" for letter in skips),
        trace_skips=tuple(letter == "s" for letter in trace),
        latencies=(seconds,),
        lagging=3.0 * latency,
        adaptive_lagging=4.0 if right else None,
    )


FOUR = [
    judged(True, deep=10, skips="sttt", trace="sstt", latency=1.0),
    judged(True, deep=20, skips="sstt", trace="sttt", latency=2.0),
    judged(False, deep=30, skips="tttt", trace="sstt", latency=3.0, ending=Ending.MALFORMED),
    judged(False, deep=0, latency=10.0, ending=Ending.OUT_OF_TOKENS),
]


def test_a_line_is_what_its_rollouts_add_up_to() -> None:
    found = summarise_samples([FOUR], ("own",), 10)
    assert (found.questions, found.samples, found.pass_at) == (4, 1, {})
    assert found.accuracy == Interval(0.5, *wilson_interval(2, 4))
    assert (found.streaming_tokens, found.deep_tokens, found.total_tokens) == (5, 15, 20)
    assert (found.answered, found.malformed, found.out_of_tokens) == (0.5, 0.25, 0.25)
    # The fourth one had no choice: it is no part of the skip rate. Two of three skips are the trace's, of its five.
    assert found.skip_rate == pytest.approx((1 / 4 + 2 / 4 + 0) / 3)
    assert found.skip_precision == pytest.approx(2 / 3)
    assert found.skip_recall == pytest.approx(2 / 5)
    assert found.lagging_words == pytest.approx(3 * 16 / 4)
    assert found.adaptive_lagging_words == 4.0


def test_a_clock_has_means_medians_and_95th_percentiles() -> None:
    by = summarise_samples([FOUR], ("own",), 10).clocks["own"]
    assert by.backlog_seconds == pytest.approx(1.0)
    assert (by.answer_latency_seconds.mean, by.answer_latency_seconds.median) == (4.0, 2.5)
    assert by.answer_latency_seconds.p95 == pytest.approx(
        3.0 + 0.85 * 7.0
    )  # position 3 * 0.95 = 2.85
    assert by.first_seconds.median == pytest.approx(2.4)
    assert by.end_seconds.median == pytest.approx(2.6)
    assert (by.overlap, by.lagging_seconds, by.adaptive_lagging_seconds) == (0.5, 8.0, None)


def test_without_skips_or_traces_there_is_no_precision() -> None:
    found = summarise_samples([[judged(True)]], ("own",), 10)
    assert (found.skip_rate, found.skip_precision, found.skip_recall) == (None, None, None)
    assert SKIP_RATE.cell(found) == "-"


@pytest.mark.parametrize(("n", "c"), [(4, 1), (5, 2), (6, 6), (3, 0)])
def test_pass_at_k_is_the_share_of_subsets_that_hold_a_right_one(n: int, c: int) -> None:
    for k in range(1, n + 1):
        subsets = list(itertools.combinations([True] * c + [False] * (n - c), k))
        assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


@pytest.mark.parametrize(("n", "c", "k"), [(3, 4, 1), (3, 1, 4), (3, 1, 0), (3, -1, 1)])
def test_pass_at_k_refuses_what_cannot_be(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match=f"got {c} right of {n} samples and k = {k}"):
        pass_at_k(n, c, k)


def test_samples_are_a_mean_for_each_question_and_pass_at_k_over_them() -> None:
    # Three samples of two questions: 1 of 3 right, and 3 of 3. pass@2 of the first: 1 - C(2,2)/C(3,2) = 2/3.
    samples = [
        [judged(True), judged(True)],
        [judged(False), judged(True)],
        [judged(False), judged(True)],
    ]
    found = summarise_samples(samples, ("own",), 2000)
    assert (found.questions, found.samples) == (2, 3)
    assert found.accuracy.mean == pytest.approx(2 / 3)
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx((1 / 3, 1.0))
    assert found.pass_at == pytest.approx({1: 2 / 3, 2: 5 / 6, 3: 1.0})


def row(run: str, mode: Mode = Mode.STREAMING, temperature: float = 0.0) -> Condition:
    return Condition(run, Setting(mode, temperature))


def rights(pattern: str, latency: float) -> list[Outcome]:
    return [judged(letter == "r", latency=latency) for letter in pattern]


def test_any_two_lines_of_one_temperature_are_compared_on_the_same_questions() -> None:
    lines = {
        row("a"): values_by_question([rights("rrwwwwwwww", 2.0)]),
        row("b"): values_by_question([rights("rwrrrrwwww", 1.5)]),
        row("b", Mode.NO_DEEP): values_by_question([rights("wwwwwwwwww", 0.5)]),
        row("b", temperature=1.0): values_by_question([rights("wwwwwwwwww", 0.5)]),
    }
    found = pairs_of(lines, resamples=200)
    assert [(first.label, second.label) for first, second in found] == [
        ("a, streaming, greedy", "b, streaming, greedy"),
        ("a, streaming, greedy", "b, no-deep, greedy"),
        ("b, streaming, greedy", "b, no-deep, greedy"),
    ]
    first = next(iter(found.values()))
    assert first.points.mean == pytest.approx(30.0)
    assert first.points.low < 30.0 < first.points.high
    # 4 against 1 of 5: (1 + 5) of 32 ways are as uneven on each side.
    assert (first.mcnemar.n01, first.mcnemar.n10, first.mcnemar.p) == (4, 1, 12 / 32)
    assert first.answer_latency_seconds == Estimate(-0.5, None, None)
    assert first.turned.points.mean == pytest.approx(-30.0)
    assert (first.turned.mcnemar.n01, first.turned.answer_latency_seconds.mean) == (1, 0.5)
    ends = [-first.points.high, -first.points.low]
    assert [first.turned.points.low, first.turned.points.high] == pytest.approx(ends)


def suite_of(rows, tmp_path, **config) -> Suite:
    runs = {each.run: str(tmp_path / each.run) for each in rows}
    section = EvalConfig(runs=runs, output_dir=str(tmp_path), **config)
    asked = Questions("", tmp_path / "test.jsonl", 4)
    plans = {
        (run, "test"): EvaluationPlan(ModelConfig(path=path), asked, (), 0)
        for run, path in runs.items()
    }
    return Suite(section, plans, tuple(rows), tmp_path)


def cells(text: str, start: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_shows_the_same_numbers(tmp_path) -> None:
    rows = [row("sft"), row("hrpo")]
    suite = suite_of(rows, tmp_path, clocks={"own": ClockSection(jitter=0.5, burst=2)})
    samples = {rows[0]: [FOUR], rows[1]: [rights("rrrr", 0.5)]}
    summaries = {each: summarise_samples(found, ("own",), 10) for each, found in samples.items()}
    pairs = pairs_of({each: values_by_question(found) for each, found in samples.items()}, 50)
    clocks = {"own": PacedClock(Clock(), Pace(jitter=0.5, burst=2))}
    findings = Findings({"test": summaries}, {"test": pairs}, dict.fromkeys(suite.runs, clocks))
    text = markdown_of(suite, findings)
    assert "jitter 0.5 (seed 0), in bursts of 2, 30 ms a written token, 0.5 ms a read token" in text
    assert cells(text, "sft | streaming")[3:] == [
        "0.500 (0.150 to 0.850)", "5.0", "15.0", "20.0", "0.25", "0.67", "0.40", "0.500", "12.0", "4.0",
    ]  # fmt: skip
    clock = text[text.index("By the clock") :]
    assert cells(clock, "sft | streaming")[3:] == [
        "1.00", "3.90", "8.85", "4.00", "8.95", "0.50", "8.00", "-",
    ]  # fmt: skip
    difference = cells(text, "hrpo, streaming - sft, streaming")
    assert difference[2].startswith("+50.0 (")
    assert difference[3:6] == ["2 / 0", "0.5", "-5.0"]
    assert difference[6].startswith("-3.50 (")


def test_many_pairs_are_shown_against_the_reference_alone(tmp_path) -> None:
    rows = [row(run, mode) for run in "abc" for mode in (Mode.STREAMING, Mode.NO_DEEP)]
    lines = {each: values_by_question([rights("rw", 1.0)]) for each in rows}
    found = pairs_of(lines, resamples=5)
    assert len(found) == math.comb(6, 2)
    shown = shown_pairs(suite_of(rows, tmp_path, reference="b"), found)
    assert {first.label for first, _ in shown} == {"b, streaming, greedy"}
    assert [second for _, second in shown] == [each for each in rows if each != rows[2]]
    few = dict(itertools.islice(found.items(), 10))
    assert shown_pairs(suite_of(rows, tmp_path), few) == few


def test_seeds_are_pooled_and_shown_one_by_one() -> None:
    found = summarise_seeds([rights("rrww", 1.0), rights("rwww", 3.0)])
    assert (found.questions, found.samples, found.accuracies) == (4, 2, (0.5, 0.25))
    assert found.accuracy.mean == 0.375
    assert found.accuracy.low < 0.25 < 0.5 < found.accuracy.high
    assert found.latency.answer_latency_seconds.mean == 2.0


def test_a_summary_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="evaluate at least one episode"):
        summarise_seeds([[]])


def test_a_share_of_tokens_is_resampled_with_what_it_is_a_share_of() -> None:
    # All is saved but a token in 15 or 105, so the percentage lies between; a mean held fixed would reach below -100.
    long, short = judged(True, deep=100), judged(True, deep=10)
    first = values_by_seed([[long, short], [short, short]])
    second = values_by_seed([[judged(True, deep=-4)] * 2] * 2)
    found = PairedDifference(first, second, 500).tokens_percent
    assert found.mean == pytest.approx(100 * (4 / 150 - 1))
    assert found.low >= 100 * (1 / 105 - 1)
    assert found.high == pytest.approx(100 * (1 / 15 - 1))


def test_a_share_of_no_tokens_is_none() -> None:
    empty = values_by_seed([[judged(True, deep=-5)]])
    assert PairedDifference(empty, values_by_seed([[judged(True)]])).tokens_percent is None


def test_answers_of_several_seeds_to_one_question_are_no_independent_pairs() -> None:
    wrong, right = [judged(False)] * 6, [judged(True)] * 6
    one = PairedDifference(values_by_seed([wrong]), values_by_seed([right]))
    assert one.p_value == pytest.approx(2 / 2**6)
    several = PairedDifference(values_by_seed([wrong] * 3), values_by_seed([right] * 3))
    assert (several.mcnemar.n01, several.mcnemar.n10) == (18, 0)
    assert several.p_value is None  # 2 / 2**18 would take three seeds for three times the questions
    samples = PairedDifference(values_by_question([wrong] * 3), values_by_question([right] * 3))
    assert samples.p_value == one.p_value  # of the first sample


@pytest.mark.parametrize(("right", "low", "high"), [(True, 0.7225, 1.0), (False, 0.0, 0.2775)])
def test_all_right_or_all_wrong_keeps_wilsons_width_with_seeds_and_samples(
    right: bool, low: float, high: float
) -> None:
    runs = [[judged(right)] * 10] * 2
    for summary in (summarise_seeds(runs), summarise_samples(runs, ("own",), 10)):
        found = summary.accuracy
        assert (found.mean, found.low, found.high) == pytest.approx(
            (float(right), low, high), abs=5e-5
        )
