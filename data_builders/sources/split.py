"""Train and test that share no group: the hash of a group and the seed decides.

    >>> sorted(test_groups({"a": 1, "b": 1, "c": 1}, seed=0, share=0.5, count=None))
    ['a']

An episode stays in its split when rows are added to the input (``--test-share``; a ``--test-count`` moves its edge), and
variants of one template never stand on both sides.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping, Set

from data_builders.errors import BuildError
from data_builders.rows.options import add_number
from data_builders.text.shape import share

SPLITS = ("train", "test")


def add_options(parser: argparse.ArgumentParser) -> None:
    """How groups are divided."""
    add_number(parser, "seed", 0, "seed of the split")
    size = parser.add_mutually_exclusive_group()
    what = "share of the groups for test; 0 and 1 write one file only (default: 0.1)"
    size.add_argument("--test-share", type=share, default=0.1, metavar="X", help=what)
    what = "at least N test episodes, in whole groups"
    size.add_argument("--test-count", type=_count, metavar="N", help=what)


def choose_test_groups(sizes: Mapping[str, int], options: argparse.Namespace) -> frozenset[str]:
    """The test groups of a build; a BuildError where train or test would be empty.

    Args:
        sizes: Episodes of each group whose split is open.
        options: As parsed.
    """
    if not sizes:
        return frozenset()
    held_out = test_groups(sizes, options.seed, options.test_share, options.test_count)
    if options.test_count is None:
        return (
            held_out if options.test_share in (0, 1) else _neither_empty(held_out, sizes, options)
        )
    if 0 < len(held_out) < len(sizes):
        return held_out
    episodes = sum(sizes.values())
    raise BuildError(
        f"--test-count {options.test_count}: leaves no episode for {'train' if held_out else 'test'} ({episodes} episodes in "
        f"{len(sizes)} groups); give more rows, or a --test-count below {episodes}."
    )


def _neither_empty(
    held_out: frozenset[str], sizes: Mapping[str, int], options: argparse.Namespace
) -> frozenset[str]:
    """A small set's groups with at least one on each side; a single group is trained on."""
    if 0 < len(held_out) < len(sizes):
        return held_out
    if len(sizes) == 1:
        return frozenset()
    by_hash = sorted(sizes, key=lambda group: (_unit_hash(group, options.seed), group))
    return frozenset(by_hash[:-1] if held_out else by_hash[:1])


def check_leaks(
    fixed: Mapping[str, Set[str]], sizes: Mapping[str, int], held_out: frozenset[str]
) -> None:
    """Refuse a group on both sides, which only a source that splits by itself could give."""
    train, test = (set(fixed.get(split, ())) for split in SPLITS)
    shared = (train & test) | (train & held_out) | (test & (sizes.keys() - held_out))
    if shared:
        raise BuildError(f"group {min(shared)!r} stands in both train and test: the source leaks.")


def test_groups(
    sizes: Mapping[str, int], seed: int, share: float, count: int | None
) -> frozenset[str]:
    """The groups of the test split.

    Args:
        sizes: Episodes of each group.
        seed: Another seed gives another split.
        share: A group is in test if its hash, from 0 to 1, is below.
        count: Instead: the groups of the lowest hashes, until they hold that many episodes.
    """
    hashes = {group: _unit_hash(group, seed) for group in sizes}
    if count is None:
        return frozenset(group for group, value in hashes.items() if value < share)
    chosen: list[str] = []
    total = 0
    for group in sorted(sizes, key=lambda group: (hashes[group], group)):
        if total >= count:
            break
        chosen.append(group)
        total += sizes[group]
    return frozenset(chosen)


def _unit_hash(group: str, seed: int) -> float:
    """A hash from 0 to 1."""
    digest = hashlib.sha256(f"{seed}:{group}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a whole number above 0.")
    return int(text)
