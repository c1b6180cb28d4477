"""Near-duplicate texts of train and test: shared runs of five words, numbers alike.

    >>> index = NearIndex()
    >>> index.add("a", "Tom has 5 red hens and buys 3 more of them today.")
    >>> index.closest("Tom has 9 red hens and buys 4 more of them today.")
    ('a', 1.0)

The measure is the share of a held-out text's runs that a training text holds, too. Of a long text every fourth run by hash
is indexed, so that memory stays small. Rewordings are not found.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter

RUN = 5  # words
LONG = 64  # runs from which on only a sample is indexed
SAMPLE = 4  # one run in so many
_WORD = re.compile(r"\w+")
_DIGITS = re.compile(r"\d+")


class NearIndex:
    """Runs of the added texts."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._sizes: list[int] = []
        self._holders: dict[int, list[int]] = {}

    def add(self, key: str, text: str) -> None:
        """Add one text."""
        runs = runs_of(text)
        if len(runs) > LONG:
            runs = {run for run in runs if run % SAMPLE == 0} or runs
        for run in runs:
            self._holders.setdefault(run, []).append(len(self._keys))
        self._keys.append(key)
        self._sizes.append(len(runs))

    def closest(self, text: str) -> tuple[str, float] | None:
        """The added text of whose runs ``text`` holds the largest share, and that share."""
        shared: Counter[int] = Counter()
        for run in runs_of(text):
            shared.update(self._holders.get(run, ()))
        if not shared:
            return None
        best = max(shared, key=lambda index: (shared[index] / self._sizes[index], -index))
        return self._keys[best], shared[best] / self._sizes[best]


def runs_of(text: str) -> set[int]:
    """Hashes of the runs of a text; a short text is one run."""
    words = _WORD.findall(_DIGITS.sub("0", text.lower()))
    ends = range(min(RUN, len(words)), len(words) + 1)
    return {
        zlib.crc32(" ".join(words[max(0, end - RUN) : end]).encode(errors="replace"))
        for end in ends
    }
