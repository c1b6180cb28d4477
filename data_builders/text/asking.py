"""The asking sentence of a problem.

>>> find_asking(("Tom has 5 hens.", " How many legs is that?"))
1
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_ASKS = re.compile(r"\b(?:calculate|find|determine|how (?:many|much|long|old|far))\b", re.I)


def find_asking(sentences: Sequence[str]) -> int | None:
    """The last sentence with a question mark, else the last that asks in words; None for a single sentence."""
    asking = [i for i, sentence in enumerate(sentences) if "?" in sentence or "？" in sentence]  # noqa: RUF001
    asking = asking or [i for i, sentence in enumerate(sentences) if _ASKS.search(sentence)]
    return asking[-1] if len(sentences) > 1 and asking else None
