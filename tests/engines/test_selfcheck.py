"""Which models the parallel layout runs on is found out by trying; FlexAttention gives what SDPA gives."""

from __future__ import annotations

import pytest
import torch
from transformers import AttentionInterface

from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Mode
from adasr_trl.engines import selfcheck
from adasr_trl.engines.attention import SLOT_ATTENTION
from adasr_trl.engines.selfcheck import check_model
from adasr_trl.layouts.visibility import StreamingForward, mask_and_positions
from support.families import BAD, GOOD, build
from support.parallel_layout import parts_for
from support.settings import PARALLEL


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("scale", [1.0, 4.0])
@pytest.mark.parametrize("family", list(GOOD))
@pytest.mark.parametrize("layout", ["interleaved", "parallel"])
def test_good_families_pass_the_self_check_and_keep_their_mode(family, scale, dtype, layout):
    model = build(GOOD[family], 420, scale=scale).to(dtype).train()
    check_model(model, layout)
    assert model.training
    assert model.config._attn_implementation == "sdpa"


def test_a_model_that_attends_in_a_way_of_its_own_is_refused_in_both_layouts(monkeypatch):
    """As one would whose code does not ask transformers which attention to use."""
    monkeypatch.setitem(
        AttentionInterface._global_mapping,
        SLOT_ATTENTION,
        AttentionInterface._global_mapping["sdpa"],
    )
    for layout in ("interleaved", "parallel"):
        with pytest.raises(UserError, match=r"token by token differs|forward raises"):
            check_model(build(GOOD["qwen3"], 420), layout)


@pytest.mark.parametrize("scale", [1.0, 4.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("family", "said"),
    [("lfm2", "changes what was written before"), ("bloom", "does not obey")],
)
def test_a_model_in_which_tokens_meet_elsewhere_is_refused(family, said, dtype, scale):
    model = build(BAD[family], 420, scale=scale).to(dtype)
    with pytest.raises(UserError, match="interleaved") as caught:
        check_model(model, "parallel")
    assert said in str(caught.value)


def test_a_model_whose_target_sees_no_source_is_refused(monkeypatch):
    def blind(visibility):
        mask, positions = mask_and_positions(visibility)
        return mask & ~source_from_target(visibility), positions

    monkeypatch.setattr(selfcheck, "mask_and_positions", blind)
    with pytest.raises(UserError, match="changes nothing in what is written behind"):
        check_model(build(GOOD["qwen3"], 420), "parallel")


def source_from_target(visibility):
    return ((visibility < 0).unsqueeze(-1) & (visibility > 0).unsqueeze(-2)).unsqueeze(1)


def test_the_self_check_of_a_model_for_flex_attention_runs_under_sdpa_as_rollouts_do():
    model = build(GOOD["qwen3"], 420)
    model.set_attn_implementation("flex_attention")
    check_model(model, "parallel")
    assert model.config._attn_implementation == "flex_attention"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_eager_attention_is_refused_since_it_reads_a_bool_mask_as_numbers(scale, dtype):
    model = build(GOOD["qwen3"], 420, scale=scale).to(dtype)
    model.set_attn_implementation("eager")
    with pytest.raises(UserError, match="does not obey"):
        check_model(model, "parallel")


@pytest.mark.slow
def test_flex_attention_gives_what_sdpa_gives_forward(model, tokenizer, episodes):
    """Backward needs a GPU. It compiles for 20 seconds."""
    _, layout = parts_for(tokenizer, PARALLEL)
    encoded = layout.encode(episodes[0], Mode.STREAMING)
    visibility = torch.tensor([[0, 0, *layout.visibility(encoded), 0]])
    ids = torch.tensor([[3, 3, *encoded.token_ids, 3]])
    outputs = []
    for implementation in ("sdpa", "flex_attention"):
        model.set_attn_implementation(implementation)
        streaming = StreamingForward(model, model, lambda _: visibility, implementation)
        with torch.no_grad():
            outputs.append(
                streaming(input_ids=ids, attention_mask=visibility).logits[visibility != 0]
            )
    assert (outputs[0] - outputs[1]).abs().max() < 1e-3
