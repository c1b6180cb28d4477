"""Read-then-think may copy each sentence that it works on before the thought."""

from __future__ import annotations

import pytest

from adasr_trl.core.episode import AnswerType, Episode, Source
from adasr_trl.training.sft import IGNORED, StreamingSFTConfig, StreamingSFTTrainer, restated

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


@pytest.mark.parametrize("mode", ["streaming", "prefill_only"])
def test_without_a_deep_part_that_copies_it_is_refused(mode):
    with pytest.raises(ValueError, match=rf"restate: got true with mode {mode}; .*read_then_think"):
        StreamingSFTConfig("runs/x", mode=mode, restate=True, use_cpu=True, bf16=False)
