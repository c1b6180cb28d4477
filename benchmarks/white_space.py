"""Accuracy of a run in every form of input: the answers of the text as built, from lines, cues, files and pieces.

    python -m benchmarks.white_space runs/tiny/seed-0/sft --test data/tiny/test.jsonl --count 200

Each form goes through the reading code of ``adasr stream``: a pipe, a pseudo terminal, a replay, a transcript, or ``feed``.
Decoding is greedy (interleaved layout); the token behind a context is computed once for all forms. ``same`` counts the
questions with exactly the tokens of the chunks as built. The screen of the command is left out.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import textwrap
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import torch

from adasr_trl.config.sections import ModelConfig
from adasr_trl.core.decoding import read_text
from adasr_trl.core.episode import Episode, read_episodes
from adasr_trl.core.rollout import Rollout
from adasr_trl.engines import HFEngine, Request, Sampling
from adasr_trl.engines.cache import SlotCache
from adasr_trl.engines.rollout_state import SequenceState
from adasr_trl.layouts.base import Turn
from adasr_trl.live.reasoner import StreamingReasoner
from adasr_trl.live.session import Session
from adasr_trl.live.sources import InputPiece, TextSource, replayed, transcribed, typed
from adasr_trl.models.loading import load_policy
from adasr_trl.rewards import answered_right

AT_ONCE = 1e9  # words a minute, and speed of a transcript: nothing waits
CUE_WORDS = 4  # of a cue that ends anywhere
Form = Callable[[Episode], TextSource]


class GreedyEngine(HFEngine):
    """The most probable token behind each context; what was computed for one form is looked up for the others."""

    @cached_property
    def known(self) -> dict[tuple[int, ...], int]:
        """From a context to its token."""
        return {}

    def start_sequence(
        self, request: Request, turns: Sequence[Turn]
    ) -> tuple[SequenceState, SlotCache]:
        """A sequence, and a cache that is never filled."""
        return self._state(request, turns), self._cache(1)

    @torch.inference_mode()
    def advance(self, state: SequenceState, _cache: SlotCache, _sampling: Sampling) -> None:
        """Write until the sequence waits for more of its stream, or is done."""
        while not (state.waiting or state.done):
            context = state.take_all()
            if context not in self.known:
                logits = self._model(input_ids=torch.tensor([context]), logits_to_keep=1).logits
                self.known[context] = int(logits[0, -1].argmax())
            state.accept(self.known[context], 0.0)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run")
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args()
    episodes = list(read_episodes(options.test))[: options.count]
    policy = load_policy(ModelConfig(path=options.run))
    engine = GreedyEngine(policy.model.eval(), policy.codec, policy.layout, policy.streaming)
    reasoner = StreamingReasoner(engine, policy.layout)
    built = [_rollout(reasoner, episode, as_built) for episode in episodes]
    print(f"| form of input, {len(episodes)} questions | accuracy | same |\n| --- | --- | --- |")
    for name, form in FORMS.items():
        rollouts = [_rollout(reasoner, episode, form) for episode in episodes]
        right = sum(map(answered_right, rollouts, episodes))
        same = sum(a.token_ids == b.token_ids for a, b in zip(rollouts, built, strict=True))
        print(f"| {name} | {right / len(episodes):.3f} | {same} |", flush=True)


def _rollout(reasoner: StreamingReasoner, episode: Episode, form: Form) -> Rollout:
    with Session(reasoner, episode.question, form(episode)) as session:
        for _ in session:
            pass
        return session.stream.rollout


def as_built(episode: Episode) -> TextSource:
    """The chunks of the data."""
    return lambda _stop: iter([InputPiece(chunk, chunk) for chunk in episode.chunks])


def pieces(episode: Episode) -> TextSource:
    """``feed`` with 1 to 12 characters at once, the cuts seeded by the question."""
    text, dice = "".join(episode.chunks), random.Random(episode.id)

    def cut() -> Iterator[InputPiece]:
        start = 0
        while start < len(text):
            end = start + dice.randint(1, 12)
            yield InputPiece(text[start:end])
            start = end

    return lambda _stop: cut()


def piped(written: Callable[[Sequence[str]], Sequence[str]]) -> Form:
    """A pipe into which the pieces are written one by one."""

    def form(episode: Episode) -> TextSource:
        reading, writing = os.pipe()
        return _written(reading, writing, written(_sentences(episode)), by_line=False)

    return form


def terminal(written: Callable[[Sequence[str]], Sequence[str]]) -> Form:
    """A terminal whose lines are typed at once; Ctrl-D ends the text."""

    def form(episode: Episode) -> TextSource:
        keyboard, screen = os.openpty()
        lines = [*written(_sentences(episode)), "\x04"]
        return _written(screen, keyboard, lines, by_line=True)

    return form


def _written(reading: int, writing: int, texts: Sequence[str], *, by_line: bool) -> TextSource:
    source = typed(reading, "input", 1.0, by_line=by_line)

    def write() -> None:
        for text in texts:
            os.write(writing, text.encode())
        if not by_line:
            os.close(writing)

    def read(stop: threading.Event) -> Iterator[InputPiece]:
        threading.Thread(target=write, daemon=True).start()
        try:
            yield from source(stop)
        finally:
            for descriptor in (reading, writing):
                with suppress(OSError):  # a pipe's writer is closed
                    os.close(descriptor)

    return read


def file(written: Callable[[Sequence[str]], str]) -> Form:
    """A file that is replayed."""

    def form(episode: Episode) -> TextSource:
        return replayed("story.txt", _through_file(written(_sentences(episode))), AT_ONCE)

    return form


def transcript(head: str, texts_of: Callable[[Sequence[str]], Sequence[str]], comma: str) -> Form:
    """Captions with one text each, two seconds long."""

    def form(episode: Episode) -> TextSource:
        cues = [
            f"{number + 1}\n{_time(2 * number, comma)} --> {_time(2 * number + 2, comma)}\n{text}\n\n"
            for number, text in enumerate(texts_of(_sentences(episode)))
        ]
        return transcribed("talk", _through_file(head + "".join(cues)), AT_ONCE)

    return form


def _time(seconds: int, comma: str) -> str:
    return f"00:{seconds // 60:02}:{seconds % 60:02}{comma}000"


def _through_file(text: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "text")
        path.write_bytes(text.encode())
        return read_text(path)


def _sentences(episode: Episode) -> list[str]:
    return [chunk.strip() for chunk in episode.chunks]


def _anywhere(sentences: Sequence[str]) -> list[str]:
    words = " ".join(sentences).split()
    return [" ".join(words[n : n + CUE_WORDS]) for n in range(0, len(words), CUE_WORDS)]


def _lines(sentences: Sequence[str]) -> list[str]:
    return textwrap.wrap(" ".join(sentences), 40)


FORMS: dict[str, Form] = {
    "chunks as built": as_built,
    "feed, random pieces": pieces,
    "pipe": piped(lambda s: [" ".join(s)]),
    "pipe, newline at the end": piped(lambda s: [" ".join(s) + "\n"]),
    "pipe, Enter after each sentence": piped(lambda s: [f"{each}\n" for each in s]),
    "pipe, CRLF and a blank line after each": piped(lambda s: [f"{each}\r\n\r\n" for each in s]),
    "terminal, one line": terminal(lambda s: [" ".join(s) + "\n"]),
    "terminal, Enter after each sentence": terminal(lambda s: [f"{each}\n" for each in s]),
    "terminal, Enter twice": terminal(lambda s: [f"{each}\n\n" for each in s]),
    "terminal, Enter anywhere": terminal(lambda s: [f"{each}\n" for each in _anywhere(s)]),
    "replay, CRLF after each sentence": file(lambda s: "\r\n".join(s) + "\r\n"),
    "replay, two spaces between sentences": file("  ".join),
    "replay, a tab before each sentence": file(lambda s: "".join(f"\t{each}\n" for each in s)),
    "replay, blank lines": file(lambda s: "\n\n\n".join(s) + "\n\n"),
    "SRT, a sentence a cue": transcript("", list, ","),
    "SRT, cues end anywhere": transcript("", _anywhere, ","),
    "WebVTT, a sentence a cue": transcript("WEBVTT\n\n", list, "."),
    "WebVTT, cues end anywhere": transcript("WEBVTT\n\n", _anywhere, "."),
    "replay, two spaces between words": file(lambda s: "  ".join(" ".join(s).split())),
    "replay, tabs between words": file(lambda s: "\t".join(" ".join(s).split())),
    "replay, no-break spaces between words": file(lambda s: "\u00a0".join(" ".join(s).split())),
    "replay, lines of 40 columns": file(lambda s: "\n".join(_lines(s))),
    "pipe, CRLF lines of 40 columns": piped(lambda s: [f"{e}\r\n" for e in _lines(s)]),
    "terminal, lines of 40 columns": terminal(lambda s: [f"{e}\n" for e in _lines(s)]),
}


if __name__ == "__main__":
    main()
