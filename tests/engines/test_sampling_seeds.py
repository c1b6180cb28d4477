"""A seed says what a rollout is: alone, in any batch, and in a plain loop without cache; a thousand seeds in the slow test."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from adasr_trl.core.protocol import Phase
from adasr_trl.engines import HFEngine, Request, Sampling
from adasr_trl.engines.rollout_state import SequenceState
from adasr_trl.engines.sampling import uniform
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.codec import Codec
from adasr_trl.layouts.visibility import mask_and_positions
from support.settings import STREAMING

SHORT = dataclasses.replace(STREAMING, max_thought_tokens=4, max_deep_tokens=8)
NEAR = 1e-5  # of a boundary between two tokens: there rounding may decide


def reference(model, parts, request):
    """A plain loop: one sequence, no cache, inverse CDF in double precision. Tokens, and how near each draw was to another."""
    codec, layout, streaming = parts
    state, margins = SequenceState(request, layout, codec, streaming), []
    while not state.done:
        ids = list(state.take_all())
        mask, positions = mask_and_positions(torch.tensor([state._log.visibility]))
        logits = model(
            input_ids=torch.tensor([ids]), attention_mask=mask, position_ids=positions
        ).logits[0, -1]
        cdf = torch.softmax(logits.double(), dim=-1).cumsum(dim=-1)
        number = uniform(request.seed, state.sampled_tokens) * cdf[-1]
        token = int((cdf <= number).sum())
        margins.append(float((cdf - number).abs().min()))
        state.accept(token, 0.0)
    rollout = state.rollout()
    written = [t for t, p in zip(rollout.token_ids, rollout.phases, strict=True) if p != Phase.READ]
    return written, margins


def check(model, tokenizer, episodes, count, layout_name):
    streaming = dataclasses.replace(SHORT, layout=layout_name)
    codec = Codec(tokenizer, streaming.markers)
    layout = build_layout(streaming, codec)
    parts = (codec, layout, streaming)
    requests = [Request(episodes[seed % 7], seed) for seed in range(count)]

    def rolled(batch, some):
        config = dataclasses.replace(streaming, decode_batch=batch)
        found = HFEngine(model, codec, layout, config).rollout(some, Sampling(1.0))
        return [
            [t for t, p in zip(r.token_ids, r.phases, strict=True) if p != Phase.READ]
            for r in found
        ]

    with torch.no_grad():
        wanted = [reference(model, parts, request) for request in requests]
    alone = [rolled(1, [request])[0] for request in requests]
    others = {"alone": alone, "3": rolled(3, requests), "64": rolled(64, requests)}
    near = 0
    for name, found in others.items():
        for seed, (tokens, (expected, margins)) in enumerate(zip(found, wanted, strict=True)):
            if tokens == expected:
                continue
            first = next(
                n
                for n, pair in enumerate(zip(tokens, expected, strict=False))
                if len(set(pair)) > 1
            )
            assert margins[first] < NEAR, f"seed {seed} ({name}): {tokens} is not {expected}"
            near += 1
    return near


@pytest.mark.parametrize("layout", ["interleaved", "parallel"])
def test_rollouts_of_forty_seeds_are_those_of_a_plain_loop(model, tokenizer, episodes, layout):
    assert check(model.eval(), tokenizer, episodes, 40, layout) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["interleaved", "parallel"])
def test_rollouts_of_a_thousand_seeds_are_those_of_a_plain_loop(model, tokenizer, episodes, layout):
    assert check(model.eval(), tokenizer, episodes, 1000, layout) <= 5
