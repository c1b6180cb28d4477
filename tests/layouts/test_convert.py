"""A trajectory in the other layout: the same words, as long as it was, and back again without a trace."""

from __future__ import annotations

import dataclasses

from adasr_trl.core.protocol import Mode, Phase
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.convert import converted
from support.parallel_layout import parts_for
from support.scripted import group_of_four, write
from support.settings import PARALLEL, STREAMING


def test_a_rollout_says_the_same_in_both_layouts(tokenizer, episodes):
    codec, parallel = parts_for(tokenizer, PARALLEL)
    interleaved = build_layout(STREAMING, codec)
    for episode in episodes[:4]:
        for rollout in group_of_four(episode, (codec, interleaved, STREAMING)):
            moved = converted(rollout, episode, Mode.STREAMING, parallel)
            back = converted(moved, episode, Mode.STREAMING, interleaved)
            assert back.token_ids == rollout.token_ids
            assert back.phases == rollout.phases
            assert moved.tokens_in(Phase.STREAM) == rollout.tokens_in(Phase.STREAM)
            assert moved.reads_beside
            assert not back.reads_beside
            scripted = group_of_four(episode, (codec, parallel, PARALLEL))
            assert moved.token_ids in [each.token_ids for each in scripted]


def test_a_rollout_that_broke_off_stays_as_long_as_it_was(tokenizer, episodes):
    codec, parallel = parts_for(tokenizer, PARALLEL)
    interleaved = build_layout(STREAMING, codec)
    stopping = (codec, interleaved, dataclasses.replace(STREAMING, on_malformed="stop"))
    thoughts = ["so", "Tom <EOR>", *[""] * (len(episodes[0].chunks) - 2)]
    broken = write(episodes[0], stopping, thoughts, "", "8")
    assert len(broken.thought_endings) == 2
    same = converted(broken, episodes[0], Mode.STREAMING, interleaved)
    assert same.token_ids == broken.token_ids
    moved = converted(broken, episodes[0], Mode.STREAMING, parallel)
    back = converted(moved, episodes[0], Mode.STREAMING, interleaved)
    assert back.token_ids == broken.token_ids


def test_an_episode_has_the_same_words_in_both_layouts(tokenizer, episodes):
    codec, parallel = parts_for(tokenizer, PARALLEL)
    interleaved = build_layout(STREAMING, codec)
    a, b = (layout.encode(episodes[0], Mode.STREAMING) for layout in (parallel, interleaved))
    for phase in Phase:
        left, right = (
            sorted(i for i, p in zip(e.token_ids, e.phases, strict=True) if p is phase)
            for e in (a, b)
        )
        assert left == right
