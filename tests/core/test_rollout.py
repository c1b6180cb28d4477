"""A rollout as data: its counts and its record."""

import dataclasses
import json

import pytest

from adasr_trl.core.protocol import Ending, Phase
from adasr_trl.core.rollout import Rollout, from_record, to_record

R, S, D = Phase.READ, Phase.STREAM, Phase.DEEP

# Prompt of 2; chunk 0: 1 read, 2 thought; chunk 1: 2 read, 1 skip; chunk 2: 1 read, 3 thought, 1 forced;
# transition of 1, then 4 deep.
ROLLOUT = Rollout(
    episode_id="ledger-7",
    prompt_length=2,
    token_ids=tuple(range(100, 118)),
    phases=(R, R, R, S, S, R, R, S, R, S, S, S, R, R, D, D, D, D),
    chunk_of_token=(-1, -1, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3),
    thought_endings=(Ending.THOUGHT, Ending.SKIP, Ending.OUT_OF_TOKENS),
    ending=Ending.ANSWERED,
    logprobs=(0.0,) * 3 + (-0.5, -1.25) + (0.0,) * 2 + (-0.125,) + (0.0,) * 10,
    thoughts=("Tom 5", "", "Tom 5 + 3 and"),
    deep="5 + 3 = 8",
    answer="8",
    answer_tokens=3,
)


def test_tokens_are_counted_by_phase_and_by_thought_without_forced_ones() -> None:
    assert [ROLLOUT.tokens_in(phase) for phase in Phase] == [8, 6, 4]
    assert ROLLOUT.thought_tokens() == (2, 1, 3)


def test_the_skip_rate_is_the_share_of_chunks_that_the_model_skipped() -> None:
    assert ROLLOUT.skip_rate == pytest.approx(1 / 3)


def test_a_rollout_without_thoughts_skips_nothing() -> None:
    deep_only = dataclasses.replace(
        ROLLOUT,
        phases=tuple(R if phase is S else phase for phase in ROLLOUT.phases),
        thought_endings=(),
        thoughts=(),
    )
    assert deep_only.skip_rate == 0.0
    assert deep_only.thought_tokens() == ()


def test_a_record_survives_a_line_of_json() -> None:
    line = json.dumps(to_record(ROLLOUT))
    assert from_record(json.loads(line)) == ROLLOUT


def test_an_unfinished_rollout_survives_too() -> None:
    unfinished = dataclasses.replace(
        ROLLOUT, ending=Ending.MALFORMED, answer=None, deep="", logprobs=None
    )
    assert from_record(to_record(unfinished)) == unfinished


def test_a_record_spells_phases_and_endings_for_a_reader() -> None:
    record = to_record(ROLLOUT)
    assert record["phases"] == "RRRSSRRSRSSSRRDDDD"
    assert record["thought_endings"] == ["thought", "skip", "out_of_tokens"]
    assert record["ending"] == "answered"


def test_log_probabilities_are_kept_to_six_digits() -> None:
    exact = dataclasses.replace(ROLLOUT, logprobs=(-1 / 3,) * 18)
    assert from_record(to_record(exact)).logprobs == (-0.333333,) * 18


def test_a_record_with_a_missing_or_unknown_part_is_refused() -> None:
    record = to_record(ROLLOUT)
    with pytest.raises(KeyError, match="answer_tokens"):
        from_record({key: value for key, value in record.items() if key != "answer_tokens"})
    with pytest.raises(KeyError, match="X"):
        from_record(record | {"phases": "X" * 18})
    with pytest.raises(ValueError, match="given up"):
        from_record(record | {"ending": "given up"})
