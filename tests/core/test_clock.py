"""Seconds from tokens: a worked example, a tick-by-tick simulation as the reference, and the edge cases."""

import dataclasses
import math
import random

import pytest

from adasr_trl.core.clock import Clock, Timeline, arrivals, first_answer_seconds, timeline
from adasr_trl.core.episode import AnswerType, Episode, Source
from adasr_trl.core.protocol import Phase
from adasr_trl.core.rollout import Rollout
from support.timelines import beside, build

TICK = 0.01


def played(
    read: list[int], written: list[int], arrived: list[float], answer_tokens: int, clock: Clock
) -> Timeline:
    """The timeline of a rollout with so many read and written tokens per chunk; the last entry is the deep part."""
    return timeline(build(read, written, answer_tokens), tuple(arrived), clock)


def test_a_read_has_a_fixed_cost_beside_that_of_its_tokens() -> None:
    """The worked example below with 0.25 s a read; the second chunk has no token to read, and costs none.

    chunk  arrives  read             written  starts  finishes
    0      2        0.25 + 10 (1 s)  3 (3s)   2       6.25
    1      4        nothing          1        6.25    7.25
    2      10       0.25 + 5         4        10      14.75

    The transition: 4.75 + 0.25 + 0.2 + 5 = 10.2 to the answer.
    """
    line = played(
        *([10, 0, 5, 2], [3, 1, 4, 6], [2.0, 4.0, 10.0]),
        answer_tokens=5,
        clock=Clock(seconds_per_token=1.0, prefill_seconds_per_token=0.1, seconds_per_read=0.25),
    )
    assert line.finish_seconds == pytest.approx((6.25, 7.25, 14.75))
    assert line.answer_latency_seconds == pytest.approx(10.2)


def test_thoughts_queue_behind_one_another_and_wait_for_their_chunk() -> None:
    """Reading takes 0.1 s a token, writing 1 s a token; chunks arrive at 2, 4 and 10 s.

    chunk  arrives  read    written  starts           finishes
    0      2        10 (1s) 3 (3s)   2                2 + 1 + 3 = 6
    1      4        5       1        6 (was busy)     6 + 0.5 + 1 = 7.5
    2      10       5       4        10 (was idle)    10 + 0.5 + 4 = 14.5

    Backlog 14.5 - 10 = 4.5. The deep part reads 2 (0.2 s) and writes 6, the answer's value ends at the 5th:
    4.5 + 0.2 + 5 = 9.7 to the answer, 10.7 to the end. The prompt was read before the clock starts.
    Of 3 + 1 + 4 + 6 seconds of writing, 3 + 1 were over when the last chunk arrived.
    """
    line = played(
        *([10, 5, 5, 2], [3, 1, 4, 6], [2.0, 4.0, 10.0]),
        answer_tokens=5,
        clock=Clock(seconds_per_token=1.0, prefill_seconds_per_token=0.1),
    )
    assert line.start_seconds == pytest.approx((2.0, 6.0, 10.0))
    assert line.finish_seconds == pytest.approx((6.0, 7.5, 14.5))
    assert line.backlog_seconds == pytest.approx(4.5)
    assert line.answer_latency_seconds == pytest.approx(9.7)
    assert line.end_latency_seconds == pytest.approx(10.7)
    assert line.thinking_seconds == pytest.approx(14.0)
    assert line.overlap == pytest.approx(4 / 14)


def test_the_same_example_in_the_parallel_layout_reads_beside_the_writing() -> None:
    """Reading is off the critical path unless the model is idle.

    chunk  arrives  encoded                thought starts      finishes
    0      2        2 + 1 = 3              3 (was idle)        3 + 3 = 6
    1      4        4 + 0.5 = 4.5          6 (was writing)     6 + 1 = 7
    2      10       10 + 0.5 = 10.5        10.5 (was idle)     10.5 + 4 = 14.5

    The end of the stream is encoded at 10.7, before the last thought is done: 4.5 + 5 to the answer, 10.5 to the end.
    """
    rollout = beside(build([10, 5, 5, 2], [3, 1, 4, 6], answer_tokens=5))
    clock = Clock(seconds_per_token=1.0, prefill_seconds_per_token=0.1)
    line = timeline(rollout, (2.0, 4.0, 10.0), clock)
    assert line.start_seconds == pytest.approx((3.0, 6.0, 10.5))
    assert line.finish_seconds == pytest.approx((6.0, 7.0, 14.5))
    assert line.answer_latency_seconds == pytest.approx(9.5)
    assert line.end_latency_seconds == pytest.approx(10.5)


def test_one_device_reads_and_writes_in_turn_whatever_the_layout() -> None:
    rollout = build([10, 5, 5, 2], [3, 1, 4, 6], answer_tokens=5)
    clock = Clock(seconds_per_token=1.0, prefill_seconds_per_token=0.1, reads_beside=False)
    in_turn = timeline(beside(rollout), (2.0, 4.0, 10.0), clock)
    assert in_turn == timeline(rollout, (2.0, 4.0, 10.0), clock)
    assert in_turn.answer_latency_seconds == pytest.approx(9.7)  # as in the worked example


def test_with_nothing_to_write_the_parallel_layout_waits_for_the_end_of_the_stream() -> None:
    rollout = beside(build([5, 5, 2], [0, 0, 1], answer_tokens=1))
    clock = Clock(seconds_per_token=1.0, prefill_seconds_per_token=0.1)
    assert timeline(rollout, (2.0, 10.0), clock).answer_latency_seconds == pytest.approx(
        0.5 + 0.2 + 1
    )


@pytest.mark.parametrize("parallel", [False, True])
def test_a_forced_end_marker_is_read_behind_its_thought_and_delays_nothing_before(
    parallel: bool,
) -> None:
    """Two forced tokens behind the first thought (0.2 s): its start stays, its end moves."""
    rollout = build([10, 5, 2], [3, 1, 2], answer_tokens=2)
    rollout = beside(rollout) if parallel else rollout
    last = next(
        i
        for i in range(len(rollout.phases) - 1)
        if rollout.phases[i] is Phase.STREAM
        and rollout.chunk_of_token[i] == 0
        and rollout.chunk_of_token[i + 1] != 0
    )
    cut = last + 1
    forced = dataclasses.replace(
        rollout,
        phases=(*rollout.phases[:cut], Phase.READ, Phase.READ, *rollout.phases[cut:]),
        chunk_of_token=(*rollout.chunk_of_token[:cut], 0, 0, *rollout.chunk_of_token[cut:]),
    )
    clock = Clock(seconds_per_token=1.0, prefill_seconds_per_token=0.1)
    before, after = (timeline(each, (2.0, 20.0), clock) for each in (rollout, forced))
    assert after.start_seconds == before.start_seconds
    assert after.finish_seconds[0] - before.finish_seconds[0] == pytest.approx(0.2)
    assert after.answer_latency_seconds == pytest.approx(before.answer_latency_seconds)


def test_thinking_that_fits_between_arrivals_costs_only_its_last_thought() -> None:
    # The paper's picture at tau = 0.03: 20 deep tokens and the last thought's 10 are waited for, not the 100.
    line = played(
        *([0, 0, 0], [100, 10, 20], [4.0, 8.0]),
        answer_tokens=20,
        clock=Clock(prefill_seconds_per_token=0.0),
    )
    assert line.backlog_seconds == pytest.approx(10 * 0.03)
    assert line.answer_latency_seconds == pytest.approx(30 * 0.03)


def test_thinking_slower_than_the_input_piles_up_into_the_backlog() -> None:
    # Ten chunks, one a second, two seconds of thought each: starts at 1, done at 21, the last arrived at 10.
    line = played(
        *([0] * 11, [2] * 10 + [0], [float(k) for k in range(1, 11)]),
        answer_tokens=0,
        clock=Clock(seconds_per_token=1.0, prefill_seconds_per_token=0.0),
    )
    assert line.backlog_seconds == pytest.approx(11.0)


def test_read_then_think_reads_while_the_input_arrives_and_waits_for_all_its_thinking() -> None:
    # 100 tokens a chunk at 0.01 s are 1 s of reading; chunks come 5 s apart, so only the last one's waits.
    line = played(
        *([100, 100, 100, 4], [0, 0, 0, 50], [5.0, 10.0, 15.0]),
        answer_tokens=50,
        clock=Clock(seconds_per_token=0.1, prefill_seconds_per_token=0.01),
    )
    assert line.finish_seconds == pytest.approx((6.0, 11.0, 16.0))
    assert line.answer_latency_seconds == pytest.approx(1.0 + 0.04 + 5.0)


def test_without_recorded_times_chunks_arrive_at_reading_speed() -> None:
    # 150 words a minute are 0.4 s a word: 4 words, then 3 more.
    episode = Episode(
        id="a",
        group="a",
        question="How many apples has Tom?",
        chunks=("Tom has 5 apples.", " He buys 3."),
        answer="8",
        answer_type=AnswerType.NUMBER,
        source=Source("ledger", "1", "CC0-1.0", "train"),
    )
    assert arrivals(episode, Clock()) == pytest.approx((1.6, 2.8))
    assert arrivals(episode, Clock(words_per_minute=300)) == pytest.approx((0.8, 1.4))
    recorded = dataclasses.replace(episode, arrival_seconds=(0.0, 9.0))
    assert arrivals(recorded, Clock()) == (0.0, 9.0)


def simulate(rollout: Rollout, arrival_ticks: list[int], read: int, write: int) -> dict[str, int]:
    """One worker, one tick at a time: it takes the next token as soon as that token's chunk has arrived.

    Returns when the last thought, the answer's value and the last token were done, in ticks after the last arrival.
    """
    last = arrival_ticks[-1]
    tokens = [
        (chunk, phase is Phase.DEEP, read if phase is Phase.READ else write)
        for phase, chunk in zip(rollout.phases, rollout.chunk_of_token, strict=True)
        if chunk >= 0
    ]
    now, left, deep_written, done = 0, 0, 0, {"backlog": 0, "answer": 0, "end": 0}
    while tokens:
        chunk, is_deep, cost = tokens[0]
        arrived = now >= (arrival_ticks[chunk] if chunk < len(arrival_ticks) else last)
        if arrived:
            left = (left or cost) - 1
        now += 1
        if not arrived or left:
            continue
        tokens.pop(0)
        deep_written += is_deep
        after = max(0, now - last)
        done["end"] = after
        if chunk < len(arrival_ticks):
            done["backlog"] = after
        if deep_written <= rollout.answer_tokens:
            done["answer"] = after
    return done


@pytest.mark.parametrize("seed", range(300))
def test_the_timeline_agrees_with_a_simulation_tick_by_tick(seed: int) -> None:
    draw = random.Random(seed)
    chunks = draw.randint(1, 5)
    read = [draw.randint(1, 6) for _ in range(chunks + 1)]
    written = [draw.randint(0, 6) for _ in range(chunks)] + [draw.randint(1, 8)]
    arrived = sorted(draw.randint(0, 60) for _ in range(chunks))
    read_ticks, write_ticks = draw.randint(1, 3), draw.randint(1, 5)
    rollout = build(read, written, answer_tokens=draw.randint(1, written[-1]))
    clock = Clock(seconds_per_token=write_ticks * TICK, prefill_seconds_per_token=read_ticks * TICK)
    line = timeline(rollout, tuple(tick * TICK for tick in arrived), clock)
    done = simulate(rollout, arrived, read_ticks, write_ticks)
    assert line.backlog_seconds == pytest.approx(done["backlog"] * TICK)
    assert line.answer_latency_seconds == pytest.approx(done["answer"] * TICK)
    assert line.end_latency_seconds == pytest.approx(done["end"] * TICK)


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ({"words_per_minute": 0}, "words_per_minute: got 0"),
        ({"seconds_per_token": -0.1}, "expected 0 or more"),
        ({"prefill_seconds_per_token": -0.1}, "expected 0 or more"),
        ({"seconds_per_read": -0.1}, "seconds_per_read: got -0.1"),
        ({"words_per_minute": math.nan}, "words_per_minute: got nan"),
        ({"seconds_per_token": math.nan}, "seconds_per_token: got nan; expected 0 or more"),
        ({"seconds_per_token": math.inf}, "seconds_per_token: got inf; expected 0 or more"),
    ],
)
def test_impossible_rates_are_refused(rates: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Clock(**rates)


def test_the_first_token_of_the_answer_comes_before_its_last() -> None:
    # Six deep tokens end 10.7 s after the last chunk; the answer begins with the fourth, two tokens before.
    rollout = build([10, 5, 5, 2], [3, 1, 4, 6], answer_tokens=5)
    clock = Clock(seconds_per_token=1.0, prefill_seconds_per_token=0.1)
    line = timeline(rollout, (2.0, 4.0, 10.0), clock)
    assert first_answer_seconds(rollout, line, clock, 4) == pytest.approx(8.7)
    assert first_answer_seconds(rollout, line, clock, 5) == pytest.approx(
        line.answer_latency_seconds
    )
