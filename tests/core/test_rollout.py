"""A rollout as data: its counts and its record."""

import dataclasses
import json
import math
import re

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


WRONG = [
    ({"phases": "RRR"}, "phases: got 3; expected 18, as many as token_ids"),
    ({"phases": list("RRRSSRRSRSSSRRDDDD")}, "phases: got ['R'"),
    ({"chunk_of_token": [0] * 17}, "chunk_of_token: got 17; expected 18"),
    ({"chunk_of_token": [-2] * 18}, "chunk_of_token: got -2; expected -1 to"),
    ({"chunk_of_token": [3] * 18}, "chunk_of_token, of a thought: got 3; expected 0 to 2"),
    ({"logprobs": [0.0] * 2}, "logprobs: got 2; expected 18"),
    ({"logprobs": ["half"] * 18}, "got 'half'; expected a number, or inf"),
    ({"logprobs": [True] * 18}, "logprobs[0]: got True; expected a number"),
    ({"thought_endings": ["thought", "skip"]}, "thoughts: got 3; expected 2, as many as thought_endings"),
    ({"thought_endings": ["thought", "skip", "answered"]}, "ending: got that of a thought"),
    ({"ending": "skip"}, "ending: got that of a thought"),
    ({"ending": ["answered"]}, "ending: got ['answered']; expected text"),
    ({"thoughts": [1, 2, 3]}, "thoughts[0]: got 1; expected text"),
    ({"thoughts": "abc"}, "thoughts: got 'abc'; expected a list"),
    ({"prompt_length": 10**6}, "prompt_length: got 1000000; expected 1 to 18"),
    ({"prompt_length": 0}, "prompt_length: got 0; expected 1 to 18"),
    ({"prompt_length": 4}, "prompt_length: got 4; expected given tokens alone"),
    ({"prompt_length": True}, "prompt_length: got True; expected a whole number"),
    ({"answer_tokens": "7"}, "answer_tokens: got '7'; expected a whole number"),
    ({"answer_tokens": -50}, "answer_tokens: got -50; expected 0 to 4"),
    ({"answer_tokens": 5}, "answer_tokens: got 5; expected 0 to 4"),
    ({"reasoning_tokens": 5}, "reasoning_tokens: got 5; expected 0 to 4"),
    ({"answer": 7}, "answer: got 7; expected text or null"),
    ({"deep": None}, "deep: got None; expected text"),
    ({"episode_id": 7}, "episode_id: got 7; expected text"),
    ({"token_ids": ["7"] * 18}, "token_ids[0]: got '7'; expected a whole number"),
    ({"token_ids": [-1] * 18}, "token_ids: got -1; expected 0 to"),
    ({"discarded": [-1]}, "discarded: got -1; expected 0 to"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_record_of_a_wrong_shape_or_type_is_refused_by_name(change, message) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        from_record(to_record(ROLLOUT) | change)


@pytest.mark.parametrize("record", [[], 7, None, "text"])
def test_a_record_is_an_object(record) -> None:
    with pytest.raises(ValueError, match="expected an object"):
        from_record(record)


def test_a_number_that_json_has_no_form_for_survives_a_line_of_json() -> None:
    unknown = dataclasses.replace(ROLLOUT, logprobs=(-math.inf, math.inf, *[math.nan] * 16))
    line = json.dumps(to_record(unknown), allow_nan=False)
    read = from_record(json.loads(line)).logprobs
    assert read[:2] == (-math.inf, math.inf)
    assert all(map(math.isnan, read[2:]))
