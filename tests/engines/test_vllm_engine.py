"""The vLLM engine against the transformers engine, with a stand-in for vLLM (``benchmarks/check_vllm.py`` asks the real one)."""

from __future__ import annotations

import dataclasses
import math
import sys
import threading
import time
from contextlib import nullcontext
from types import ModuleType

import pytest
import torch
from trl.trainer import grpo_trainer

from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Ending, Mode, Phase
from adasr_trl.engines import HFEngine, Request, Sampling, VLLMEngine
from adasr_trl.engines import vllm as vllm_engine
from adasr_trl.engines.rollout_state import SequenceState
from adasr_trl.hrpo import HRPOConfig
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.codec import Codec
from support import vllm_standin as standin
from support.settings import STREAMING as USUAL
from support.tiny_model import teach

STREAMING = dataclasses.replace(USUAL, max_thought_tokens=6)
GREEDY = Sampling(0.0)


@pytest.fixture(autouse=True)
def _vllm(monkeypatch):
    for name, module in standin.modules().items():
        monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture(scope="session")
def taught_weights(tokenizer, episodes):
    """Of a model that answers 5 at once, so that ends of all kinds are among what is compared."""
    easy = [dataclasses.replace(episode, deep="", answer="5") for episode in episodes]
    return teach(tokenizer, easy, steps=70)


@pytest.fixture
def parts(tokenizer):
    codec = Codec(tokenizer, STREAMING.markers)
    return codec, build_layout(STREAMING, codec)


@pytest.fixture
def requests(taught, parts, episodes):
    """Six episodes among whose greedy rollouts segments end in every way."""
    every = [Request(episode, 100 + n) for n, episode in enumerate(episodes)]
    rollouts = HFEngine(taught, *parts, STREAMING).rollout(every, GREEDY)
    seen, chosen, others = set(), [], []
    for request, rollout in zip(every, rollouts, strict=True):
        ends = {*rollout.thought_endings, (rollout.ending,)}
        (others if ends <= seen else chosen).append(request)
        seen |= ends
    return [*chosen, *others][:6]


@pytest.fixture
def expected(taught, parts, requests):
    """What transformers write: segments that end in every way."""
    rollouts = HFEngine(taught, *parts, STREAMING).rollout(requests, GREEDY)
    endings = {ending for rollout in rollouts for ending in rollout.thought_endings}
    assert endings == set(Ending) - {Ending.ANSWERED}
    assert {r.ending for r in rollouts} >= {Ending.ANSWERED, Ending.MALFORMED}
    return rollouts


@pytest.fixture
def writer(taught, tokenizer):
    return standin.Writer(taught, tokenizer)


@pytest.fixture(params=["colocate", "server"])
def either(request, writer, parts):
    """The engine in both modes."""
    if request.param == "colocate":
        return colocated(standin.LLMEngine(writer), parts)
    return VLLMEngine(standin.served(standin.Client(writer)), *parts, STREAMING)


def colocated(llm_engine, parts):
    return VLLMEngine(standin.colocated(llm_engine), *parts, STREAMING)


def assert_same(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert dataclasses.replace(a, logprobs=None) == dataclasses.replace(b, logprobs=None)
        assert torch.tensor(a.logprobs).sub(torch.tensor(b.logprobs)).abs().max() < 1e-4


def written_turns(rollouts):
    return sum(len(rollout.thought_endings) + 1 for rollout in rollouts)


def test_greedy_rollouts_and_their_log_probabilities_equal_those_of_transformers(
    either, requests, expected
):
    assert_same(either.rollout(requests, GREEDY), expected)


def test_tokens_behind_the_end_of_a_segment_are_dropped(either, writer, requests, expected):
    writer.overshoot = 3
    assert_same(either.rollout(requests, GREEDY), expected)


def test_a_segment_that_vllm_ends_too_early_goes_on(either, writer, requests, expected):
    writer.at_most = 2
    assert_same(either.rollout(requests, GREEDY), expected)


def test_read_then_think_is_one_turn(writer, parts, taught, episodes):
    request = Request(episodes[0], 1, Mode.READ_THEN_THINK)
    llm_engine = standin.LLMEngine(writer)
    found = colocated(llm_engine, parts).rollout([request], GREEDY)
    assert_same(found, HFEngine(taught, *parts, STREAMING).rollout([request], GREEDY))
    assert len(llm_engine.asked) == 1


def test_colocated_rollouts_are_all_in_flight_and_each_turn_is_one_request(
    writer, parts, requests, expected
):
    llm_engine = standin.LLMEngine(writer)
    colocated(llm_engine, parts).rollout(requests, GREEDY)
    assert llm_engine.most_open == len(requests)
    assert len(llm_engine.asked) == written_turns(expected)
    longest = max(r.tokens_in(Phase.STREAM) + r.tokens_in(Phase.DEEP) for r in expected)
    assert llm_engine.steps == longest  # nobody waited for anybody
    kinds = {each.params.output_kind for each in llm_engine.asked}
    assert kinds == {standin.RequestOutputKind.FINAL_ONLY}


def test_a_servers_rollouts_are_all_in_flight_and_each_turn_is_one_request(
    writer, parts, requests, expected
):
    client = standin.Client(writer)

    def let_go():
        client.all_at_once = None

    client.all_at_once = threading.Barrier(len(requests), let_go)  # breaks unless all have asked
    VLLMEngine(standin.served(client), *parts, STREAMING).rollout(requests, GREEDY)
    assert client.all_at_once is None
    assert len(client.payloads) == written_turns(expected)


def test_a_turns_prompt_is_all_that_the_rollout_has_so_far(writer, parts, requests, expected):
    llm_engine = standin.LLMEngine(writer)
    colocated(llm_engine, parts).rollout(requests[:1], GREEDY)
    for each in llm_engine.asked:
        length = len(each.prompt)
        assert each.prompt == list(expected[0].token_ids[:length])
        assert expected[0].phases[length - 1] is Phase.READ
        assert expected[0].phases[length] is not Phase.READ


def test_what_vllm_cannot_score_is_nan_and_nothing_else_changes(either, writer, requests, expected):
    writer.nan_every = 2
    found = either.rollout(requests, GREEDY)
    for a, b in zip(found, expected, strict=True):
        assert a.token_ids == b.token_ids
        unknown = [math.isnan(logprob) for logprob in a.logprobs]
        assert any(unknown)
        assert all(
            nan or abs(x - y) < 1e-4
            for nan, x, y in zip(unknown, a.logprobs, b.logprobs, strict=True)
        )
        read = [phase is Phase.READ for phase in a.phases]
        assert not any(nan and given for nan, given in zip(unknown, read, strict=True))


def test_sampling_settings_reach_vllm_and_no_two_turns_share_a_seed(writer, parts, requests):
    llm_engine = standin.LLMEngine(writer)
    colocated(llm_engine, parts).rollout(requests[:3], Sampling(0.7, 0.9, 20, 0.02))
    params = [each.params for each in llm_engine.asked]
    assert {(p.temperature, p.top_p, p.top_k, p.min_p) for p in params} == {(0.7, 0.9, 20, 0.02)}
    assert len({p.seed for p in params}) == len(params)


def test_a_sampled_rollout_depends_on_its_request_alone(either, requests):
    together = either.rollout(requests, Sampling(1.0))
    alone = [either.rollout([request], Sampling(1.0))[0] for request in requests]
    assert [r.token_ids for r in alone] == [r.token_ids for r in together]
    other = [dataclasses.replace(request, seed=request.seed + 1) for request in requests]
    found = either.rollout(other, Sampling(1.0))
    assert [r.token_ids for r in found] != [r.token_ids for r in together]


def test_an_interrupt_aborts_the_open_requests_and_the_next_rollouts_are_right(
    writer, parts, requests, expected
):
    llm_engine = standin.LLMEngine(writer)
    engine = colocated(llm_engine, parts)
    llm_engine.interrupt_at = 10
    with pytest.raises(KeyboardInterrupt):
        engine.rollout(requests, GREEDY)
    assert len(llm_engine.aborted) == len(requests)
    assert llm_engine.open == {}
    assert_same(engine.rollout(requests, GREEDY), expected)


def test_after_one_failure_a_server_is_asked_for_no_further_turn(
    writer, parts, requests, expected, monkeypatch
):
    client = standin.Client(writer)
    post, last_prompt = client._post, list(expected[-1].token_ids)

    def broken(url, json):
        (prompt,) = json["prompt"]
        if prompt == last_prompt[: len(prompt)]:  # others wait long, so that they are all open
            raise ConnectionError("gone")
        time.sleep(0.05)
        return post(url, json)

    monkeypatch.setattr(client, "_post", broken)
    with pytest.raises(ConnectionError, match="gone"):
        VLLMEngine(standin.served(client), *parts, STREAMING).rollout(requests, GREEDY)
    assert len(client.payloads) <= len(requests) - 1


def test_progress_is_told_of_each_rollout(either, requests):
    told = []
    either.rollout(requests, GREEDY, told.append)
    assert told == [1] * len(requests)


def test_no_requests_are_no_rollouts(either):
    assert either.rollout([], GREEDY) == []


def test_every_process_gets_its_own_rollouts_from_the_first_one(
    writer, parts, requests, expected, monkeypatch
):
    shares = [requests[:2], requests[2:]]
    sent = []

    def gather(local):
        return [2, 4] if local in ([2], [4]) else [*shares[0], *shares[1]]

    def broadcast(found, from_process):
        assert from_process == 0
        sent.extend(found if found[0] is not None else ())
        found[0] = sent[0]

    monkeypatch.setattr(vllm_engine, "gather_object", gather)
    monkeypatch.setattr(vllm_engine, "broadcast_object_list", broadcast)
    client = standin.Client(writer)
    for process, share in enumerate(shares):
        engine = VLLMEngine(standin.served(client, process), *parts, STREAMING)
        found = engine.rollout(share, GREEDY)
        assert_same(found, expected[:2] if process == 0 else expected[2:])
    assert len(client.payloads) == written_turns(expected)  # the second process asked nothing


@pytest.mark.parametrize("mode", ["colocate", "server"])
def test_rollouts_end_at_the_last_position_that_vllm_serves(mode, writer, taught, parts, requests):
    generation = (
        standin.colocated(standin.LLMEngine(writer, max_model_len=60))
        if mode == "colocate"
        else standin.served(standin.Client(writer, max_model_len=60))
    )
    found = VLLMEngine(generation, *parts, STREAMING).rollout(requests, GREEDY)
    taught.config.max_position_embeddings = 60
    assert_same(found, HFEngine(taught, *parts, STREAMING).rollout(requests, GREEDY))
    assert {rollout.ending for rollout in found} == {Ending.OUT_OF_TOKENS}


def test_an_episode_that_leaves_no_room_to_think_is_refused_by_name(writer, parts, requests):
    engine = colocated(standin.LLMEngine(writer, max_model_len=12), parts)
    with pytest.raises(UserError, match=requests[0].episode.id):
        engine.rollout(requests, GREEDY)


def test_an_answer_without_a_token_is_an_error_not_an_endless_loop(parts, requests):
    codec, layout = parts
    state = SequenceState(requests[0], layout, codec, STREAMING)
    with pytest.raises(UserError, match=requests[0].episode.id):
        state.accept_segment([], [])


class Sleeper:
    """TRL's ``VLLMGeneration`` with sleep mode, as a diary."""

    mode = "colocate"
    enable_sleep_mode = True

    def __init__(self, llm_engine, *, sleeping):
        self._llm_weights_sleeping = sleeping
        self.llm, self.llm_engine = self, llm_engine
        self.diary = []

    def sync_weights(self):
        self.diary.append("sync_weights")
        self._llm_weights_sleeping = False

    def wake_up(self, tags):
        self.diary.append(f"wake {tags}")

    def sleep(self, level):
        self.diary.append(f"sleep {level}")


@pytest.mark.parametrize("interrupt_at", [None, 5])
@pytest.mark.parametrize("sleeping", [True, False])
def test_vllm_is_woken_for_the_rollouts_alone(writer, parts, requests, sleeping, interrupt_at):
    generation = Sleeper(standin.LLMEngine(writer), sleeping=sleeping)
    generation.llm_engine.interrupt_at = interrupt_at
    engine = VLLMEngine(generation, *parts, STREAMING)
    try:
        engine.rollout(requests, GREEDY)
    except KeyboardInterrupt:
        assert interrupt_at
    synced = ["sync_weights"] if sleeping else []
    assert generation.diary == [*synced, "wake ['kv_cache']", "sleep 2"]
    assert generation._llm_weights_sleeping


class Generation:
    """TRL's ``VLLMGeneration`` with weights of its own, that only ``sync_weights`` renews."""

    def __init__(self, model, accelerator, processing_class, mode, **_settings):
        self.mode, self.model, self.accelerator = mode, model, accelerator
        self.enable_sleep_mode = False
        self.syncs = 0
        self.own = type(model)(model.config)  # a copy's forward would be the trainer's own
        llm_engine = standin.LLMEngine(standin.Writer(self.own, processing_class))
        self.llm = standin.colocated(llm_engine).llm

    def sync_weights(self):
        self.syncs += 1
        self.own.load_state_dict(self.model.state_dict())


def test_the_trainer_syncs_weights_before_each_draw_and_trl_corrects_for_the_difference(
    taught, tokenizer, episodes, tmp_path, monkeypatch
):
    from support.hrpo_training import hrpo

    monkeypatch.setattr(grpo_trainer, "VLLMGeneration", Generation)
    trainer = hrpo(taught, tokenizer, episodes, tmp_path, engine="vllm", logging_steps=1)
    trainer.train()
    steps = [log for log in trainer.state.log_history if "loss" in log]
    largest = [log["sampling/sampling_logp_difference/max"] for log in steps]
    ratios = [log["sampling/importance_sampling_ratio/mean"] for log in steps]
    assert len(steps) == 3
    assert trainer.vllm_generation.syncs == 3
    assert max(largest) < 1e-4
    assert ratios == pytest.approx([1.0] * 3, abs=1e-3)


def test_what_vllm_cannot_serve_is_refused_at_the_start(tmp_path):
    args = HRPOConfig(str(tmp_path), engine="vllm", use_cpu=True, bf16=False)
    args.check_layout("interleaved")
    with pytest.raises(ValueError, match="engine: got vllm, but the parallel layout"):
        args.check_layout("parallel")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"engine": "vllm", "vllm_tensor_parallel_size": 2}, "vllm_tensor_parallel_size: in"),
        ({"use_vllm": True}, "use_vllm: got true, but engine is hf"),
        (
            {"engine": "vllm", "vllm_structured_outputs_regex": "a+"},
            "vllm_structured_outputs_regex: has no effect here",
        ),
    ],
)
def test_settings_that_rollouts_could_not_obey_are_refused(tmp_path, settings, words):
    with pytest.raises(ValueError, match=words):
        HRPOConfig(str(tmp_path), use_cpu=True, bf16=False, **settings)


def test_tensor_parallelism_is_a_servers_own_matter(tmp_path):
    settings = {"vllm_mode": "server", "vllm_tensor_parallel_size": 2}
    args = HRPOConfig(str(tmp_path), engine="vllm", use_cpu=True, bf16=False, **settings)
    assert args.use_vllm


@pytest.mark.parametrize("is_packing", [True, False])
def test_a_cpu_build_that_packs_its_weights_is_refused_before_the_training(is_packing, monkeypatch):
    name = "vllm.model_executor.layers.utils"
    layers = ModuleType(name)
    layers.dispatch_cpu_unquantized_gemm = lambda layer: None
    layers.dispatch_cpu_unquantized_gemm.__module__ = name if is_packing else "elsewhere"
    monkeypatch.setitem(sys.modules, name, layers)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    refused = pytest.raises(UserError, match="takes no new weights")
    with refused if is_packing else nullcontext():
        vllm_engine._refuse_packed_weights()
