"""Prefix trees of token rows, against a dictionary of all beginnings."""

from __future__ import annotations

import itertools

import pytest
import torch

from adasr_trl.layouts import prefix_tree as module
from adasr_trl.layouts.prefix_tree import prefix_tree
from adasr_trl.layouts.visibility import mask_and_positions


def test_rows_share_their_beginning_and_nothing_behind_a_difference():
    ids = torch.tensor([[7, 8, 9, 4], [7, 8, 5, 4]])
    tree = prefix_tree(ids, torch.arange(1, 5).expand(2, 4))
    assert tree.ids_N.tolist() == [7, 8, 5, 4, 9, 4]  # rows in sorted order
    assert tree.node_BT.tolist() == [[0, 1, 4, 5], [0, 1, 2, 3]]
    assert tree.positions_N.tolist() == [0, 1, 2, 3, 2, 3]
    assert tree.parent_N.tolist() == [-1, 0, 1, 2, 1, 4]
    assert tree.end_N.tolist() == [6, 6, 4, 4, 6, 6]
    assert tree.rows_N.tolist() == [2, 2, 1, 1, 1, 1]
    assert tree.segment_sizes == (2, 2, 2)
    assert [part.keys for part in tree.attention] == [(0,), (0, 1), (0, 2)]


def test_equal_ids_of_other_visibility_are_other_tokens():
    ids, visibility = torch.tensor([[7, 8, 5], [7, 8, 5]]), torch.tensor([[1, 2, -1], [1, 2, -2]])
    tree = prefix_tree(ids, visibility)
    assert tree.ids_N.tolist() == [7, 8, 5, 5]
    assert tree.positions_N.tolist() == [0, 1, 0, 0]  # a target counts on its own


def rows_of(seed: int, *, two_streams: bool):
    """Random rows of two groups, with padding on either side, as ids and visibility."""
    dice = torch.Generator().manual_seed(seed)
    count, width, source = 6, 24, 9
    ids = torch.randint(3, (count, width), generator=dice)  # few ids: many shared tokens
    ids[:3, :12], ids[3:, :12] = ids[0, :12].clone(), ids[3, :12].clone()
    visibility = torch.arange(1, width + 1).expand(count, width).clone()
    if two_streams:
        visibility[:, source:] = -torch.linspace(3, source, width - source).long()
        visibility[1, 14:] = -source
    for row in range(count):
        visibility[row, width - row :] = 0
    shift = torch.tensor([2, 2, 2, 0, 0, 0])
    rows = [torch.cat([v.new_zeros(int(n)), v]) for v, n in zip(visibility, shift, strict=True)]
    tokens = [torch.cat([i.new_zeros(int(n)), i]) for i, n in zip(ids, shift, strict=True)]
    return tuple(
        torch.nn.utils.rnn.pad_sequence(column, batch_first=True) for column in (tokens, rows)
    )


def naive_nodes(ids, visibility):
    """The distinct beginnings, each as a tuple of its tokens, and every row's in order."""
    rows = []
    for row_ids, row_visibility in zip(ids.tolist(), visibility.tolist(), strict=True):
        tokens = [pair for pair in zip(row_ids, row_visibility, strict=True) if pair[1]]
        rows.append([tuple(tokens[: n + 1]) for n in range(len(tokens))])
    return rows


@pytest.mark.parametrize("longest", [3, 512])
@pytest.mark.parametrize("two_streams", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_the_tree_is_that_of_all_beginnings_and_attention_that_of_the_rows(
    monkeypatch, seed, two_streams, longest
):
    monkeypatch.setattr(module, "LONGEST_SEGMENT", longest)
    ids, visibility = rows_of(seed, two_streams=two_streams)
    tree = prefix_tree(ids, visibility)
    rows = naive_nodes(ids, visibility)
    found: dict[int, tuple] = {}
    for row, beginnings in enumerate(rows):
        nodes = tree.node_BT[row][visibility[row] != 0].tolist()
        for node, beginning in zip(nodes, beginnings, strict=True):
            assert found.setdefault(node, beginning) == beginning
            parent = int(tree.parent_N[node])
            assert (parent == -1) == (len(beginning) == 1)
            assert parent == -1 or found[parent] == beginning[:-1]
    distinct = {beginning for beginnings in rows for beginning in beginnings}
    assert set(found.values()) == distinct
    assert len(tree.ids_N) == len(distinct) == sum(tree.segment_sizes)
    seen, block = dense_mask(tree), block_mask(tree)
    wanted, positions = mask_and_positions(visibility)
    for row in range(len(ids)):
        tokens = visibility[row] != 0
        nodes = tree.node_BT[row][tokens]
        expected = wanted[row, 0][tokens][:, tokens]
        assert torch.equal(seen[nodes][:, nodes], expected)
        assert torch.equal(block[nodes][:, nodes], expected)
        assert torch.equal(tree.positions_N[nodes], positions[row][tokens])
    for node, beginning in found.items():  # and nothing beside the path
        on_path = [other for other in found if found[other] == beginning[: len(found[other])]]
        beside = sorted(set(found) - set(on_path))
        assert not seen[node, beside].any()
        assert not block[node, beside].any()


def dense_mask(tree):
    """The parts' masks in one, (N, N)."""
    starts = [0, *torch.tensor(tree.segment_sizes).cumsum(0).tolist()]
    nodes = [torch.arange(a, b) for a, b in itertools.pairwise(starts)]
    seen = torch.zeros(starts[-1], starts[-1], dtype=torch.bool)
    for own, part in zip(nodes, tree.attention, strict=True):
        keys = torch.cat([nodes[segment] for segment in part.keys])
        mask = (
            torch.ones(len(own), len(keys)).tril().bool() if part.mask is None else part.mask[0, 0]
        )
        seen[own.unsqueeze(1), keys] = mask
    return seen


def block_mask(tree):
    """FlexAttention's mask, (N, N)."""
    nodes = torch.arange(len(tree.ids_N))
    allowed = tree.block_mask().mask_mod
    return allowed(nodes, nodes, nodes.unsqueeze(1), nodes)
