"""Memory of rollouts: the cache keeps to its bound, and a batch that does not fit goes on as two, with the same rollouts."""

from __future__ import annotations

import dataclasses
import logging

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from adasr_trl.core.errors import UserError
from adasr_trl.engines import CacheBudget, HFEngine, Request, Sampling
from adasr_trl.engines.memory import bytes_per_token
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.codec import Codec
from support.settings import STREAMING


@pytest.fixture(params=["interleaved", "parallel"])
def parts(request, tokenizer):
    streaming = dataclasses.replace(STREAMING, layout=request.param, decode_batch=12)
    codec = Codec(tokenizer, streaming.markers)
    return codec, build_layout(streaming, codec), streaming


def requests_for(episodes, count=12):
    return [Request(episodes[i // 3], i) for i in range(count)]


def too_large(model, most, times=1000):
    """Out of memory whenever more than ``most`` rows are fed, so many times."""
    left = [times]

    def refuse(_module, _args, kwargs):
        slots = kwargs.get("slots")
        if slots is not None and slots.num_slots > most and left[0]:
            left[0] -= 1
            raise torch.OutOfMemoryError("CUDA out of memory")

    return model.register_forward_pre_hook(refuse, with_kwargs=True)


def test_out_of_memory_halves_the_batch_says_so_once_and_the_rollouts_are_the_same(
    model, parts, episodes, caplog
):
    expected = HFEngine(model, *parts).rollout(requests_for(episodes), Sampling(1.0))
    budget = CacheBudget(12)
    hook = too_large(model, 4)
    with caplog.at_level(logging.WARNING):
        found = HFEngine(model, *parts, budget).rollout(requests_for(episodes), Sampling(1.0))
        again = HFEngine(model, *parts, budget).rollout(requests_for(episodes), Sampling(1.0))
    hook.remove()
    assert [r.token_ids for r in found] == [r.token_ids for r in expected]
    assert [r.token_ids for r in again] == [r.token_ids for r in expected]
    assert budget.max_batch_size == 3
    said = [record.message for record in caplog.records if "out of memory" in record.message]
    assert [line.partition(":")[0] for line in said] == [
        "out of memory with 12 rollouts together",
        "out of memory with 6 rollouts together",
    ]
    assert "from here 3 together" in said[1]


def test_rollouts_that_were_under_way_go_on_where_they_were(model, parts, episodes):
    """Memory runs out in the middle: what was written stays, and is read again."""
    expected = HFEngine(model, *parts).rollout(requests_for(episodes), Sampling(1.0))
    steps = []

    def late(_module, _args, kwargs):
        steps.append(1)
        if len(steps) == 15:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    hook = model.register_forward_pre_hook(late, with_kwargs=True)
    found = HFEngine(model, *parts).rollout(requests_for(episodes), Sampling(1.0))
    hook.remove()
    assert [r.token_ids for r in found] == [r.token_ids for r in expected]
    apart = [
        abs(a - b)
        for one, two in zip(found, expected, strict=True)
        for a, b in zip(one.logprobs, two.logprobs, strict=True)
    ]
    assert max(apart) < 1e-4


def test_the_head_is_never_copied_for_each_prompt(model, parts, episodes):
    """A matrix product of rows that lie apart copies the weights for each: 0.3 GB a prompt of a large vocabulary."""
    lies_apart = []

    def watch(_head, args):
        lies_apart.append(not args[0].is_contiguous())

    hook = model.lm_head.register_forward_pre_hook(watch)
    HFEngine(model, *parts).rollout(requests_for(episodes), Sampling(1.0))
    hook.remove()
    assert lies_apart
    assert not any(lies_apart)


def test_one_rollout_that_does_not_fit_alone_is_an_error(model, parts, episodes):
    hook = too_large(model, 0)
    with pytest.raises(torch.OutOfMemoryError):
        HFEngine(model, *parts).rollout(requests_for(episodes), Sampling(1.0))
    hook.remove()


def test_other_errors_are_not_taken_for_it(model, parts, episodes):
    def broken(_module, _args, _kwargs):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    hook = model.register_forward_pre_hook(broken, with_kwargs=True)
    with pytest.raises(RuntimeError, match="mat1"):
        HFEngine(model, *parts).rollout(requests_for(episodes), Sampling(1.0))
    hook.remove()


def test_the_cache_keeps_to_its_bound_and_what_it_took_is_reported(taught, parts, episodes):
    codec, layout, streaming = parts
    expected = HFEngine(taught, *parts).rollout(requests_for(episodes), Sampling(1.0))
    gib = 600 * bytes_per_token(taught) * 2 / 2**30
    budget = CacheBudget(12)
    bounded = dataclasses.replace(streaming, max_cache_gib=gib)
    found = HFEngine(taught, codec, layout, bounded, budget).rollout(
        requests_for(episodes), Sampling(1.0)
    )
    assert [r.token_ids for r in found] == [r.token_ids for r in expected]
    report = budget.report()
    assert 0 < report["rollout/cache_mib"] <= gib * 1024
    assert report["rollout/tokens_per_second"] > 0
    assert budget.report() == {}
    unbounded = CacheBudget(12)
    HFEngine(taught, *parts, unbounded).rollout(requests_for(episodes), Sampling(1.0))
    assert unbounded.report()["rollout/cache_mib"] > report["rollout/cache_mib"]


def test_a_bound_below_one_rollout_is_refused(model, parts, episodes):
    codec, layout, streaming = parts
    bounded = dataclasses.replace(streaming, max_cache_gib=1e-6)
    with pytest.raises(UserError, match=r"max_cache_gib: got 1e-06; one rollout of at most \d+"):
        HFEngine(model, codec, layout, bounded).rollout(requests_for(episodes), Sampling(1.0))


def test_a_group_shares_the_memory_of_what_it_begins_with(model, tokenizer, episodes):
    streaming = dataclasses.replace(STREAMING, layout="parallel", decode_batch=64)
    codec = Codec(tokenizer, streaming.markers)
    layout = build_layout(streaming, codec)

    def peak(requests):
        budget = CacheBudget(64)
        with sdpa_kernel(SDPBackend.MATH):
            HFEngine(model, codec, layout, streaming, budget).rollout(requests, Sampling(1.0))
        return budget.report()["rollout/cache_mib"] * 2**20

    source = sum(len(t.token_ids) for t in layout.turns(episodes[0], Request(episodes[0], 0).mode))
    own = 128 * bytes_per_token(model)
    one = peak([Request(episodes[0], 0)])
    eight = peak([Request(episodes[0], seed) for seed in range(8)])
    assert one - own <= source * bytes_per_token(model)
    assert eight - one == 7 * own
