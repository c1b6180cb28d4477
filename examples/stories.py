"""Rows of one's own: a question, the text that arrives, the answer, and a trace of thoughts.

>>> rows(1, seed=0)[0]["text"]
'Mia has 7 eggs. Mia loses 3 eggs. Mia finds 5 eggs.'
"""

from __future__ import annotations

import random

NAMES = ("Ann", "Ben", "Mia", "Tom")
THINGS = ("eggs", "coins", "books")


def rows(count: int, seed: int) -> list[dict[str, object]]:
    """Stories of three to five sentences; a thought keeps the count, a sentence about the weather is skipped."""
    rng = random.Random(seed)
    return [_row(rng) for _ in range(count)]


def _row(rng: random.Random) -> dict[str, object]:
    name, thing, total = rng.choice(NAMES), rng.choice(THINGS), rng.randint(3, 9)
    text, thoughts = [f"{name} has {total} {thing}."], [f"{name} {total}"]
    for _ in range(rng.randint(2, 4)):
        number = rng.randint(1, 5)
        if rng.random() < 0.25:
            text.append("It rains all day.")
            thoughts.append("")  # a skip
        elif rng.random() < 0.5 and total >= number:
            text.append(f"{name} loses {number} {thing}.")
            thoughts.append(f"{name} {total} - {number} = {total - number}")
            total -= number
        else:
            text.append(f"{name} finds {number} {thing}.")
            thoughts.append(f"{name} {total} + {number} = {total + number}")
            total += number
    question = f"How many {thing} does {name} have at the end?"
    return {"question": question, "chunks": _spaced(text), "answer": total, "thoughts": thoughts}


def _spaced(sentences: list[str]) -> list[str]:
    """The chunks of a text: white space belongs to the chunk that follows."""
    return [sentences[0], *(f" {sentence}" for sentence in sentences[1:])]
