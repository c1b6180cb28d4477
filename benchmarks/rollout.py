"""Streaming rollouts side by side: TRL's ways to do several turns, ours in both layouts, and plain generation.

    python -m benchmarks.rollout                              # the tables; about 25 minutes on one core
    python -m benchmarks.rollout --sizes 128x4 --repeats 1    # a look in two minutes

Everyone does the same work: 16 rollouts, of one episode (G = 16) or of four (G = 4); a prompt of 64 tokens, 8 chunks of
25, thoughts of 12 tokens (equal) or of 1 for a skip in 30 % and else 4 to 32 (ragged), a deep part of 64. The model is
random; how long it writes is planned, what it writes is not. Tokens written are counted and must agree.

- TRL's tool loop: ``GRPOTrainer._tool_call_loop`` with one call a chunk, whose tokens and template are left out, so that
  it writes and reads no more than the others.
- re-prefill: what a ``rollout_func`` with ``model.generate`` does, the whole context again at every turn.
- lockstep: the cache is kept, but all rows wait for the slowest thought of each chunk.
- bound: one batched prefill of all given tokens and one plain ``generate`` of all written ones.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from trl import GRPOConfig, GRPOTrainer
from trl.trainer import grpo_trainer

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.protocol import Mode, Phase
from adasr_trl.engines import HFEngine, Request, Sampling
from adasr_trl.engines.cache import cache_argument
from adasr_trl.engines.rollout_state import SequenceState
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.codec import Codec
from benchmarks import parts

PROMPT, DEEP = 64, 64
Lengths = tuple[tuple[int, ...], ...]  # of what each row writes, segment by segment


@dataclass(frozen=True)
class Work:
    """Rollouts in groups of one episode, with the number of tokens that each row writes after each segment."""

    model: PreTrainedModel
    chunks: int
    lengths: Lengths
    group: int = 16
    sentence: str = parts.LONG_SENTENCE
    deep: int = DEEP

    def streaming(self, layout: str) -> StreamingConfig:
        """The layout's configuration."""
        return StreamingConfig(
            layout=layout,  # type: ignore[arg-type]
            instruction=" ".join(["Think while you read."] * 11),
            max_prompt_tokens=100_000,
            max_thought_tokens=1_000,
            max_deep_tokens=self.deep,
            decode_batch=len(self.lengths),
        )

    @cached_property
    def codec(self) -> Codec:
        """The tokenizer of all engines."""
        return parts.codec_of(self.streaming("interleaved"))

    @cached_property
    def requests(self) -> list[Request]:
        """One a row; its seed is the row's number."""
        found = []
        for row in range(len(self.lengths)):
            name = f"e{row // self.group}"  # other episodes say other numbers, in as many tokens
            sentence = self.sentence.replace("2", str(4 + row // self.group % 6))
            episode = parts.episode_of([sentence] * self.chunks, name)
            found.append(Request(episode, row, Mode.STREAMING))
        return found

    @cached_property
    def given(self) -> list[list[int]]:
        """The tokens given before each segment that is written."""
        turns = build_layout(self.streaming("interleaved"), self.codec).turns(
            self.requests[0].episode, Mode.STREAMING
        )
        prompt, *rest = [list(turn.token_ids) for turn in turns]
        return [prompt + rest[0], *rest[1:]]

    @property
    def written(self) -> int:
        """Tokens to be written by all rows."""
        return sum(map(sum, self.lengths))


class Pen:
    """A forward hook that lets a row end (eos) after as many tokens as planned, and never before."""

    def __init__(self, work: Work) -> None:
        """Hook the model until ``lift``."""
        self._eos = work.codec.eos_id
        self._never = parts.end_ids(work.codec)
        self._left = torch.zeros(0)
        self.lift = work.model.register_forward_hook(self._decide).remove

    def plan(self, lengths: Sequence[int]) -> None:
        """What the rows write next."""
        self._left = torch.tensor(lengths)

    def _decide(self, _module: object, _args: object, output: Any) -> None:
        output.logits[..., self._never] = -1e9
        logits_BV = output.logits[:, -1]
        if len(self._left) == len(logits_BV):
            self._left = self._left - 1
            logits_BV[self._left == 0, self._eos] = 1e9


# ---- TRL's ways


class ToolLoop(GRPOTrainer):
    """TRL's trainer, told which chunk comes next and how much each row writes."""

    work: Work
    pen: Pen
    segment = 0

    def _generate_single_turn(self, prompt_ids: Any, *args: Any, **kwargs: Any) -> Any:
        self.pen.plan([lengths[self.segment] for lengths in self.work.lengths])
        self.segment += 1
        return super()._generate_single_turn(prompt_ids, *args, **kwargs)

    def _get_tool_suffix_ids(self, _tool_messages: Any) -> list[int]:
        return self.work.given[self.segment]


def tool_loop(work: Work, trainer: ToolLoop) -> int:
    """TRL's own loop over tool calls; tokens written."""
    rows = len(work.lengths)
    call = {"type": "function", "function": {"name": "read", "arguments": {}}}

    def parsed(*_args: Any, **_kwargs: Any) -> dict[str, Any]:
        more = [call] if trainer.segment < len(work.given) else None
        return {"role": "assistant", "content": "", "tool_calls": more}

    trainer.work, trainer.pen, trainer.segment = work, Pen(work), 0
    trainer._sync_tool_dicts = [{"read": lambda: ""}] * rows
    trainer._async_tool_dicts = [{}] * rows
    prompts = [list(work.given[0]) for _ in range(rows)]
    own, grpo_trainer.parse_response = grpo_trainer.parse_response, parsed
    try:
        completions, logprobs = trainer._generate_single_turn(prompts, None, {}, rows)
        messages = [[parsed()] for _ in range(rows)]
        mask, *_ = trainer._tool_call_loop(
            [[] for _ in range(rows)], prompts, completions, messages, logprobs, None, {}
        )
    finally:
        grpo_trainer.parse_response = own
        trainer.pen.lift()
    return sum(map(sum, mask))


def trainer_of(work: Work, folder: str) -> ToolLoop:
    """TRL's trainer around the work's model."""
    rows = len(work.lengths)
    args = GRPOConfig(
        output_dir=folder,
        report_to="none",
        use_cpu=True,
        bf16=False,
        per_device_train_batch_size=rows,
        num_generations=rows,
        max_completion_length=10_000,
    )
    trainer = ToolLoop(
        work.model,
        reward_funcs=[lambda completions, **_: [0.0] * len(completions)],
        args=args,
        train_dataset=Dataset.from_list([{"prompt": parts.QUESTION}] * rows),
        processing_class=work.codec.tokenizer,
    )
    trainer.tools = [len]
    return trainer


def re_prefill(work: Work) -> int:
    """Every turn is a new ``generate`` over the whole context; tokens written."""
    contexts: list[list[int]] = [[] for _ in work.lengths]
    pen = Pen(work)
    for segment, given in enumerate(work.given):
        pen.plan([lengths[segment] for lengths in work.lengths])
        contexts = [context + given for context in contexts]
        for context, lengths, row in zip(
            contexts, work.lengths, generated(work, contexts), strict=True
        ):
            context += row[: lengths[segment]]
    pen.lift()
    given_tokens = sum(map(len, work.given)) * len(contexts)
    return sum(map(len, contexts)) - given_tokens


def generated(work: Work, contexts: Sequence[list[int]]) -> list[list[int]]:
    """What ``generate`` appends to contexts, padded on the left."""
    width, pad = max(map(len, contexts)), work.codec.eos_id
    ids = torch.tensor([[pad] * (width - len(context)) + context for context in contexts])
    mask = torch.tensor([[0] * (width - len(context)) + [1] * len(context) for context in contexts])
    found = work.model.generate(
        input_ids=ids,
        attention_mask=mask,
        do_sample=True,
        top_k=0,
        max_new_tokens=10_000,
        eos_token_id=pad,
        pad_token_id=pad,
    )
    rows: list[list[int]] = found[:, width:].tolist()
    return rows


def bound(work: Work) -> int:
    """Plain generation of as many tokens from as many; tokens written."""
    pen = Pen(work)
    lengths = [sum(row) for row in work.lengths]
    pen.plan(lengths)
    everything = [token_id for part in work.given for token_id in part]
    rows = generated(work, [everything] * len(lengths))
    pen.lift()
    return sum(min(len(row), length) for row, length in zip(rows, lengths, strict=True))


# ---- lockstep


@torch.no_grad()
def lockstep(work: Work) -> int:
    """The cache is kept; a row whose thought ended waits for all others before it reads on. Tokens written."""
    rows = len(work.lengths)
    cache, written = DynamicCache(), 0
    mask = torch.zeros((rows, 0), dtype=torch.long)
    at = torch.zeros(rows, dtype=torch.long)  # the next position of each row
    pen = Pen(work)

    def step(ids: Tensor, real: Tensor) -> Tensor:
        nonlocal mask, at
        mask = torch.cat([mask, real], dim=1)
        positions = at.unsqueeze(1) + real.cumsum(dim=1) - 1
        at = at + real.sum(dim=1)
        logits = work.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions.clamp(min=0),
            logits_to_keep=1,
            **{cache_argument(work.model): cache},
        ).logits[:, -1]
        return torch.multinomial(torch.softmax(logits.float(), dim=-1), 1)

    for segment, given in enumerate(work.given):
        lengths = torch.tensor([row[segment] for row in work.lengths])
        pen.plan(lengths.tolist())
        ids = step(torch.tensor([given] * rows), torch.ones((rows, len(given)), dtype=torch.long))
        for n in range(1, int(lengths.max()) + 1):
            written += int((lengths >= n).sum())
            ids = step(ids, (lengths >= n).long().unsqueeze(1))
    pen.lift()
    return written


# ---- ours


class PlannedState(SequenceState):
    """A sequence that writes as many tokens as planned."""

    lengths: tuple[int, ...] = ()

    def accept(self, token_id: int, logprob: float) -> None:
        """End the thought where it was planned to end."""
        wanted, written = self.lengths[len(self._endings)], len(self._segment) + 1
        if self.turn.writes is Phase.STREAM and written == wanted:
            role = "skip" if wanted == 1 else "thought_end"
            (token_id,) = self._codec.marker(role)
        super().accept(token_id, logprob)


class PlannedEngine(HFEngine):
    """Our engine; how long sequences write is planned."""

    lengths: Lengths = ()

    def _state(self, request: Request, *args: Any) -> SequenceState:
        state = PlannedState(request, self._layout, self._codec, self._streaming, *args)
        state.lengths = self.lengths[request.seed]
        return state


def ours(work: Work, layout: str) -> int:
    """Our engine; tokens written."""
    streaming = work.streaming(layout)
    engine = PlannedEngine(work.model, work.codec, build_layout(streaming, work.codec), streaming)
    engine.lengths = work.lengths
    pen = Pen(work)
    rollouts = engine.rollout(work.requests, Sampling(1.0))
    pen.lift()
    return sum(
        rollout.tokens_in(phase) for rollout in rollouts for phase in (Phase.STREAM, Phase.DEEP)
    )


# ---- tables


def lengths_of(rows: int, chunks: int, *, ragged: bool) -> Lengths:
    """What each row writes: a thought a chunk, and the deep part."""
    dice = random.Random(0)

    def thought() -> int:
        if not ragged:
            return 12
        return 1 if dice.random() < 0.3 else dice.randint(4, 32)

    return tuple((*(thought() for _ in range(chunks)), DEEP) for _ in range(rows))


def engines_of(work: Work, trainer: ToolLoop) -> dict[str, Callable[[], int]]:
    """Everyone by name."""
    return {
        "TRL's tool loop": lambda: tool_loop(work, trainer),
        "re-prefill": lambda: re_prefill(work),
        "lockstep": lambda: lockstep(work),
        "interleaved": lambda: ours(work, "interleaved"),
        "parallel": lambda: ours(work, "parallel"),
        "bound": lambda: bound(work),
    }


def compare(work: Work, repeats: int) -> dict[str, list[float]]:
    """CPU seconds of everyone; each must write what was planned."""
    work.model.eval()
    with tempfile.TemporaryDirectory() as folder:
        engines = engines_of(work, trainer_of(work, folder))

        def counted(name: str) -> Callable[[], None]:
            def run() -> None:
                written = engines[name]()
                if written != work.written:
                    raise SystemExit(f"{name} wrote {written} tokens, not {work.written}")

            return run

        return parts.in_turns({name: counted(name) for name in engines}, repeats)


HEADER = (
    *("size", "thoughts", "G", "tokens", "TRL's tool loop, s", "interleaved, s", "parallel, s"),
    *("TRL / interleaved", "TRL / parallel", "re-prefill / interleaved", "lockstep / interleaved"),
    *("bound / interleaved", "bound / parallel"),
)


def line_of(work: Work, size: str, thoughts: str, repeats: int) -> list[str]:
    """One row of the table."""
    seconds = compare(work, repeats)
    own = ("interleaved", "parallel")
    medians = [f"{statistics.median(seconds[name]):.2f}" for name in ("TRL's tool loop", *own)]
    pairs = (
        *(("TRL's tool loop", name) for name in own),
        *((name, "interleaved") for name in ("re-prefill", "lockstep")),
        *(("bound", name) for name in own),
    )
    ratios = [parts.ratio(seconds[slow], seconds[fast]) for slow, fast in pairs]
    return [size, thoughts, str(work.group), str(work.written), *medians, *ratios]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="128x4,512x8", help="hidden x layers")
    parser.add_argument("--groups", default="16,4", help="G of the equal thoughts' rows")
    parser.add_argument("--repeats", type=int, default=parts.REPEATS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    lines = []
    for size in options.sizes.split(","):
        hidden, layers = map(int, size.split("x"))
        model = parts.model_of(400, hidden, layers)
        groups = [int(group) for group in options.groups.split(",")]
        for thoughts, group in [*(("equal", group) for group in groups), ("ragged", groups[0])]:
            lengths = lengths_of(16, 8, ragged=thoughts == "ragged")
            work = Work(model, 8, lengths, group)
            lines.append(line_of(work, size.replace("x", " x "), thoughts, options.repeats))
    print(parts.table(HEADER, lines))


if __name__ == "__main__":
    main()
