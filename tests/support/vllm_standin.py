"""Stands for vLLM: answers in the shape of vLLM 0.31 and TRL 1.16, as recorded, with what a transformers model writes.

``LLMEngine`` is what colocate mode drives; ``Client`` is TRL's own client above a server that is not there. Both write by
full forwards, obey ``SamplingParams`` as vLLM does, and refuse what vLLM refuses. With ``overshoot`` they write on behind
a stop, with ``at_most`` they stop too early, with ``nan_every`` they fail to score tokens.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from enum import Enum
from types import ModuleType, SimpleNamespace

import torch
from torch.nn.utils.rnn import pad_sequence
from trl.generation.vllm_client import VLLMClient

MAX_MODEL_LEN = 512


class RequestOutputKind(Enum):
    CUMULATIVE = 0
    DELTA = 1
    FINAL_ONLY = 2


@dataclass
class SamplingParams:
    """The fields that are used; any other is a TypeError. What is not passed is vLLM's default."""

    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    stop: list[str] = field(default_factory=list)
    stop_token_ids: list[int] = field(default_factory=list)
    max_tokens: int = 16
    logprobs: int | None = None
    include_stop_str_in_output: bool = False
    skip_special_tokens: bool = True
    spaces_between_special_tokens: bool = True
    output_kind: RequestOutputKind = RequestOutputKind.CUMULATIVE


@dataclass
class Open:
    """A request that is being written."""

    prompt: list[int]
    params: SamplingParams
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    stopped: int | None = None  # tokens still to be written behind the stop


@dataclass
class Writer:
    """A model that writes, and the ways in which vLLM may differ from what the engine hopes for."""

    model: torch.nn.Module
    tokenizer: object
    overshoot: int = 0
    at_most: int | None = None
    nan_every: int | None = None

    @torch.no_grad()
    def write(self, requests: list[Open]) -> None:
        """One token for each."""
        rows = [torch.tensor(each.prompt + each.token_ids) for each in requests]
        logits = self.model.eval()(input_ids=pad_sequence(rows, batch_first=True)).logits
        for row, logits_TV, each in zip(rows, logits, requests, strict=True):
            heat = each.params.temperature
            logp = torch.log_softmax(logits_TV[len(row) - 1] / (heat or 1.0), dim=-1)
            dice = torch.Generator().manual_seed((each.params.seed or 0) + len(each.token_ids))
            draw = torch.multinomial(logp.exp(), 1, generator=dice) if heat else logp.argmax()
            count = len(each.token_ids) + 1
            unknown = self.nan_every is not None and count % self.nan_every == 0
            each.token_ids.append(int(draw))
            each.logprobs.append(math.nan if unknown else float(logp[int(draw)]))

    def is_finished(self, each: Open) -> bool:
        """Whether the last token ends the request."""
        text = self.tokenizer.decode(
            each.token_ids, skip_special_tokens=each.params.skip_special_tokens
        )
        stop = any(s in text for s in each.params.stop)
        if each.stopped is not None:
            each.stopped -= 1
        elif stop or each.token_ids[-1] in each.params.stop_token_ids:
            each.stopped = self.overshoot
        most = min(each.params.max_tokens, self.at_most or each.params.max_tokens)
        return each.stopped == 0 or len(each.token_ids) >= most


class LLMEngine:
    """``LLM.llm_engine``: one token for each open request a step."""

    def __init__(self, writer: Writer, max_model_len: int = MAX_MODEL_LEN) -> None:
        self.model_config = SimpleNamespace(max_model_len=max_model_len)
        self.writer = writer
        self.open: dict[str, Open] = {}
        self.asked: list[Open] = []
        self.aborted: list[str] = []
        self.most_open = self.steps = 0
        self.interrupt_at: int | None = None

    def add_request(self, request_id: str, prompt: dict, params: SamplingParams) -> str:
        (ids,) = prompt.values()
        assert list(prompt) == ["prompt_token_ids"]
        if len(ids) >= self.model_config.max_model_len:
            raise ValueError(f"The decoder prompt (length {len(ids)}) is longer than the maximum")
        if len(ids) + params.max_tokens > self.model_config.max_model_len:
            raise ValueError("max_tokens is too large")
        assert request_id not in self.open
        self.open[request_id] = Open(ids, params)
        self.asked.append(self.open[request_id])
        self.most_open = max(self.most_open, len(self.open))
        return f"{request_id}-0a1b2c3d"  # the internal id; outputs and aborts go by the given one

    def abort_request(self, request_ids: list[str], internal: bool = False) -> None:
        for request_id in request_ids:
            self.aborted.append(request_id)
            self.open.pop(request_id, None)

    def step(self) -> list[SimpleNamespace]:
        self.steps += 1
        if self.steps == self.interrupt_at:
            raise KeyboardInterrupt
        self.writer.write(list(self.open.values()))
        outputs = []
        for request_id, each in list(self.open.items()):
            finished = self.writer.is_finished(each)
            if finished:
                del self.open[request_id]
            if finished or each.params.output_kind is RequestOutputKind.CUMULATIVE:
                outputs.append(self._output(request_id, each, finished))
        return outputs

    def _output(self, request_id: str, each: Open, finished: bool) -> SimpleNamespace:
        entries = [
            {token_id: SimpleNamespace(logprob=logprob, rank=1, decoded_token=None)}
            for token_id, logprob in zip(each.token_ids, each.logprobs, strict=True)
        ]
        completion = SimpleNamespace(index=0, token_ids=each.token_ids, logprobs=entries)
        return SimpleNamespace(
            request_id=request_id,
            prompt_token_ids=each.prompt,
            outputs=[completion],
            finished=finished,
        )


class Client(VLLMClient):
    """TRL's client, with its own code above HTTP; the server is the writer."""

    def __init__(self, writer: Writer, max_model_len: int = MAX_MODEL_LEN) -> None:
        self.base_url, self.model = "http://server", "model"
        self.session = self
        self.writer = writer
        self.max_model_len = max_model_len
        self.payloads: list[dict] = []
        self.lock = threading.Lock()
        self.all_at_once: threading.Barrier | None = None

    def get(self, url: str, **_more: object) -> SimpleNamespace:
        assert url == "http://server/server_info"
        config = {"max_model_len": self.max_model_len, "logprobs_mode": "processed_logprobs"}
        answer = {"vllm_config": {"model_config": config}, "vllm_env": {}}
        return SimpleNamespace(status_code=200, json=lambda: answer)

    def _post(self, url: str, json: dict) -> dict:
        assert url == "http://server/v1/completions"
        if self.all_at_once is not None:
            self.all_at_once.wait(timeout=10)
        if len(json["stop"]) > 4:  # as recorded: 400
            raise RuntimeError("body.stop: List should have at most 4 items after validation")
        own = {"model", "prompt", "return_token_ids", "return_tokens_as_token_ids"}
        settings = {name: value for name, value in json.items() if name not in own}
        assert settings.pop("repetition_penalty") == 1.0
        (prompt,) = json["prompt"]
        each = Open(prompt, SamplingParams(**settings))
        assert len(prompt) + each.params.max_tokens <= self.max_model_len
        with self.lock:
            self.payloads.append(json)
            self.writer.write([each])
            while not self.writer.is_finished(each):
                self.writer.write([each])
        tokens = [f"token_id:{token_id}" for token_id in each.token_ids]
        pairs = zip(tokens, each.logprobs, strict=True)
        logprobs = {
            "text_offset": [],
            "tokens": tokens,
            "token_logprobs": each.logprobs,
            "top_logprobs": [{token: logprob} for token, logprob in pairs],
        }
        choice = {
            "index": 0,
            "prompt_token_ids": prompt,
            "token_ids": each.token_ids,
            "logprobs": logprobs,
        }
        return {"choices": [choice]}


def modules() -> dict[str, ModuleType]:
    """What ``import vllm`` finds."""
    vllm, params = ModuleType("vllm"), ModuleType("vllm.sampling_params")
    vllm.SamplingParams = params.SamplingParams = SamplingParams
    params.RequestOutputKind = RequestOutputKind
    return {"vllm": vllm, "vllm.sampling_params": params}


def colocated(engine: LLMEngine) -> SimpleNamespace:
    """TRL's ``VLLMGeneration`` in colocate mode."""
    llm = SimpleNamespace(llm_engine=engine)
    return SimpleNamespace(mode="colocate", llm=llm, enable_sleep_mode=False)


def served(client: Client, process: int = 0) -> SimpleNamespace:
    """The same in server mode; only the first process has the client."""
    accelerator = SimpleNamespace(is_main_process=process == 0, process_index=process)
    generation = SimpleNamespace(mode="server", accelerator=accelerator, enable_sleep_mode=False)
    if process == 0:
        generation.vllm_client = client
    return generation
