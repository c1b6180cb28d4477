"""A teacher on this machine: a transformers model from a directory or the Hub, asked in batches.

    async with LocalModel(LocalSettings("HuggingFaceTB/SmolLM2-1.7B-Instruct", cache=Path("cache"))) as model:
        reply = await model.ask("Think aloud ...")

A sampled reply depends on its own prompt, attempt and seed, and not on its batch, up to rounding. Text of a data set yields
no control token. A directory is read without the network; code of a model is never run, and weights are safetensors.
Left out: several devices, and weights in 4 bits (serve such a model, and use ``endpoint``).
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
import re
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Literal

from adasr_trl.core.errors import first_line
from data_builders.errors import BuildError
from data_builders.tools.replies import PromptLengthError, Reply, ReplyCache, Spent

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

_PROMPT = "PROMPTGOESHERE"  # stands for the prompt while the chat template is rendered
_THINKING_END = "</think>"
_EVERY_SECONDS = 10.0  # between lines about a batch
DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class LocalSettings:
    """A model, and how it writes."""

    local_model: str  # directory or Hub id
    cache: Path  # folder of the replies
    model_revision: str | None = None  # of a Hub id; None for the newest
    device: str = "auto"  # such as cpu or cuda:1; auto is the accelerator where there is one
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"  # auto: float32 on a CPU
    batch_size: int = 8  # prompts at once
    seed: int = 0  # of sampled replies
    temperature: float = 0.7  # sampling temperature; 0 is greedy
    max_tokens: int = 2048  # longest reply


@dataclass
class _Waiting:
    """A prompt in the queue."""

    ids: list[int]  # the prompt's tokens
    key: str  # fixes its random numbers
    reply: asyncio.Future[Reply]


@dataclass
class LocalModel:
    """See the module."""

    settings: LocalSettings  # the model, and how it writes
    spent: Spent = field(default_factory=Spent)  # tokens so far

    @property
    def parallel(self) -> int:
        """Prompts at once."""
        return self.settings.batch_size

    async def __aenter__(self) -> LocalModel:
        self._load()
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._stopped = Event()
        self._worker = asyncio.ensure_future(self._work())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._stopped.set()  # the batch under way ends at its next token
        self._worker.cancel()
        with suppress(asyncio.CancelledError):
            await self._worker

    async def ask(self, prompt: str, attempt: int = 0) -> Reply:
        """The reply to a prompt, from the cache or the model.

        Raises:
            PromptLengthError: It leaves no position for a reply.
            BuildError: The batch does not fit into memory.
        """
        settings = self.settings
        request = {
            "prompt": prompt,
            "temperature": settings.temperature,
            "max_tokens": settings.max_tokens,
            "seed": [settings.seed, attempt],
        }
        if cached := self._cache.read(request):
            self.spent.cached += 1
            return cached
        ids = self._encode(prompt)
        if self._positions is not None and len(ids) + settings.max_tokens > self._positions:
            raise PromptLengthError(
                f"the prompt has {len(ids)} tokens and --max-tokens is {settings.max_tokens}; "
                f"{settings.local_model} has {self._positions} positions"
            )
        key = f"{settings.seed}/{attempt}/{prompt}"
        waiting = _Waiting(ids, key, asyncio.get_running_loop().create_future())
        self._queue.put_nowait(waiting)
        reply = await waiting.reply
        self._cache.write(request, reply)
        self.spent.count(reply)
        return reply

    def describe(self) -> dict[str, Any]:
        """The model, for the manifest."""
        names = ("model_revision", "dtype", "seed")
        return {"model": self.settings.local_model} | {n: vars(self.settings)[n] for n in names}

    async def _work(self) -> None:
        """Answer the queue batch by batch."""
        while True:
            batch = [await self._queue.get()]
            await asyncio.sleep(0)  # whoever was answered puts the next prompt into the queue
            while not self._queue.empty() and len(batch) < self.settings.batch_size:
                batch.append(self._queue.get_nowait())
            try:
                replies = await asyncio.to_thread(self._generate, batch)
            except Exception as error:  # each waiting task gets it, and one raises it
                for waiting in batch:
                    if not waiting.reply.done():
                        waiting.reply.set_exception(error)
                continue
            for waiting, reply in zip(batch, replies, strict=True):
                if not waiting.reply.done():  # its task may have been cancelled
                    waiting.reply.set_result(reply)

    def _load(self) -> None:
        settings = self.settings
        dtype, device = settings.dtype, _device(settings.device)
        if dtype == "auto" and device == "cpu":
            dtype = "float32"  # many CPUs emulate bfloat16, several times slower
        logger.info("loading %s", settings.local_model)
        self._tokenizer, self._model = _pretrained(settings, device, dtype)
        positions = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        self._positions: int | None = positions
        if positions is not None and settings.max_tokens >= positions:
            raise BuildError(
                f"--max-tokens: got {settings.max_tokens}; {settings.local_model} has {positions} positions, prompt included."
            )
        self._set_generation()
        added = [re.escape(token) for token in self._tokenizer.get_added_vocab() if len(token) > 1]
        self._added = re.compile(f"(?=({'|'.join(added)}))") if added else None
        self._head, self._tail = self._template()
        self._cache = ReplyCache(settings.cache, [settings.local_model, self._version(), dtype])

    def _set_generation(self) -> None:
        """Keep the checkpoint's ends of a reply, and none of its sampling settings, which would apply otherwise."""
        from transformers import GenerationConfig

        ends = self._model.generation_config.eos_token_id
        ends = self._tokenizer.eos_token_id if ends is None else ends
        self._ends = sorted(ends if isinstance(ends, list) else [] if ends is None else [ends])
        self._pad = self._ends[0] if self._ends else 0
        self._model.generation_config = GenerationConfig(
            eos_token_id=self._ends or None, pad_token_id=self._pad
        )

    def _version(self) -> object:
        """Another value for other weights."""
        folder = Path(self.settings.local_model)
        if not folder.is_dir():
            return self._model.config._commit_hash  # transformers' name for the snapshot's
        files = sorted(folder.glob("*.safetensors"))
        return [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]

    def _template(self) -> tuple[str, str]:
        """The chat template's text before and behind the prompt."""
        if self._tokenizer.chat_template is None:
            logger.warning(
                "%s has no chat template, so it continues the prompt as it stands; a model for chats is likely to do better",
                self.settings.local_model,
            )
            return self._tokenizer.bos_token or "", ""
        text = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": _PROMPT}],
            add_generation_prompt=True,
            tokenize=False,
            enable_thinking=False,  # for templates that have it
        )
        head, found, tail = text.partition(_PROMPT)
        if not found:
            raise BuildError(
                f"--local-model {self.settings.local_model}: its chat template drops the user's message."
            )
        return head, tail

    def _encode(self, prompt: str) -> list[int]:
        """Ids of the rendered prompt. Untrusted text yields no control token: each one is broken behind its first character."""
        cuts = [match.start() + 1 for match in self._added.finditer(prompt)] if self._added else []
        if not cuts:
            return self._ids(self._head + prompt + self._tail)
        bounds = itertools.pairwise([0, *cuts, len(prompt)])
        pieces = [prompt[start:end] for start, end in bounds]
        return [i for piece in (self._head, *pieces, self._tail) for i in self._ids(piece)]

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _generate(self, batch: list[_Waiting]) -> list[Reply]:
        """One reply a prompt; runs in a thread of its own."""
        import torch
        from transformers import LogitsProcessorList, StoppingCriteriaList

        width = max(len(waiting.ids) for waiting in batch)
        padding = [width - len(waiting.ids) for waiting in batch]
        rows = [[self._pad] * pad + w.ids for pad, w in zip(padding, batch, strict=True)]
        mask = [[0] * pad + [1] * (width - pad) for pad in padding]
        device = self._model.device
        watch = _Watch(self._stopped, width, self.settings.max_tokens)
        try:
            with torch.inference_mode():
                ids_BT = self._model.generate(
                    torch.tensor(rows, device=device),  # (B, S)
                    attention_mask=torch.tensor(mask, device=device),
                    max_new_tokens=self.settings.max_tokens,
                    do_sample=False,  # the noise samples
                    logits_processor=LogitsProcessorList(self._noise(batch)),
                    stopping_criteria=StoppingCriteriaList([watch]),
                )
        except torch.OutOfMemoryError:
            raise BuildError(
                f"--batch-size {self.settings.batch_size}: no memory for {len(batch)} prompts of up to {width} tokens; "
                f"take a smaller one. All replies so far are cached."
            ) from None
        pairs = zip(batch, ids_BT[:, width:].tolist(), strict=True)
        return [self._reply(len(waiting.ids), ids) for waiting, ids in pairs]

    def _noise(self, batch: list[_Waiting]) -> list[Any]:
        """Gumbel noise on the logits, from a generator of each row: its largest sum is a sample."""
        import torch

        temperature = self.settings.temperature
        if temperature == 0:
            return []
        generators = [torch.Generator().manual_seed(_number(waiting.key)) for waiting in batch]

        def process(_ids_BT: Tensor, scores_BV: Tensor) -> Tensor:
            rows = [torch.rand(scores_BV.size(1), generator=own) for own in generators]
            uniform_BV = torch.stack(rows).clamp_(1e-20, 1 - 1e-7).to(scores_BV.device)
            return scores_BV.float() / temperature - torch.log(-torch.log(uniform_BV))

        return [process]

    def _reply(self, read: int, ids: list[int]) -> Reply:
        ends = [n for n, token_id in enumerate(ids) if token_id in self._ends]
        written = ids[: ends[0]] if ends else ids
        text = self._tokenizer.decode(written, skip_special_tokens=True)
        text = text.rpartition(_THINKING_END)[2]
        return Reply(text.strip(), bool(ends), read, len(written))


@dataclass
class _Watch:
    """Stopping criterion of ``generate``: says how far a batch is, and ends it when the run is stopped."""

    stopped: Event
    width: int  # tokens of the prompts
    max_tokens: int
    said: float = field(default_factory=time.monotonic)

    def __call__(self, ids_BT: Tensor, _scores: Tensor, **_: Any) -> Tensor:
        now = time.monotonic()
        if now - self.said >= _EVERY_SECONDS:
            self.said = now
            written = ids_BT.size(1) - self.width
            message = "%d prompts at once: %d of at most %d tokens written"
            logger.info(message, len(ids_BT), written, self.max_tokens)
        return ids_BT.new_full((len(ids_BT),), self.stopped.is_set()).bool()  # (B)


def _pretrained(settings: LocalSettings, device: str, dtype: str) -> tuple[Any, Any]:
    """Tokenizer and model; a directory is read without the network."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    name, source = settings.local_model, {"revision": settings.model_revision}
    more: dict[str, Any] = {"local_files_only": True} if Path(name).is_dir() else source
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, **more)
        model = AutoModelForCausalLM.from_pretrained(
            name, dtype=dtype, use_safetensors=True, **more
        )
        return tokenizer, model.to(device).eval()
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise BuildError(f"--local-model {name}: cannot be loaded: {first_line(error)}") from None


def _device(name: str) -> str:
    import torch

    if name != "auto":
        try:
            torch.empty(0, device=name)
        except (RuntimeError, AssertionError) as error:
            line = str(error).splitlines()[0]
            raise BuildError(f"--device {name}: {line}; expected auto, cpu or cuda.") from None
        return name
    accelerator = torch.accelerator.current_accelerator()
    return "cpu" if accelerator is None else accelerator.type


def _number(key: str) -> int:
    """A seed from any text."""
    return int.from_bytes(hashlib.sha256(key.encode(errors="surrogatepass")).digest()[:8]) >> 1
