"""Live use: a trained model reads text as it arrives, thinks beside it, and answers when it has ended.

    >>> reasoner = StreamingReasoner.from_pretrained("runs/tiny/seed-0/hrpo")
    >>> stream = reasoner.start("How many coins does Tom have?")
    >>> for event in stream.feed("Tom has 5 coins. Tom finds 3"):
    ...     print(event.text)                # what was read, what was thought
    >>> stream.feed(" coins.")
    >>> stream.finish()[-1].text             # the answer
    '8'

The same layouts, caps and markers as in training, read from the run's ``streaming.json``; each sentence is tokenised
alone, as there. A sentence's end is known only when the next word comes; ``pause`` says that none comes for now,
``read`` takes a chunk whose end is known, and ``finish`` reads what is left. They return when the thoughts are written;
where they must not wait for that, use ``background``. Ours: the paper describes no interface. Terminals, transcripts
and clocks are in ``live``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from adasr_trl.config.sections import ModelConfig
from adasr_trl.core.episode import AnswerType, Episode, Source
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Ending, Mode
from adasr_trl.engines import Request, Sampling
from adasr_trl.engines.base import LiveEngine
from adasr_trl.engines.completion import CompletionEngine, Server
from adasr_trl.engines.registry import local_engine
from adasr_trl.layouts import Layout
from adasr_trl.live.stream import Event as Event
from adasr_trl.live.stream import Kind as Kind
from adasr_trl.live.stream import LiveStream
from adasr_trl.models.files import located
from adasr_trl.models.loading import load_policy


@dataclass(frozen=True)
class ReadThenThink:
    """A text thought about only when it had ended.

    Attributes:
        seconds: From the last chunk's arrival to the last token of the answer's value.
        answer: It, or None if it was never begun.
        ending: How it ended.
        tokens: How many were written.
    """

    seconds: float
    answer: str | None
    ending: Ending
    tokens: int


class StreamingReasoner:
    """A model with the protocol that it was taught."""

    def __init__(
        self, engine: LiveEngine, layout: Layout, sampling: Sampling | None = None
    ) -> None:
        """Use the parts; greedy unless told otherwise."""
        self._engine = engine
        self._layout = layout
        self._sampling = sampling or Sampling(temperature=0.0)
        self.lock = threading.Lock()  # held by whatever calls it from several threads

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

        Args:
            path: The run's directory, or the Hub id it was pushed to.
            layout: ``interleaved`` or ``parallel`` instead of the one that the model was taught.
            dtype: Precision of the weights.
            device: Such as ``cpu`` or ``cuda:1``; a GPU where there is one by default.
            revision: Branch, tag or commit on the Hub.
            sampling: How tokens are drawn; greedy by default.

        Raises:
            UserError: Neither a finished run nor a pushed one.
        """
        config = ModelConfig(path=str(located(path, revision)), dtype=dtype)  # type: ignore[arg-type]  # a user's word
        policy = load_policy(config, layout)  # type: ignore[arg-type]  # a user's word
        engine = local_engine(policy)
        policy.model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval()
        return cls(engine, policy.layout, sampling)

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

        Args:
            url: Up to the version, such as ``http://127.0.0.1:8000/v1``.
            path: Directory or Hub id of the model that it serves, for its tokenizer and ``streaming.json``.
            model: The server's name of it; the first one that it lists by default.
            api_key: Sent as a bearer token.
            sampling: How tokens are drawn; greedy by default.

        Raises:
            UserError: No such server, or a model that was taught the parallel layout.
        """
        policy = load_policy(ModelConfig(path=str(located(path))))
        engine = CompletionEngine(Server(url, model, api_key), policy.codec, policy.streaming)
        return cls(engine, engine.layout, sampling)

    @property
    def layout_name(self) -> str:
        """The layout that it runs in."""
        return self._layout.name

    def start(
        self, question: str, *, seed: int = 0, on_event: Callable[[Event], None] | None = None
    ) -> LiveStream:
        """Begin to listen; ``seed`` fixes the samples, and ``on_event`` is told of every event as it happens."""
        if not question.strip():
            raise UserError("question: got nothing; say what is asked.")
        parts = (self._engine, self._layout, self._sampling)
        return LiveStream(*parts, _request(question, (question,), seed), on_event)

    def read_then_think(
        self, question: str, chunks: Sequence[str], *, seed: int = 0
    ) -> ReadThenThink:
        """What the same text takes where nothing is thought before it has ended.

        All but the last of ``chunks`` is read first, uncounted, as it would have been while the text arrived; then the
        time is taken to the last token of the answer's value.

        Raises:
            UserError: The text does not leave room for an answer.
        """
        request = _request(question, chunks, seed, Mode.READ_THEN_THINK)
        turns = self._layout.turns(request.episode, request.mode)
        early = next(n for n, turn in enumerate(turns) if turn.chunk >= len(chunks) - 1)
        row, memory = self._engine.start_sequence(request, turns[:early])
        written: list[float] = []
        row.on_token = lambda: written.append(time.monotonic())
        started = time.monotonic()
        row.extend(turns[early:])
        self._engine.advance(row, memory, self._sampling)
        if not written:
            raise UserError("the text is longer than the model's positions.")
        rollout = row.rollout()
        seconds = written[max(rollout.answer_tokens, 1) - 1] - started
        return ReadThenThink(seconds, rollout.answer, rollout.ending, len(written))


def _request(
    question: str, chunks: Sequence[str], seed: int, mode: Mode = Mode.STREAMING
) -> Request:
    """A request that only names the row: of a live stream's chunks nobody knows yet, nor of its answer."""
    episode = Episode(
        id="live",
        group="live",
        question=question,
        chunks=tuple(chunks),
        answer="unknown",
        answer_type=AnswerType.TEXT,
        source=Source("live", "live", "live", "live"),
    )
    return Request(episode, seed, mode)
