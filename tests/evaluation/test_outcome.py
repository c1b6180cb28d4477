"""One rollout judged: verdict, tokens, seconds, and what its thoughts came to."""

import dataclasses

import pytest

from adasr_trl.core.clock import Clock
from adasr_trl.core.episode import AnswerType, Episode, Source
from adasr_trl.core.protocol import Ending, Phase
from adasr_trl.core.rollout import Rollout
from adasr_trl.evaluation.outcome import outcome

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


def test_an_outcome_holds_tokens_seconds_and_the_verdict() -> None:
    # Chunk 1 arrives at 2.0 and is done at 2.0 + 0.01 + 0.1: backlog 0.11. Then 0.01 and 2 tokens of 0.1.
    found = outcome(ROLLOUT, EPISODE, CLOCK)
    assert found.right
    assert (found.streaming_tokens, found.deep_tokens, found.total_tokens) == (3, 3, 6)
    assert (found.skips, found.trace_skips) == ((False, True), ())
    assert found.latencies[0].backlog_seconds == pytest.approx(0.11)
    assert found.answer_latency_seconds == pytest.approx(0.32)
    assert (found.ending, found.tags) == (Ending.ANSWERED, ("deep",))


@pytest.mark.parametrize("ending", [Ending.OUT_OF_TOKENS, Ending.MALFORMED])
def test_an_answer_that_the_protocol_did_not_close_is_wrong(ending: Ending) -> None:
    assert not outcome(dataclasses.replace(ROLLOUT, ending=ending), EPISODE, CLOCK).right


@pytest.mark.parametrize("answer", ["9", None])
def test_a_different_or_missing_answer_is_wrong(answer: str | None) -> None:
    assert not outcome(dataclasses.replace(ROLLOUT, answer=answer), EPISODE, CLOCK).right


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
