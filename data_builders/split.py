"""Train and test that share no group: the hash of a group and the seed decides.

    >>> sorted(test_groups({"a": 1, "b": 1, "c": 1}, seed=0, share=0.5, count=None))
    ['a']

So an episode stays in its split when rows are added to the input (``--test-share``; a ``--test-count`` moves its
edge), and variants of one template never stand on both sides.
"""

from __future__ import annotations

import argparse
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from adasr_trl.episode import Episode
from data_builders.source import UNSPLIT, BuildError

SPLITS = ("train", "test")


def split_episodes(
    episodes: Iterable[Episode], options: argparse.Namespace
) -> dict[str, list[Episode]]:
    """The episodes of each split, in the order of the input."""
    episodes = list(episodes)
    unsplit = Counter(e.group for e in episodes if e.source.split == UNSPLIT)
    if unsplit:
        held_out = test_groups(unsplit, options.seed, options.test_share, options.test_count)
        _refuse_empty(unsplit, held_out, options)
        episodes = [_assigned(episode, held_out) for episode in episodes]
    parts = {split: [e for e in episodes if e.source.split == split] for split in SPLITS}
    shared = {e.group for e in parts["train"]} & {e.group for e in parts["test"]}
    if shared:
        raise BuildError(f"group {min(shared)!r} stands in both train and test: the source leaks.")
    return parts


def test_groups(
    sizes: Mapping[str, int], seed: int, share: float, count: int | None
) -> frozenset[str]:
    """The groups of the test split.

    Args:
        sizes: How many episodes each group has.
        seed: Another seed gives another split.
        share: A group is in test if its hash, from 0 to 1, is below.
        count: Instead: the groups of the lowest hashes, until they hold that many episodes.
    """
    places = {group: _place(group, seed) for group in sizes}
    if count is None:
        return frozenset(group for group, place in places.items() if place < share)
    chosen: list[str] = []
    total = 0
    for group in sorted(sizes, key=lambda group: (places[group], group)):
        if total >= count:
            break
        chosen.append(group)
        total += sizes[group]
    return frozenset(chosen)


def _place(group: str, seed: int) -> float:
    digest = hashlib.sha256(f"{seed}:{group}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _refuse_empty(
    sizes: Mapping[str, int], held_out: frozenset[str], options: argparse.Namespace
) -> None:
    one_file = options.test_count is None and options.test_share in (0, 1)
    if one_file or 0 < len(held_out) < len(sizes):
        return
    empty = "train" if held_out else "test"
    flag = (
        f"--test-share {options.test_share}"
        if options.test_count is None
        else f"--test-count {options.test_count}"
    )
    raise BuildError(
        f"{flag}: leaves no episode for {empty} ({sum(sizes.values())} episodes in {len(sizes)} groups); "
        f"give more rows, or a --test-count below {sum(sizes.values())}."
    )


def _assigned(episode: Episode, held_out: frozenset[str]) -> Episode:
    if episode.source.split != UNSPLIT:
        return episode
    split = "test" if episode.group in held_out else "train"
    return replace(episode, source=replace(episode.source, split=split))
