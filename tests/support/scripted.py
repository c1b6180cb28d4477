"""Rollouts that a script writes instead of a model: what each thought, the deep part and the answer say is given."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.episode import Episode
from adasr_trl.core.rollout import Rollout
from adasr_trl.engines import Request
from adasr_trl.engines.rollout_state import SequenceState
from adasr_trl.layouts import Layout, build_layout
from adasr_trl.layouts.codec import Codec
from support.settings import STREAMING


class Script:
    """Stands for the engine: hands out the scripted groups in the order in which episodes are asked for."""

    def __init__(
        self, tokenizer: object, episodes: Sequence[Episode], streaming: StreamingConfig = STREAMING
    ) -> None:
        codec = Codec(tokenizer, streaming.markers)
        self.parts = (codec, build_layout(streaming, codec), streaming)
        self.by_id = {e.id: group_of_four(e, self.parts) for e in episodes}

    def rollout(self, requests: Sequence[Request], _sampling: object) -> list[Rollout]:
        copies: dict[str, Iterator[Rollout]] = {}
        ids = [request.episode.id for request in requests]
        return [next(copies.setdefault(i, iter(self.by_id[i]))) for i in ids]


def write(
    episode: Episode,
    parts: tuple[Codec, Layout, StreamingConfig],
    thoughts: Sequence[str],
    deep: str,
    answer: str,
) -> Rollout:
    """The rollout of a model that writes these words ("" is a skip) and ends properly."""
    codec, layout, streaming = parts
    segments = [
        codec.encode_text(words) + codec.marker("thought_end") if words else codec.marker("skip")
        for words in thoughts
    ]
    final = codec.encode_text(deep) + codec.marker("reasoning_end") + codec.encode_text(answer)
    return play(
        SequenceState(Request(episode, 0), layout, codec, streaming),
        [*segments, (*final, codec.eos_id)],
    )


def play(state: SequenceState, segments: Sequence[Sequence[int]]) -> Rollout:
    """Feed sampled tokens to a sequence until it is done; the rest of a segment that ends early is dropped."""
    waiting = deque(segments)
    while not state.done:
        segment = deque(waiting.popleft())
        turn = state.turn
        while segment and not state.done and state.turn is turn:
            state.take(10_000)
            state.accept(segment.popleft(), -1.0)
    return state.rollout()


def group_of_four(episode: Episode, parts: tuple[Codec, Layout, StreamingConfig]) -> list[Rollout]:
    """One episode's group: the teacher; all skipped; a wrong answer; verbose and right."""
    thoughts, deep = episode.thoughts or (), episode.deep or ""
    skips = [""] * len(episode.chunks)
    wrong = str(int(episode.answer) + 1)
    return [
        write(episode, parts, thoughts, "", episode.answer),
        write(episode, parts, skips, "all at once", episode.answer),
        write(episode, parts, thoughts, deep[:20], wrong),
        write(episode, parts, ["well"] * len(skips), "well , well , well", episode.answer),
    ]
