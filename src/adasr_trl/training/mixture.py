"""Training episodes from several files, read from disk when they are needed.

    data:
      mixture:
        - {path: data/gsm8k/train.jsonl, weight: 2}
        - {path: data/prosqa/train.jsonl, cap: 5000}
      temperature: 2.0

A file's share is its weight times (the number of its episodes, at most the cap) to the power 1 / temperature: 1 keeps the
files' proportions, a high temperature evens them out. The mixture is as large as it can be without repeating an episode.
A seed draws the episodes of a file, and their order. Memory: eight bytes an episode of a file and of the mixture.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import overload

from adasr_trl.config.sections import MixturePart
from adasr_trl.core.episode import Episode, EpisodeError, episode_file, from_json

_INDEX_BITS = 40  # for an episode's index in its file


class EpisodeFile:
    """The episodes of a JSON Lines file by index, each read on demand."""

    def __init__(self, path: str | Path) -> None:
        """Note where every line starts."""
        self.path = episode_file(path)
        self._starts = array("q")
        position = 0
        with self.path.open("rb") as lines:
            for line in lines:
                if line.strip():
                    self._starts.append(position)
                position += len(line)
        if not self._starts:
            raise EpisodeError(f"{path}: holds no episode; build it with adasr data.")

    def __len__(self) -> int:
        return len(self._starts)

    def read(self, index: int) -> Episode:
        """One episode; an EpisodeError names the file and the episode."""
        with self.path.open("rb") as lines:
            lines.seek(self._starts[index])
            text = lines.readline().decode("utf-8", errors="surrogateescape")
        try:
            return from_json(text)
        except EpisodeError as error:
            raise EpisodeError(f"{self.path}: episode {index + 1}: {error}") from None


class Mixture(Sequence[Episode]):
    """Episodes of several files in one order."""

    def __init__(self, files: Sequence[EpisodeFile], order: array[int]) -> None:
        """Take ``order``: the index of a file and of an episode in it, as one integer."""
        self._files, self._order = files, order

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> Episode: ...

    @overload
    def __getitem__(self, index: slice) -> Mixture: ...

    def __getitem__(self, index: int | slice) -> Episode | Mixture:
        if isinstance(index, slice):
            return Mixture(self._files, self._order[index])
        entry = self._order[index]
        return self._files[entry >> _INDEX_BITS].read(entry & ((1 << _INDEX_BITS) - 1))

    def select(self, indices: Sequence[int]) -> Mixture:
        """The episodes at some indices."""
        return Mixture(self._files, array("q", (self._order[index] for index in indices)))

    def __iter__(self) -> Iterator[Episode]:
        return (self[index] for index in range(len(self)))


def mix(parts: Sequence[MixturePart], temperature: float, seed: int) -> Mixture:
    """The mixture of some files; an EpisodeError for one that is missing, empty, or too rare to be in it."""
    files = [EpisodeFile(part.path) for part in parts]
    counts = mixed_counts([len(file) for file in files], parts, temperature)
    rng = random.Random(seed)
    order: list[int] = []
    for i, (file, count) in enumerate(zip(files, counts, strict=True)):
        if not count:
            raise EpisodeError(
                f"{file.path}: its weight leaves none of its {len(file)} episodes; raise weight or temperature."
            )
        order += [(i << _INDEX_BITS) + index for index in rng.sample(range(len(file)), count)]
    rng.shuffle(order)
    return Mixture(files, array("q", order))


def mixed_counts(
    sizes: Sequence[int], parts: Sequence[MixturePart], temperature: float
) -> list[int]:
    """Number of episodes of each file: in proportion, and as many as there are without a repeat."""
    capped = [min(size, part.cap or size) for size, part in zip(sizes, parts, strict=True)]
    shares = [
        part.weight * size ** (1.0 / temperature) for size, part in zip(capped, parts, strict=True)
    ]
    scale = min(size / share for size, share in zip(capped, shares, strict=True))
    return [int(share * scale + 1e-9) for share in shares]


def refuse_doubled(episodes: Iterable[Episode]) -> Iterator[Episode]:
    """Pass episodes on; an EpisodeError for an id that occurs twice."""
    seen: set[str] = set()
    for episode in episodes:
        if episode.id in seen:
            raise EpisodeError(f"data.mixture: the id {episode.id!r} occurs twice; mix files once.")
        seen.add(episode.id)
        yield episode
