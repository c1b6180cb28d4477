"""What a thought adds to log p(gold answer): forced answers, packed and one by one, and the reward made of them."""

from __future__ import annotations

import copy
import dataclasses
import math

import pytest
import torch

from adasr_trl.config.sections import RewardConfig
from adasr_trl.core.protocol import Mode, Phase
from adasr_trl.engines import Request
from adasr_trl.engines.rollout_state import SequenceState
from adasr_trl.hrpo import HRPOConfig, HRPOTrainer
from adasr_trl.hrpo.frozen_policy import AskedPolicy
from adasr_trl.hrpo.gold_answer import branches, gold_logps, plain_logps
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.base import Stream
from adasr_trl.layouts.codec import Codec
from adasr_trl.layouts.visibility import mask_and_positions
from adasr_trl.rewards import Scope, ScoredRollout, build_rewards
from adasr_trl.rewards.stream_gain import GoldGain
from support.group_scoring import EPISODE
from support.hrpo_training import SETTINGS
from support.scripted import write
from support.settings import PARALLEL, STREAMING

FORMS = {
    "interleaved": STREAMING,
    "parallel, fed": PARALLEL,
    "parallel, written": dataclasses.replace(PARALLEL, boundary="written"),
}
WEIGHTS = [
    RewardConfig("accuracy", "global"),
    RewardConfig("gold_gain", "streaming"),
    RewardConfig("branch_value", "streaming", 1.0, {"continuations": 2, "every": 3}),
    RewardConfig("format", "deep", 0.25),
]


def parts_of(tokenizer, streaming):
    codec = Codec(tokenizer, streaming.markers)
    return codec, build_layout(streaming, codec), streaming


def rollouts_of(parts):
    """A thought, a skip, a thought that is cut off; and all skipped."""
    long = "Tom 5 + 3 = 8 , Tom 5 + 3 = 8 , Tom 5"
    cut = write(EPISODE, parts, ["Tom 5", "", long], "", "8")
    assert any(ending.value == "out_of_tokens" for ending in cut.thought_endings)
    return [cut, write(EPISODE, parts, ["", "", ""], "5 + 3", "9")]


def ended_early(rollout, count, parts):
    """An engine's sequence of the stream that ends after ``count`` chunks, in the mode without a deep part."""
    codec, layout, streaming = parts
    if count:
        short = dataclasses.replace(
            EPISODE, chunks=EPISODE.chunks[:count], thoughts=None, deep=None
        )
        state = SequenceState(Request(short, 0, Mode.NO_DEEP), layout, codec, streaming)
    else:
        opening = layout.opening(EPISODE.question)
        turns = [*opening, *layout.closing(0, opening[-1].sees)]
        end = turns[-1].token_ids + codec.marker("reasoning_end")
        turns[-1] = dataclasses.replace(turns[-1], token_ids=end)
        turns.sort(key=lambda turn: turn.stream is Stream.TARGET)
        state = SequenceState(Request(EPISODE, 0), layout, codec, streaming, turns=turns)
    written = zip(rollout.token_ids, rollout.phases, rollout.chunk_of_token, strict=True)
    for token_id, phase, chunk in written:
        if phase is Phase.STREAM and chunk < count:
            state.accept(token_id, 0.0)
    return state


@torch.no_grad()
def naive(model, rollout, count, parts):
    """Log p(gold) by one forward of one branch, token by token."""
    state = ended_early(rollout, count, parts)
    codec = parts[0]
    answer = (*codec.encode_text(EPISODE.answer), codec.eos_id)
    given = state.tokens
    for token_id in answer:
        state.accept(token_id, 0.0)
    fed = state.take(10_000)
    mask, positions = mask_and_positions(torch.tensor([fed.visibility]))
    assert positions[0].tolist() == list(fed.positions)
    ids = torch.tensor([fed.token_ids])
    logits = model(input_ids=ids, attention_mask=mask, position_ids=positions).logits[0]
    logps = logits.log_softmax(dim=-1)
    return sum(logps[given + n - 1, token_id].item() for n, token_id in enumerate(answer))


def trainer_of(model, tokenizer, episodes, out, streaming, configs=WEIGHTS, **changes):
    return HRPOTrainer(
        copy.deepcopy(model),
        args=HRPOConfig(str(out), **{**SETTINGS, **changes}),
        train_dataset=episodes[:6],
        streaming=streaming,
        reward_funcs=build_rewards(configs, streaming),
        processing_class=tokenizer,
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shared", [True, False])
def test_packed_branches_equal_one_forward_per_branch(
    form, shared, model, tokenizer, episodes, tmp_path
):
    parts = parts_of(tokenizer, FORMS[form])
    rollouts = rollouts_of(parts)
    codec, layout, streaming = parts
    trainer = trainer_of(model, tokenizer, episodes, tmp_path, streaming, shared_prefix=shared)
    rest = (rollouts, [EPISODE] * 2, layout, codec)
    with AskedPolicy(trainer, freezes=False).under("policy") as token_logps:
        packed = gold_logps(token_logps, *rest)
    expected = [[naive(model.eval(), r, n, parts) for n in range(4)] for r in rollouts]
    plain = gold_logps(lambda *rows: plain_logps(model, *rows), *rest)
    for found in (packed, plain):
        for row, wanted in zip(found, expected, strict=True):
            assert row == pytest.approx(wanted, abs=1e-5)
    assert (
        len({round(value, 4) for row in expected for value in row}) == 7
    )  # one beginning is shared


@pytest.mark.parametrize("form", FORMS)
def test_branches_share_what_they_have_in_common(form, tokenizer):
    """A packed forward has the stream's tokens once, and a tail a branch."""
    from adasr_trl.layouts.prefix_tree import prefix_tree

    codec, layout, streaming = parts_of(tokenizer, FORMS[form])
    rollout = rollouts_of((codec, layout, streaming))[0]
    rows = branches(rollout, EPISODE, layout, codec)
    width = max(len(row.token_ids) for row in rows)

    def padded(column):
        return torch.tensor(
            [getattr(row, column) + (0,) * (width - len(row.token_ids)) for row in rows]
        )

    tree = prefix_tree(padded("token_ids"), padded("visibility"))
    tail = len(codec.marker("stream_end") + codec.marker("reasoning_end")) + rows[0].counted
    again = form == "parallel, fed"  # a thought's last token, which sees what follows
    longest = len(rows[-1].token_ids)
    assert len(tree.ids_N) == longest + 3 * (tail + again)


def test_log_probabilities_are_those_of_the_answer_and_the_end(model, tokenizer, parts):
    """Without attention the model is a table of pairs: <EOR> then the answer then the end."""
    codec, layout, _ = parts
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                parameter.zero_()
        table = (
            model(input_ids=torch.arange(model.config.vocab_size).unsqueeze(1))
            .logits[:, 0]
            .log_softmax(dim=-1)
        )
    answer = (*codec.encode_text("8"), codec.eos_id)
    before = (codec.marker("reasoning_end")[-1], *answer)
    expected = sum(table[a, b].item() for a, b in zip(before, answer, strict=False))
    found = gold_logps(
        lambda *rows: plain_logps(model, *rows), rollouts_of(parts), [EPISODE] * 2, layout, codec
    )
    assert [value for row in found for value in row] == pytest.approx([expected] * 8, abs=1e-4)


def test_the_reference_keeps_the_weights_of_the_start(model, tokenizer, episodes, parts, tmp_path):
    codec, layout, streaming = parts
    trainer = trainer_of(model, tokenizer, episodes, tmp_path, streaming)
    asked = AskedPolicy(trainer, freezes=True)
    rest = (rollouts_of(parts), [EPISODE] * 2, layout, codec)

    def logps(under):
        with asked.under(under) as token_logps:
            return gold_logps(token_logps, *rest)

    before = logps("policy")
    with torch.no_grad():
        for parameter in trainer.model.parameters():
            parameter.mul_(1.1)
    changed = [p.clone() for p in trainer.model.parameters()]
    assert logps("reference") == before
    assert logps("policy") != before
    assert all(torch.equal(a, b) for a, b in zip(trainer.model.parameters(), changed, strict=True))


def gain(values, right=True, scope=Scope.STREAMING, rule=None, parts=None):
    rule = rule or GoldGain()
    rollout = write(EPISODE, parts, ["Tom 5", "", "Tom 8"], "", "8")
    return rule.measure(ScoredRollout(rollout, EPISODE, right, stream_values={rule: values}), scope)


def test_a_thought_earns_the_difference_that_it_makes(parts):
    """Behind three thoughts -2, -2.5, -1, before the first -5: gains 3, -1/2, 3/2, together 4."""
    found = gain((-5.0, -2.0, -2.5, -1.0), parts=parts)
    assert found.chunks == (3.0, -0.5, 1.5)
    assert found.value == pytest.approx(4 / 3)
    assert gain((-5.0, -2.0, -2.5, -1.0), right=False, parts=parts) == found


def test_probabilities_bound_the_gain(parts):
    rule = GoldGain(of="probability")
    found = gain(tuple(math.log(p) for p in (0.25, 0.5, 0.5, 1.0)), rule=rule, parts=parts)
    assert found.chunks == pytest.approx((0.25, 0.0, 0.5))


def test_a_thought_that_was_never_begun_has_no_gain(parts):
    found = gain((-5.0, -2.0), parts=parts)
    assert found.chunks == (3.0, None, None)
    assert found.value == pytest.approx(1.0)


@pytest.mark.parametrize("streaming", [STREAMING, PARALLEL], ids=["interleaved", "parallel"])
def test_a_training_step_gives_each_thought_its_own_advantage(
    streaming, taught, tokenizer, episodes, tmp_path
):
    trainer = trainer_of(
        *(taught, tokenizer, episodes, tmp_path, streaming),
        granularity="sentence",
        local_weight=1.0,
        max_steps=1,
    )
    seen = []
    original = trainer._generate_and_score_completions

    def watched(inputs):
        output = original(inputs)
        seen.append((output["advantages"], trainer.generation_batch))
        return output

    trainer._generate_and_score_completions = watched
    trainer.train()
    advantages_BT, batch = seen[0]
    values = [scored.values[1] for scored in batch.rollouts]
    assert all(
        len(v.chunks) == len(s.episode.chunks) for v, s in zip(values, batch.rollouts, strict=True)
    )
    assert len({round(x.item(), 5) for x in advantages_BT[0].unique()}) > 3
    assert trainer.state.log_history[0]["rewards/gold_gain_streaming/mean"] == pytest.approx(
        sum(v.value for v in values) / len(values), abs=1e-5
    )
