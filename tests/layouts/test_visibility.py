"""Streaming attention and group positions: rows written out by hand, and a loop that follows the papers' words."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adasr_trl.core.errors import UserError
from adasr_trl.hrpo.streaming_attention import sequence_visibility
from adasr_trl.layouts.visibility import StreamingForward, mask_and_positions, source_visibility
from support.parallel_layout import naive

# Question "q q", sentence 0 "a a", sentence 1 "b", the end of the stream "e"; header "h h", thought 0 "x x", thought 1
# "y", deep "d d".
SOURCE = [-1, -1, 0, 0, 1, 2]
TARGET = [-1, -1, 0, 0, 1, 2, 2]
CHUNKS = [*SOURCE, *TARGET]

# The first rows of the target by hand: which of q q a a b e, and of h h x x y d d, each token sees.
WRITTEN = {
    "h1": ("110000", "1000000"),
    "h2": ("110000", "1100000"),
    "x1": ("111100", "1110000"),
    "x2": ("111100", "1111000"),
    "y": ("111110", "1111100"),
    "d1": ("111111", "1111110"),
    "d2": ("111111", "1111111"),
}
FED = {
    **WRITTEN,
    "h2": ("111100", "1100000"),  # sentence 0 was read when the header's last token is fed
    "x2": ("111110", "1111000"),  # the end of thought 0 sees sentence 1
    "y": ("111111", "1111100"),
}


@pytest.mark.parametrize(("fed", "rows"), [(True, FED), (False, WRITTEN)], ids=["fed", "written"])
def test_the_mask_is_the_one_written_by_hand(fed, rows):
    mask, _ = mask_and_positions(torch.tensor([source_visibility(6, CHUNKS, fed=fed)]))
    found = ["".join(str(int(seen)) for seen in row) for row in mask[0, 0]]
    source = ["1000000000000", "1100000000000", "1110000000000", "1111000000000", "1111100000000"]
    assert found[:5] == source
    assert found[6:] == [source + target for source, target in rows.values()]


def test_each_stream_counts_its_own_positions():
    _, positions = mask_and_positions(torch.tensor([source_visibility(6, CHUNKS, fed=True)]))
    assert positions[0].tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 6]


def test_a_plain_source_is_ordinary_causal_attention():
    mask, positions = mask_and_positions(torch.tensor([[1, 2, 3, 4]]))
    assert torch.equal(mask[0, 0], torch.ones(4, 4).tril().bool())
    assert positions[0].tolist() == [0, 1, 2, 3]


@st.composite
def trajectories(draw):
    """A source of up to 5 chunks and a target whose segments have any length, some none."""
    count = draw(st.integers(1, 5))
    sizes = draw(st.lists(st.integers(1, 3), min_size=count + 2, max_size=count + 2))
    source = [k - 1 for k, size in enumerate(sizes) for _ in range(size)]
    wrote = draw(st.lists(st.integers(0, 3), min_size=count + 2, max_size=count + 2))
    target = [k - 1 for k, size in enumerate(wrote) for _ in range(max(size, int(k == 0)))]
    return len(source), [*source, *target]


@given(trajectories(), st.booleans(), st.integers(0, 3), st.integers(0, 3))
@settings(deadline=None, max_examples=200)
def test_visibility_says_what_a_loop_says_also_between_padding(trajectory, fed, left, right):
    length, chunks = trajectory
    visibility = source_visibility(length, chunks, fed=fed)
    padded = torch.tensor([[0] * left + list(visibility) + [0] * right])
    mask, positions = mask_and_positions(padded)
    inner = slice(left, left + len(chunks))
    assert torch.equal(mask[0, 0, inner, inner], naive(length, chunks, fed))
    outside = mask[0, 0].clone()
    outside[inner, inner] = False
    assert torch.equal(outside, torch.eye(len(padded[0])).bool() & (padded[0] == 0))
    expected = [*range(length), *range(len(chunks) - length)]
    assert positions[0, inner].tolist() == expected


def test_visibility_stands_in_the_attention_mask_with_padding_on_the_left_and_right():
    mask = torch.tensor([[0, 1, 1, 1, 1, 0], [1, 1, 1, 1, 0, 0]])
    completion = torch.tensor([[-2, -2, 0], [-3, 0, 0]])
    found = sequence_visibility(mask, completion, 3)
    assert found.tolist() == [[0, 1, 2, -2, -2, 0], [1, 2, 3, -3, 0, 0]]
    dropped = sequence_visibility(mask * torch.tensor([[1, 1, 1, 0, 0, 0]]), completion, 3)
    assert dropped[:, 3:].abs().sum() == 0  # a completion that TRL masks is masked


def test_a_completion_that_is_padded_further_than_its_visibility_keeps_its_place():
    mask = torch.tensor([[1, 1, 1, 1, 0, 0, 0]])
    found = sequence_visibility(mask, torch.tensor([[-2, -2]]), 5)
    assert found.tolist() == [[1, 2, -2, -2, 0, 0, 0]]


def test_attention_that_reads_the_mask_in_another_way_is_refused():
    for name in ("eager", "flash_attention_2"):
        with pytest.raises(UserError, match=name):
            StreamingForward(print, None, lambda visibility: visibility, name)


def test_under_a_streaming_forward_layers_get_the_mask_and_the_call_counts_tokens():
    class Layers(torch.nn.Module):
        def forward(self, **inputs):
            return inputs

    inner = SimpleNamespace(base_model=Layers())
    called, seen = StreamingForward(
        lambda **inputs: (inputs, inner.base_model(**inputs)), inner, lambda visibility: visibility
    )(
        input_ids=torch.tensor([[5, 6, 7, 0]]),
        attention_mask=torch.tensor([[1, 2, -1, 0]]),
        labels=3,
    )
    assert seen["attention_mask"].shape == (1, 1, 4, 4)
    assert called["attention_mask"].tolist() == [[1, 1, 1, 0]]
    assert called["position_ids"].tolist() == seen["position_ids"].tolist() == [[0, 1, 0, 0]]
    assert called["labels"] == 3
    assert not inner.base_model._forward_pre_hooks
