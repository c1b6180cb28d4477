"""Many live streams in one pool: each writes what a rollout of its own text writes, whatever the others do."""

from __future__ import annotations

import dataclasses
import random
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Ending, first_marker
from adasr_trl.engines import Request, Sampling
from adasr_trl.engines.memory import GROWTH_TOKENS
from adasr_trl.engines.pool import fair_shares, tokens_of_a_stream
from adasr_trl.live.pool import PoolFullError
from adasr_trl.live.stream import EventKind
from support.live_use import EPISODE, QUESTION, TEXT, pieces, reasoner_of
from support.settings import PARALLEL, STREAMING

TEXTS = (
    TEXT,
    "Ada has 12 books. Ben gives her 3 more books.",
    "Tom has 2 coins.",
    "Ann has 4 pens. Ann loses 1 pen. Tom has 3 pens. Ann finds 2 pens. Tom sings.",
)


@pytest.fixture(params=[STREAMING, PARALLEL], ids=["interleaved", "parallel"])
def reasoner(request, model, taught_weights, tokenizer):
    """The model was taught the first layout only; in the other one its random words are more telling."""
    if request.param is STREAMING:
        model.load_state_dict(taught_weights)
    return reasoner_of(model.eval(), tokenizer, request.param)


def alone(reasoner, text, question=QUESTION):
    stream = reasoner.start(question)
    events = stream.feed(text) + stream.finish()
    return events, tokens_of(stream)


def tokens_of(stream):
    """Tokens by chunk and phase: a source of its own may be read earlier, beside the writing."""
    rollout, parts = stream.rollout, {}
    for token, *key in zip(rollout.token_ids, rollout.chunk_of_token, rollout.phases, strict=True):
        parts.setdefault(tuple(key), []).append(token)
    return parts


def run(pool):
    while pool.step():
        pass


def test_streams_of_a_pool_write_what_rollouts_of_the_whole_texts_write(reasoner):
    (whole,) = reasoner._engine.rollout([Request(EPISODE, 0)], Sampling(0.0))
    pool = reasoner.pool(4)
    events = []
    stream = pool.open(QUESTION, on_event=events.append)
    others = [pool.open(QUESTION) for _ in TEXTS[1:]]
    for text, other in zip(TEXTS[1:], others, strict=True):
        other.feed(text)
        other.finish()
    for piece in pieces(TEXT, 7):
        pool.step()
        stream.feed(piece)
    stream.finish()
    run(pool)
    assert tokens_of(stream) == tokens_of(SimpleNamespace(rollout=whole))
    assert events == alone(reasoner, TEXT)[0]
    for text, other in zip(TEXTS[1:], others, strict=True):
        assert tokens_of(other) == alone(reasoner, text)[1]


@settings(max_examples=5)
@given(seed=st.integers(0, 10_000))
@pytest.mark.parametrize("layout", [STREAMING, PARALLEL], ids=["interleaved", "parallel"])
def test_no_interleaving_of_streams_changes_their_tokens(property_parts, layout, seed):
    reasoner, expected = property_parts[layout.layout]
    rng = random.Random(seed)
    pool = reasoner.pool(6)
    running, finished, leaving = [], [], 3
    queue = [rng.randrange(len(TEXTS)) for _ in range(6)]
    while queue or running:
        action = rng.random()
        if queue and action < 0.2 and len(running) < 6:
            number = queue.pop()
            size = rng.choice((3, 20, 200))
            running.append((number, pool.open(QUESTION), pieces(TEXTS[number], size)[::-1]))
        elif running and action < 0.5:
            number, stream, left = rng.choice(running)
            if left:
                stream.feed(left.pop())
            elif not stream.finished:
                stream.finish()
            elif stream.answered:
                finished.append((number, tokens_of(stream)))
                pool.close(stream)
                running = [each for each in running if each[1] is not stream]
        elif running and action < 0.52 and leaving:  # in the middle
            leaving -= 1
            number, stream, _ = running.pop(rng.randrange(len(running)))
            queue.append(number)
            pool.close(stream)
        else:
            pool.step()
    assert all(tokens == expected[number] for number, tokens in finished)
    assert len(finished) == 6
    assert len(pool) == 0


@pytest.fixture(scope="module")
def property_parts(tokenizer, taught_weights):
    from support.tiny_model import small_model

    parts = {}
    for streaming in (STREAMING, PARALLEL):
        model = small_model(tokenizer)
        if streaming is STREAMING:
            model.load_state_dict(taught_weights)
        reasoner = reasoner_of(model.eval(), tokenizer, streaming)
        parts[streaming.layout] = reasoner, [alone(reasoner, text)[1] for text in TEXTS]
    return parts


def test_sampled_streams_have_their_own_settings_and_seeds(reasoner):
    pool = reasoner.pool(3)
    settings = [(0, Sampling(1.0)), (1, Sampling(0.7, top_p=0.9)), (0, Sampling(1.0))]
    streams = [pool.open(QUESTION, seed=seed, sampling=sampling) for seed, sampling in settings]
    for stream in streams:
        stream.feed(TEXT)
        stream.finish()
    run(pool)
    assert tokens_of(streams[0]) == tokens_of(streams[2])
    assert tokens_of(streams[0]) != tokens_of(streams[1])


def test_in_the_parallel_layout_a_chunk_is_read_while_the_thought_before_it_is_written(
    model, tokenizer
):
    pool = reasoner_of(model.eval(), tokenizer, PARALLEL).pool(1)
    stream = pool.open(QUESTION)
    stream.feed("Tom has 5 coins. He")
    while not stream.token_seconds:
        pool.step()
    read = stream._sequence.source_tokens
    stream.feed(" sings. Tom")
    assert stream._sequence.source_tokens > read  # queued beside the thought, in the next forwards
    assert not stream._sequence.thoughts
    while not stream._sequence.thoughts:
        pool.step()
    assert stream._sequence.fed_tokens > read + len(stream.token_seconds)


def test_a_long_chunk_delays_other_streams_by_no_more_than_its_share_of_a_block(taught, tokenizer):
    streaming = dataclasses.replace(STREAMING, read_block=8)
    pool = reasoner_of(taught, tokenizer, streaming).pool(2)
    long, short = pool.open(QUESTION), pool.open(QUESTION)
    run(pool)
    long.feed("Tom has 5 coins and " * 12 + "sings. He")
    short.feed("He sings. He")
    steps = 0
    while not short.token_seconds:
        assert pool.step()
        steps += 1
    unread = short._sequence.tokens
    assert steps <= unread // 4
    assert not long.token_seconds


def test_shares_of_a_block_are_equal_and_complete():
    assert fair_shares([5, 400, 400], 101) == [5, 48, 48]
    assert fair_shares([400, 1, 0], 8) == [7, 1, 0]
    assert fair_shares([3, 3, 3], 2) == [1, 1, 0]
    assert fair_shares([], 8) == []


@pytest.mark.parametrize("at", [0, 2, 3])
@pytest.mark.parametrize("steps", [3, 30, 500])
def test_a_rewound_stream_goes_on_as_if_the_rest_had_never_arrived(reasoner, at, steps):
    chunks = EPISODE.chunks
    pool = reasoner.pool(2)
    events = []
    stream = pool.open(QUESTION, on_event=events.append)
    for chunk in chunks:
        stream.read(chunk)
    stream.finish()
    for _ in range(steps):
        pool.step()
    stream.rewind(at)
    kept = stream.tokens[1]
    read = pool.engine.counts.read_tokens
    new = " Ben has 7 coins. Tom has 2 coins."
    stream.feed(new)
    stream.finish()
    run(pool)
    assert tokens_of(stream) == alone(reasoner, "".join(chunks[:at]) + new)[1]
    assert events[-1].text == alone(reasoner, "".join(chunks[:at]) + new)[0][-1].text
    assert pool.engine.counts.read_tokens - read < stream.tokens[0] - kept
    if steps == 500:
        question = reasoner.start(QUESTION).tokens[0]
        assert kept >= question - 1 + 4 * at


def test_drafts_grow_to_the_words_of_the_events_without_markers(reasoner):
    pool = reasoner.pool(1)
    seen, events = [], []
    stream = pool.open(QUESTION, on_event=events.append)
    stream.on_draft = lambda kind, text: seen.append((len(events), kind, text))
    stream.feed(TEXT)
    stream.finish()
    run(pool)
    assert {kind for _, kind, _ in seen} >= {EventKind.THOUGHT}
    assert not any(first_marker(text, STREAMING.markers) for _, _, text in seen)
    for count, kind, text in seen:
        later = next(event for event in events[count:] if event.kind is kind)
        assert later.text.startswith(text)


def test_a_pool_takes_no_more_streams_than_it_is_told_to(reasoner):
    pool = reasoner.pool(2)
    first, _ = pool.open(QUESTION), pool.open(QUESTION)
    with pytest.raises(PoolFullError, match="2 streams are open"):
        pool.open(QUESTION)
    pool.close(first)
    pool.open(QUESTION)


def test_a_stream_longer_than_its_share_of_the_cache_ends_by_name_and_others_go_on(
    reasoner,
):
    size = 2 * 2 * 1 * 16 * 4  # layers, keys and values, heads, head size, bytes
    pool = reasoner.pool(2, max_cache_gib=2 * GROWTH_TOKENS * size / 2**30)
    events = []
    long, other = pool.open(QUESTION, on_event=events.append), pool.open(QUESTION)
    other.feed(TEXT)
    other.finish()
    for _ in range(30):
        long.feed("Tom has 5 coins. ")
        run(pool)
    assert events[-1].kind is EventKind.OUT_OF_MEMORY
    assert events[-1].ending is Ending.OUT_OF_TOKENS
    assert "share of the cache" in long.ended_early
    assert tokens_of(other) == alone(reasoner, TEXT)[1]
    assert pool.engine.cache_bytes <= 2 * GROWTH_TOKENS * size
    pool.close(long)
    with pytest.raises(UserError, match="question: cannot be read"):
        pool.open("How many? " * 200)


def test_a_bound_too_small_for_its_streams_is_refused():
    assert tokens_of_a_stream(1.0, 4, 2**20) == 256
    with pytest.raises(UserError, match="Raise it, or take fewer"):
        tokens_of_a_stream(0.1, 4, 2**20)


def test_when_memory_runs_out_the_longest_stream_ends_and_the_others_lose_nothing(
    reasoner, monkeypatch
):
    pool = reasoner.pool(2)
    long, other = pool.open(QUESTION), pool.open(QUESTION)
    long.feed(TEXT * 2)
    other.feed("Tom has 2 coins.")
    other.finish()
    feed, calls = pool.engine._runner.feed, []

    def fails_once(running, counts, cache):
        calls.append(1)
        answer = feed(running, counts, cache)
        if len(calls) == 12:
            raise torch.OutOfMemoryError
        return answer

    monkeypatch.setattr(pool.engine._runner, "feed", fails_once)
    run(pool)
    assert long.ended_early
    assert tokens_of(other) == alone(reasoner, "Tom has 2 coins.")[1]


def test_memory_follows_the_streams(reasoner):
    pool = reasoner.pool(64)
    start = pool.engine.cache_bytes
    streams = [pool.open(QUESTION) for _ in range(40)]
    for stream in streams:
        stream.feed(TEXT)
    run(pool)
    most = pool.engine.cache_bytes
    for stream in streams[2:]:
        pool.close(stream)
    assert pool.engine.cache_bytes <= most / 10
    run(pool)
    for stream in streams[:2]:
        stream.finish()
        run(pool)
        assert tokens_of(stream) == alone(reasoner, TEXT)[1]
        pool.close(stream)
    assert pool.engine.cache_bytes == start
