"""Ledger stories with one fact corrected late: each told without a correction, and with it at every delay.

    >>> told = versions(story, "0/test/0", longest=1)
    >>> [version.tags[-1] for version in told]
    ['delay none', 'delay 0', 'delay 1']
    >>> told[2].sentences[4].text, told[2].sentences[4].steps
    ('sorry, Tom buys 3 coins, not 5', ('9 - 5 + 3 = 7',))

After the update-driven interrupts of Wu et al. (arXiv 2510.11713): the problem starts with a wrong value, an update later
restores the right one, and accuracy is a function of the update's place. The answer without the update would be wrong.
Our choices where a stream differs from that protocol:

- The place is counted in sentences: at delay k, k sentences stand between the fact and its correction.
- The baseline is the story with the right number from the start, so all versions have one answer. They differ in one
  number and in one sentence, which is the same at each place: it names person and things, and stands on its own.
- The corrected fact is an event with a number of 2 or more, never the first count.
- A story whose pronouns an inserted sentence would turn to another person is not told at all (``agrees``).
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import random
import re
from collections.abc import Iterator, Sequence

from data_builders.sources import ledger_words as words
from data_builders.sources.ledger_reading import read_changes
from data_builders.sources.ledger_sentences import Event, Kind
from data_builders.sources.ledger_story import Sentence, Story, signed
from data_builders.traces.future_facts import Texts

NO_DELAY = "delay none"
_LEAST = 2  # of the numbers that are exchanged: the noun behind them stays a plural


def versions(story: Story, key: str, longest: int) -> list[Story]:
    """The story without a correction, and with one after 0 sentences up to ``longest``; empty where no fact allows it.

    Args:
        story: A tidy story without corrections, all told.
        key: Decides which fact is corrected, and in which words.
        longest: Most sentences between the fact and its correction.
    """
    rng = random.Random(f"{key}/correction")
    choices = [*_choices(story, longest)]
    if not choices:
        return []
    fact, wrong, text = rng.choice(choices)
    event = story.sentences[fact].event
    assert event is not None
    right = event.change or 0
    told = story.teller.afresh(rng).corrected(event, abs(wrong), at_once=False)
    sentences = [*story.sentences]
    note = signed(wrong)
    sentences[fact] = dataclasses.replace(sentences[fact], text=text, notes=(note,))
    correction = Sentence(told, (f"{signed(-wrong)} {signed(right)}",), ("",))
    return [
        _tagged(story, NO_DELAY),
        *(
            _tagged(_worked_out(story, sentences, fact + 1 + delay, correction), f"delay {delay}")
            for delay in range(longest + 1)
        ),
    ]


def agrees(version: Story, question: str, chunks: Texts) -> bool:
    """Whether the second reader finds exactly the events that the version tells, each in its sentence, and its answer."""
    changes = [*read_changes(question, chunks)]
    told = [
        (number, _numbers(note))
        for number, sentence in enumerate(version.sentences)
        for note in sentence.notes
    ]
    read = [(change.chunk, change.changes) for change in changes if not change.is_asked]
    return read == told and changes[-1].after == version.count


def _choices(story: Story, longest: int) -> Iterator[tuple[int, int, str]]:
    """Every fact that can be corrected: its sentence, a wrong change in its place, and its text with that."""
    sentences = story.sentences
    body = len(sentences) - sentences[-1].text.endswith("?")
    if story.count is None or any(s.event and s.event.amount for s in sentences):
        return  # "all of his coins" would be another number in each version
    for number in range(body - longest):
        sentence = sentences[number]
        event = sentence.event
        if event is None or event.kind is Kind.ITSELF or len(sentence.notes) > 1:
            continue
        for wrong in _wrong_changes(event, _counts(sentences, number), story.options):
            if text := _exchanged(sentence.text, abs(event.change or 0), abs(wrong)):
                yield number, wrong, text


def _wrong_changes(
    event: Event, counts: Sequence[int], options: argparse.Namespace
) -> Iterator[int]:
    """Other changes of the same direction with which every count up to the end stays in its bounds."""
    right = event.change or 0
    for amount in range(_LEAST, options.max_change + 1):
        wrong = amount if right > 0 else -amount
        if wrong != right and all(
            0 <= count + wrong - right <= options.max_count for count in counts
        ):
            yield wrong


def _exchanged(text: str, old: int, new: int) -> str:
    """The text with another number, "" where the old one does not stand in it exactly once."""
    forms = [str(old), words.NUMBERS[old]] if old < len(words.NUMBERS) else [str(old)]
    stands = re.findall(rf"\b(?:{'|'.join(forms)})\b", text)
    if old < _LEAST or len(stands) != 1:
        return ""
    written = str(new) if stands[0].isdecimal() else words.NUMBERS[new]
    return re.sub(rf"\b{stands[0]}\b", written, text)


def _worked_out(
    story: Story, sentences: Sequence[Sentence], place: int, correction: Sentence
) -> Story:
    """The version with the correction at a place, and every step worked out with the counts of this version."""
    version = dataclasses.replace(story, sentences=[])
    for sentence in (*sentences[:place], correction, *sentences[place:]):
        version.sentences.append(_with_steps(sentence, version))
    version.count = story.count  # with the last sentence's changes
    return version


def _with_steps(sentence: Sentence, version: Story) -> Sentence:
    steps = []
    for note in sentence.notes:
        if note.isdecimal():
            version.count = int(note)
            steps.append(note)
        else:
            *back, change = _numbers(note)
            steps.append(version.apply(change, back=-back[0] if back else None)[1])
    return dataclasses.replace(sentence, steps=tuple(steps))


def _counts(sentences: Sequence[Sentence], first: int) -> list[int]:
    """The count behind each event, from those of the sentence ``first`` on."""
    events = [(n, note) for n, sentence in enumerate(sentences) for note in sentence.notes]
    counts = itertools.accumulate(sum(_numbers(note)) for _, note in events)
    return [count for (n, _), count in zip(events, counts, strict=True) if n >= first]


def _numbers(note: str) -> tuple[int, ...]:
    """The changes that a note stands for: one, or two where the first takes a wrong one back."""
    return tuple(int(part.replace(" ", "")) for part in re.findall(r"(?:[+-] )?\d+", note))


def _tagged(version: Story, tag: str) -> Story:
    return dataclasses.replace(version, tags=(*version.tags, tag))
