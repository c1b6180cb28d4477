"""Distractors for any text: sentences on other people and things, sometimes with a number.

    >>> draw_distractor(random.Random(0), "Tom has 5 apples.")
    'Outside, a dog barked 4 times.'

A sentence shares no content word with the text, so it cannot change an answer. The bank is our own.
"""

from __future__ import annotations

import random

from data_builders.text.quantities import content_stems

_PLAIN = (
    "The radio was playing an old song.",
    "It had been raining since the morning.",
    "Somebody had left a window open.",
    "The sky was unusually clear.",
    "A bus went past without stopping.",
    "The clock on the wall was slow.",
    "Across the street a shop was being painted.",
    "The weather forecast was wrong again.",
    "A cat was asleep on the stairs.",
    "The newspaper lay unread on a bench.",
    "Far away a bell was ringing.",
    "Nobody had watered the plants.",
    "The lift was out of order.",
    "A stranger asked for directions.",
    "The curtains were freshly washed.",
    "Two pigeons were quarrelling on the roof.",
)
_NUMBERED = (
    "Outside, a dog barked {n} times.",
    "The nearest airport was {n} kilometres away.",
    "A poster announced a concert with {n} violins.",
    "The old bridge nearby has {n} arches.",
    "The library keeps {n} atlases on its lowest shelf.",
    "The thermometer showed {n} degrees.",
    "The lighthouse keeper is {n} years old.",
    "Platform {n} was closed for repairs.",
)
NUMBERED_SHARE = 0.4
ATTEMPTS = 20  # to find a sentence without a shared word


def draw_distractor(rng: random.Random, text: str) -> str:
    """A sentence that shares no content word with ``text``, if the bank has one."""
    taken = set(content_stems(text))
    sentence = ""
    for _ in range(ATTEMPTS):
        bank = _NUMBERED if rng.random() < NUMBERED_SHARE else _PLAIN
        sentence = rng.choice(bank).format(n=rng.randint(3, 40))
        if taken.isdisjoint(content_stems(sentence)):
            break
    return sentence
