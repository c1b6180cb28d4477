"""Read-then-think may copy each sentence that it works on before the thought."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adasr_trl.core.episode import AnswerType, Episode, Source
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Mode
from adasr_trl.training.restating import restated
from adasr_trl.training.sft import IGNORED, StreamingSFTConfig, StreamingSFTTrainer

EPISODE = Episode(
    id="1",
    group="1",
    question="How many?",
    chunks=("Tom has 5 hens.", " It rains.", " He buys 3."),
    answer="8",
    answer_type=AnswerType.NUMBER,
    thoughts=("5", "", "5 + 3 = 8"),
    deep="8",
    source=Source("own", "1", "Apache-2.0", "train"),
)


def test_each_sentence_with_a_thought_stands_before_it():
    assert restated(EPISODE).thoughts == ("Tom has 5 hens. 5", "", "He buys 3. 5 + 3 = 8")
    assert (restated(EPISODE).chunks, restated(EPISODE).deep) == (EPISODE.chunks, EPISODE.deep)


@pytest.mark.parametrize("restate", [True, False])
def test_only_a_run_that_restates_is_taught_to_copy(tmp_path, model, parts, tokenizer, restate):
    codec, _, streaming = parts
    args = StreamingSFTConfig(
        str(tmp_path), mode="read_then_think", restate=restate, use_cpu=True, bf16=False
    )
    trainer = StreamingSFTTrainer(model, args, [EPISODE], [EPISODE], tokenizer, streaming=streaming)
    for rows in (trainer.train_dataset, trainer.eval_dataset):
        row = rows[0]
        labels = [label for label in row["labels"] if label != IGNORED]
        deep = "Tom has 5 hens. 5 He buys 3. 5 + 3 = 8 8" if restate else "5 5 + 3 = 8 8"
        ending = codec.marker("reasoning_end")
        answer = (*codec.encode_text("8"), codec.eos_id)
        assert tuple(labels) == (*codec.encode_text(deep), *ending, *answer)


def restating(path, model, parts, tokenizer, episode):
    """A trainer that restates."""
    args = StreamingSFTConfig(
        str(path), mode="read_then_think", restate=True, use_cpu=True, bf16=False
    )
    return StreamingSFTTrainer(
        model, args, [episode], processing_class=tokenizer, streaming=parts[2]
    )


def test_a_trace_that_its_copies_make_too_long_is_refused(tmp_path, model, parts, tokenizer):
    _, layout, _ = parts
    plain = len(layout.encode(EPISODE, Mode.READ_THEN_THINK).token_ids)
    model.config.max_position_embeddings = plain + 3
    with pytest.raises(UserError, match=rf"of {plain + 3} positions.* without restate"):
        restating(tmp_path, model, parts, tokenizer, EPISODE)


def test_a_marker_in_the_input_is_not_copied_into_a_trace(tmp_path, model, parts, tokenizer):
    marked = replace(EPISODE, chunks=("Tom has 5 <EOT> hens.", " It rains.", " He buys 3."))
    with pytest.raises(UserError, match=r"episode '1': its trace holds the marker '<EOT>'"):
        restating(tmp_path, model, parts, tokenizer, marked)


@pytest.mark.parametrize("mode", ["streaming", "prefill_only"])
def test_without_a_deep_part_that_copies_it_is_refused(mode):
    with pytest.raises(ValueError, match=rf"restate: got true with mode {mode}; .*read_then_think"):
        StreamingSFTConfig("runs/x", mode=mode, restate=True, use_cpu=True, bf16=False)
