"""Prefix tree of token sequences: what rows begin with in common is one run of tokens, computed once for all of them.

    >>> tree = prefix_tree(torch.tensor([[7, 8, 9, 0], [7, 8, 5, 6]]), torch.tensor([[1, 2, 3, 0], [1, 2, 3, 4]]))
    >>> tree.ids_N                          # five distinct tokens of seven
    tensor([7, 8, 5, 6, 9])
    >>> tree.node_BT
    tensor([[ 0,  1,  4, -1],
            [ 0,  1,  2,  3]])

A **node** is a token after all tokens before it: two rows share it if they agree up to there, in ids and in visibility
of the source (``visibility``). Nodes are numbered in preorder, so that a subtree is a range of numbers.

A **segment** is a range of nodes without a branch. Queries of a segment attend to some segments of their path, so
attention needs no mask over all nodes. Long segments are cut, since masked keys are computed too.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

from adasr_trl.layouts.visibility import may_attend, positions_of

LONGEST_SEGMENT = 512


@dataclass(frozen=True)
class SegmentAttention:
    """Keys of the queries of one segment.

    Attributes:
        keys: Segments with the keys, along the path; the queries' own is the last.
        mask: True where a query may attend, (1, 1, Q, K); None for causal attention within the segment alone.
    """

    keys: tuple[int, ...]
    mask: Tensor | None

    def to(self, device: torch.device) -> SegmentAttention:
        """The same on a device."""
        return replace(self, mask=None if self.mask is None else self.mask.to(device))


@dataclass(frozen=True)
class PrefixTree:
    """The N distinct tokens of B rows.

    Attributes:
        ids_N: Token ids.
        positions_N: Position ids.
        visibility_N: Visibility of the source.
        parent_N: The node before each, -1 for none.
        end_N: The first node behind each node's subtree.
        rows_N: Number of rows that share the node.
        node_BT: Node of each row's tokens, -1 for padding.
        segment_sizes: Number of nodes of each segment.
        attention: Keys of each segment's queries.
    """

    ids_N: Tensor
    positions_N: Tensor
    visibility_N: Tensor
    parent_N: Tensor
    end_N: Tensor
    rows_N: Tensor
    node_BT: Tensor
    segment_sizes: tuple[int, ...]
    attention: tuple[SegmentAttention, ...]

    def block_mask(self) -> BlockMask:
        """The whole attention for FlexAttention."""
        visibility_N, end_N = self.visibility_N, self.end_N

        def allowed(_batch: Tensor, _head: Tensor, q: Tensor, k: Tensor) -> Tensor:
            query, key = visibility_N[q], visibility_N[k]
            on_path = (k <= q) & (q < end_N[k])
            source = (key > 0) & (key <= query.abs())
            return on_path & (source | ((query < 0) & (key < 0)))

        count = len(self.ids_N)
        return create_block_mask(allowed, None, None, count, count, device=str(self.ids_N.device))


def prefix_tree(ids_BT: Tensor, visibility_BT: Tensor) -> PrefixTree:
    """The tree of whole sequences; padding has visibility 0 and may be anywhere."""
    device, is_token_BT = ids_BT.device, visibility_BT.cpu() != 0
    # Aligned: every row begins in column 0, with its padding behind.
    to_left_BT = is_token_BT.logical_not().long().argsort(dim=1, stable=True)
    ids, visibility, positions = (
        column_BT.cpu().gather(1, to_left_BT)
        for column_BT in (ids_BT, visibility_BT, positions_of(visibility_BT))
    )
    keys_BT = _keys(ids, visibility)
    order_B = torch.tensor(sorted(range(len(keys_BT)), key=keys_BT.tolist().__getitem__))
    shared_B = _shared_lengths(keys_BT[order_B])
    nodes, is_new = _numbered(visibility[order_B] != 0, shared_B)
    aligned_BT = nodes[order_B.argsort()]
    node_BT = torch.full_like(ids, -1)
    node_BT[is_token_BT] = aligned_BT[aligned_BT >= 0]
    paths = [row[row >= 0] for row in nodes]
    visibility_N, depth_N = visibility[order_B][is_new], is_new.nonzero()[:, 1]
    cuts = _cuts(paths, shared_B.tolist())
    attention = _attention(paths, shared_B.tolist(), cuts, visibility_N, depth_N)
    return PrefixTree(
        ids_N=ids[order_B][is_new].to(device),
        positions_N=positions[order_B][is_new].to(device),
        visibility_N=visibility_N.to(device),
        parent_N=torch.nn.functional.pad(nodes, (1, -1), value=-1)[is_new].to(device),
        end_N=_ends(paths, len(depth_N)).to(device),
        rows_N=torch.bincount(torch.cat(paths), minlength=len(depth_N)).to(device),
        node_BT=node_BT.to(device),
        segment_sizes=tuple(end - start for start, end in itertools.pairwise(cuts)),
        attention=tuple(part.to(device) for part in attention),
    )


def _keys(ids_BT: Tensor, visibility_BT: Tensor) -> Tensor:
    """One number for what must agree in a shared token, -1 for padding."""
    span = 2 * int(visibility_BT.abs().max()) + 1
    return (ids_BT * span + visibility_BT + span // 2).masked_fill(visibility_BT == 0, -1)


def _shared_lengths(keys_BT: Tensor) -> Tensor:
    """Number of leading tokens that each sorted row shares with the one before it, (B)."""
    agree = (keys_BT[1:] == keys_BT[:-1]) & (keys_BT[1:] >= 0)
    lengths = agree.long().cumprod(dim=1).sum(dim=1)
    return torch.nn.functional.pad(lengths, (1, 0))


def _numbered(is_token_BT: Tensor, shared_B: Tensor) -> tuple[Tensor, Tensor]:
    """Node of each token of sorted rows, -1 for padding, and whether its row is the first with it; both (B, T)."""
    depth_T = torch.arange(is_token_BT.size(1))
    is_new = is_token_BT & (depth_T >= shared_B.unsqueeze(1))
    numbers = is_new.flatten().cumsum(0).view_as(is_new) - 1  # (B, T)
    # A shared token is its column's latest node: each row since then shares it too.
    nodes = numbers.masked_fill(~is_new, -1).cummax(dim=0).values
    return nodes.masked_fill(~is_token_BT, -1), is_new


def _ends(paths: Sequence[Tensor], count: int) -> Tensor:
    """The first node behind each node's subtree: behind the last row that passes it."""
    end_N = torch.zeros(count, dtype=torch.long)
    for path in paths:  # sorted, so later rows have later nodes
        end_N[path] = torch.maximum(end_N[path], path[-1] + 1)
    return end_N


def _cuts(paths: Sequence[Tensor], shared: Sequence[int]) -> list[int]:
    """First nodes of all segments, and the number of nodes."""
    starts = {0, *(int(path[-1]) + 1 for path in paths)}  # a row's new nodes end with its path
    # Behind a node with a branch a segment ends.
    starts |= {int(path[n - 1]) + 1 for path, n in zip(paths, shared, strict=True) if n}
    cuts = sorted(starts)
    pairs = itertools.pairwise(cuts)
    return [cut for start, end in pairs for cut in range(start, end, LONGEST_SEGMENT)] + cuts[-1:]


def _attention(
    paths: Sequence[Tensor],
    shared: Sequence[int],
    cuts: Sequence[int],
    visibility_N: Tensor,
    depth_N: Tensor,
) -> Iterator[SegmentAttention]:
    """The keys of each segment. Rows are sorted, so their new segments come in the order of all segments."""
    segment_of_N = torch.bucketize(torch.arange(cuts[-1]), torch.tensor(cuts), right=True) - 1
    for path, length in zip(paths, shared, strict=True):
        segments = torch.unique_consecutive(segment_of_N[path]).tolist()
        for segment in torch.unique_consecutive(segment_of_N[path[length:]]).tolist():
            along = segments[: segments.index(segment) + 1]
            yield _segment_attention(along, cuts, visibility_N, depth_N)


def _segment_attention(
    along: list[int], cuts: Sequence[int], visibility_N: Tensor, depth_N: Tensor
) -> SegmentAttention:
    """The keys of the last of the segments along a path: those that any of its queries may attend to."""
    own = slice(cuts[along[-1]], cuts[along[-1] + 1])
    ranges = [torch.arange(cuts[segment], cuts[segment + 1]) for segment in along]
    keys_K = torch.cat(ranges)
    mask = may_attend(
        *(visibility_N[own][None], depth_N[own]), *(visibility_N[keys_K][None], depth_N[keys_K])
    )  # (1, 1, Q, K)
    pieces = torch.split(mask, [len(nodes) for nodes in ranges], dim=-1)
    needed = [bool(piece.any()) for piece in pieces]
    keys = tuple(itertools.compress(along, needed))
    if len(keys) == 1 and bool((visibility_N[own] > 0).all()):
        return SegmentAttention(keys, None)
    return SegmentAttention(keys, torch.cat(list(itertools.compress(pieces, needed)), dim=-1))
