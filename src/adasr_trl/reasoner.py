"""Live use: a trained model reads text as it arrives, thinks beside it, and answers when it has ended.

    >>> reasoner = StreamingReasoner.from_pretrained("runs/tiny/seed-0/hrpo")
    >>> stream = reasoner.start("How many coins does Tom have?")
    >>> for event in stream.feed("Tom has 5 coins. Tom finds 3"):
    ...     print(event.text)                # what was read, what was thought
    >>> stream.feed(" coins.")
    >>> stream.finish()[-1].text             # the answer
    '8'

The same layouts, caps and markers as in training, read from the run's ``streaming.json``; each sentence is tokenised
alone, as there. A sentence's end is known only when the next word comes, so the last one is read by ``finish``.
``feed`` returns when the thoughts are written; where it must not wait for them, use ``background``. Ours: the paper
describes no interface. Terminals, transcripts and clocks are left to other parts.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import torch

from adasr_trl.chunking import SentenceStream
from adasr_trl.codec import Codec
from adasr_trl.config_sections import ModelConfig, StreamingConfig
from adasr_trl.engines import HFEngine, Request, Sampling
from adasr_trl.engines.base import LiveEngine
from adasr_trl.engines.completion import CompletionEngine, Server
from adasr_trl.engines.selfcheck import load_model_for
from adasr_trl.episode import AnswerType, Episode, Source
from adasr_trl.files import UserError
from adasr_trl.hub_files import located
from adasr_trl.layouts import Layout, Turn, build_layout
from adasr_trl.model import load_tokenizer
from adasr_trl.protocol import Ending, Phase
from adasr_trl.rollout import Rollout
from adasr_trl.streaming_file import load_streaming


class Kind(Enum):
    """What an event tells of."""

    READ = "read"
    THOUGHT = "thought"
    DEEP = "deep"
    ANSWER = "answer"


@dataclass(frozen=True)
class Event:
    """Something that happened in a stream.

    Attributes:
        kind: What.
        text: The chunk as it was read, the thought's words ("" for a skip), the deep reasoning, or the answer ("" if
            there is none).
        ending: How what was written ended; None for READ.
    """

    kind: Kind
    text: str
    ending: Ending | None = None


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
        directory = located(path, revision)
        taught = load_streaming(directory)
        streaming = StreamingConfig(**{**vars(taught), "layout": layout or taught.layout})
        config = ModelConfig(path=str(directory), dtype=dtype)  # type: ignore[arg-type]  # a user's word
        tokenizer = load_tokenizer(config, streaming.markers, ())
        codec = Codec(tokenizer, streaming.markers, streaming.thinking)
        built = build_layout(streaming, codec)
        model = load_model_for(streaming, config, tokenizer, seed=0)
        model = model.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        return cls(HFEngine(model, codec, built, streaming), built, sampling)

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
        directory = located(path)
        streaming = load_streaming(directory)
        tokenizer = load_tokenizer(ModelConfig(path=str(directory)), streaming.markers, ())
        codec = Codec(tokenizer, streaming.markers, streaming.thinking)
        engine = CompletionEngine(Server(url, model, api_key), codec, streaming)
        return cls(engine, engine.layout, sampling)

    def start(self, question: str, *, seed: int = 0) -> LiveStream:
        """Begin to listen; ``seed`` fixes the samples."""
        if not question.strip():
            raise UserError("question: got nothing; say what is asked.")
        return LiveStream(self._engine, self._layout, self._sampling, question, seed)


class LiveStream:
    """One question and its input as it arrives."""

    def __init__(
        self, engine: LiveEngine, layout: Layout, sampling: Sampling, question: str, seed: int
    ) -> None:
        """Read the question."""
        self._engine, self._layout, self._sampling = engine, layout, sampling
        episode = Episode(  # only names the row: its chunks are still to come, and nobody knows the answer
            id="live",
            group="live",
            question=question,
            chunks=(question,),
            answer="unknown",
            answer_type=AnswerType.TEXT,
            source=Source("live", "live", "live", "live"),
        )
        opening = layout.opening(question)
        self._row, self._memory = engine.live_row(Request(episode, seed), opening)
        self._sentences = SentenceStream()
        self._chunks = 0
        self._finished = False

    def feed(self, text: str) -> list[Event]:
        """More of the input; what was read and thought because of it, in order."""
        if self._finished:
            raise UserError("the stream is finished; start another one.")
        return self._read(self._sentences.feed(text))

    def finish(self) -> list[Event]:
        """The input has ended: read what is left, reason to the end, and answer."""
        if self._finished:
            raise UserError("the stream is finished; start another one.")
        events = self._read(self._sentences.finish())
        self._finished = True
        if self._chunks == 0:
            raise UserError("the stream ended without any text; feed it before it is finished.")
        if not self._row.done:
            self._row.extend(self._layout.closing(self._chunks, self._row.source_tokens))
            self._engine.advance(self._row, self._memory, self._sampling)
        rollout = self.rollout
        events.append(Event(Kind.DEEP, rollout.deep, rollout.ending))
        events.append(Event(Kind.ANSWER, rollout.answer or "", rollout.ending))
        return events

    @property
    def rollout(self) -> Rollout:
        """All tokens so far, in the order in which they were read and written."""
        return self._row.rollout()

    def _read(self, chunks: Sequence[str]) -> list[Event]:
        """All that has arrived is read before anything is written, where the layout has a stream of its own for it."""
        if self._row.done:  # the model's positions ran out
            return []
        first, read = self._chunks, self._row.source_tokens
        turns: list[Turn] = []
        for chunk in chunks:
            turns += self._layout.arrival(chunk, self._chunks, read)
            read = turns[-1].sees
            self._chunks += 1
        self._row.extend(sorted(turns, key=lambda turn: turn.writes is not Phase.READ))
        self._engine.advance(self._row, self._memory, self._sampling)
        rollout, events = self.rollout, []
        for k, chunk in enumerate(chunks, first):
            events.append(Event(Kind.READ, chunk))
            if k < len(rollout.thoughts):
                ending = rollout.thought_endings[k]
                events.append(Event(Kind.THOUGHT, rollout.thoughts[k], ending))
        return events
