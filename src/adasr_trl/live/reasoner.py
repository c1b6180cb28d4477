"""Live use: a trained model reads text as it arrives, thinks beside it, and answers at its end.

    >>> reasoner = StreamingReasoner.from_pretrained("runs/tiny/seed-0/hrpo")
    >>> stream = reasoner.start("How many coins does Tom have?")
    >>> for event in stream.feed("Tom has 5 coins. Tom finds 3"):
    ...     print(event.text)                # chunks and thoughts
    >>> stream.feed(" coins.")
    >>> stream.finish()[-1].text             # the answer
    '8'

Layout, caps and markers are those of the training (``streaming.json``), and each sentence is tokenised alone, as there.
Calls return behind the thoughts; those of ``background`` return at once. The interface is our choice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from adasr_trl.artifacts.saved_config import load_taught_mode
from adasr_trl.config.sections import ModelConfig
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Ending, Mode
from adasr_trl.engines import Sampling
from adasr_trl.engines.base import LiveEngine
from adasr_trl.engines.completion import CompletionEngine
from adasr_trl.engines.completion_server import Server
from adasr_trl.engines.registry import local_engine
from adasr_trl.layouts import Layout
from adasr_trl.live.pool import StreamPool
from adasr_trl.live.stream import Event as Event
from adasr_trl.live.stream import EventKind as EventKind
from adasr_trl.live.stream import LiveStream, live_request
from adasr_trl.models.files import located
from adasr_trl.models.loading import load_policy


@dataclass(frozen=True)
class ReadThenThinkResult:
    """A text with all thinking behind its end; ``seconds`` is the answer latency."""

    seconds: float
    answer: str


class StreamingReasoner:
    """A model with the protocol of its training; decoding is greedy by default.

    Attributes:
        layout_name: Name of the layout.
        taught_mode: Mode of the training.
        lock: Held by callers from several threads.
    """

    def __init__(
        self,
        engine: LiveEngine,
        layout: Layout,
        sampling: Sampling | None = None,
        taught_mode: Mode = Mode.STREAMING,
    ) -> None:
        self._engine, self._layout = engine, layout
        self._sampling = sampling or Sampling(temperature=0.0)
        self.layout_name, self.taught_mode = layout.name, taught_mode
        self.lock = threading.Lock()

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        *,
        layout: str | None = None,
        dtype: str = "float32",
        device: str | None = None,
        revision: str | None = None,
        sampling: Sampling | None = None,
    ) -> StreamingReasoner:
        """Load a finished run: an adapter with its base, or a whole model.

        ``path`` is a directory or an id on the Hub, with a branch, tag or commit as ``revision``. ``layout`` is the expected one
        (default: any), ``device`` such as ``cpu`` or ``cuda:1`` (default: a GPU if there is one).

        Raises:
            UserError: Neither a finished run nor a pushed one, or a run that was taught another layout.
        """
        directory = located(path, revision)
        policy = load_policy(ModelConfig(path=str(directory), dtype=dtype))  # type: ignore[arg-type]  # a user's word
        taught = policy.streaming.layout
        if layout not in (None, taught):
            raise UserError(
                f"layout: got {layout}, but {path} was taught the {taught} layout; leave it out, or name a run that was "
                f"trained with streaming.layout: {layout}."
            )
        engine = local_engine(policy)
        policy.model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval()
        return cls(engine, policy.layout, sampling, load_taught_mode(directory))

    @classmethod
    def from_server(
        cls,
        url: str,
        path: str | Path,
        *,
        model: str | None = None,
        api_key: str | None = None,
        sampling: Sampling | None = None,
    ) -> StreamingReasoner:
        """Let an OpenAI-compatible completion server write (interleaved layout); no weights are loaded here.

        ``url`` goes up to the version, such as ``http://127.0.0.1:8000/v1``. ``path`` gives tokenizer and ``streaming.json``.
        ``model`` is the name on the server (default: the first of its list), ``api_key`` a bearer token.

        Raises:
            UserError: No such server, or a model that was taught the parallel layout.
        """
        directory = located(path)
        policy = load_policy(ModelConfig(path=str(directory)))
        engine = CompletionEngine(Server(url, model, api_key), policy.codec, policy.streaming)
        return cls(engine, engine.layout, sampling, load_taught_mode(directory))

    def start(
        self, question: str, *, seed: int = 0, on_event: Callable[[Event], None] | None = None
    ) -> LiveStream:
        """Read the question, and listen; ``on_event`` gets each event. A UserError refuses a blank or too long question."""
        parts = (self._engine, self._layout, self._sampling)
        return LiveStream(*parts, live_request(question, (question,), seed), on_event)

    def pool(self, max_streams: int, max_cache_gib: float | None = None) -> StreamPool:
        """Many live streams that advance together; ``max_cache_gib`` bounds their keys and values."""
        sequences = self._engine.pooled(max_streams, max_cache_gib)
        return StreamPool(sequences, self._layout, self._sampling)

    def read_then_think(
        self, question: str, chunks: Sequence[str], *, seed: int = 0
    ) -> ReadThenThinkResult | None:
        """A text with all thinking behind its end, measured; None without an answer.

        All chunks but the last are read before the time starts, as they would be while the text arrives.
        """
        request = live_request(question, chunks, seed, Mode.READ_THEN_THINK)
        turns = self._layout.turns(request.episode, request.mode)
        early = next(n for n, turn in enumerate(turns) if turn.chunk >= len(chunks) - 1)
        times: list[float] = []
        try:
            sequence, memory = self._engine.start_sequence(request, turns[:early])
        except UserError:
            return None
        sequence.on_token = lambda: times.append(time.monotonic())
        started = time.monotonic()
        sequence.extend(turns[early:])
        self._engine.advance(sequence, memory, self._sampling)
        rollout = sequence.rollout()
        if rollout.ending is not Ending.ANSWERED or rollout.answer is None:
            return None
        seconds = times[max(rollout.answer_tokens, 1) - 1] - started
        return ReadThenThinkResult(seconds, rollout.answer)
