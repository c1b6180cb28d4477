"""Ledger stories with one fact corrected late: one story, one answer, one number and one sentence that differ."""

from __future__ import annotations

import argparse
import hashlib
import itertools

import pytest

from adasr_trl.core.episode import to_json
from data_builders.errors import BuildError
from data_builders.pipeline.exact_checks import early_facts
from data_builders.sources import ledger
from data_builders.sources.ledger_reading import read_changes
from data_builders.sources.ledger_words import AMOUNT_OF

LATE = (
    *("--correction-delay", "3", "--untidy", "0", "--unknown", "0", "--min-others", "3"),
    *("--train-count", "5", "--test-count", "25"),
)
TAGS = ["delay none", "delay 0", "delay 1", "delay 2", "delay 3"]


def built(*flags: str):
    parser = argparse.ArgumentParser()
    ledger.add_options(parser)
    counts = ["--train-count", "150", "--test-count", "50"]
    return list(ledger.build(parser.parse_args([*counts, *flags])))


@pytest.fixture(scope="module")
def stories():
    """The versions of each test story."""
    told = built(*LATE, "--styles", "eager:1")
    test = [episode for episode in told if episode.source.split == "test"]
    return [list(versions) for _, versions in itertools.groupby(test, lambda e: e.group)]


@pytest.mark.parametrize(
    ("flags", "digest"),
    [
        ((), "ff0077e19bed0bd6f2bc2da57361254c8a637d672ccf50556e78d56855d71b92"),
        (
            (
                *("--corrections", "0.3", "--chatter", "0.3", "--untidy", "0.5"),
                *("--styles", "eager:2,lazy:1,redundant:1"),
            ),
            "365dd61e6c8dfb5400765eeda5133c1edc7a0fcf398450fec682376252a60958",
        ),
        (
            ("--wording", "turned", "--corrections", "0.3", "--unknown", "0.3"),
            "7d265a0d6e1084c63cd9ad37afc86fc6d7721b2edb14e39da48aeb9f1b1ce8d8",
        ),
    ],
)
def test_without_the_option_every_byte_stays(flags, digest):
    text = "\n".join(map(to_json, built(*flags)))
    assert hashlib.sha256(text.encode()).hexdigest() == digest


def test_training_stories_stay_as_they_are():
    plain = built(*LATE[2:])
    late = built(*LATE)
    assert [e for e in late if e.source.split == "train"] == [
        e for e in plain if e.source.split == "train"
    ]


def test_each_story_is_told_once_without_a_correction_and_once_at_each_delay(stories):
    assert len(stories) == 25
    for versions in stories:
        assert [version.tags[-1] for version in versions] == TAGS
        assert len({version.id for version in versions}) == 5
        assert len({version.answer for version in versions}) == 1
        assert len({(version.question, version.deep) for version in versions}) == 1


def number(word: str) -> int:
    return AMOUNT_OF.get(word.strip(".,"), 0) or int(word.strip(".,"))


def fact_and_correction(plain, version):
    """Where the version has another number, where its correction stands, and the words of that."""
    (place,) = (n for n, chunk in enumerate(version.chunks) if ", not " in chunk)
    rest = [*version.chunks[:place], *version.chunks[place + 1 :]]
    (fact,) = (n for n, (a, b) in enumerate(zip(rest, plain.chunks, strict=True)) if a != b)
    return fact, place, version.chunks[place]


def test_versions_differ_in_one_number_and_in_one_sentence_exactly_so_far_behind_it(stories):
    for plain, *late in stories:
        found = [fact_and_correction(plain, version) for version in late]
        assert [place - fact - 1 for fact, place, _ in found] == [0, 1, 2, 3]
        assert len({(fact, sentence) for fact, _, sentence in found}) == 1
        fact, _, sentence = found[0]
        right, wrong = (
            [a for a, b in zip(one.split(), other.split(), strict=True) if a != b]
            for one, other in itertools.permutations((plain.chunks[fact], late[0].chunks[fact]))
        )
        assert len(right) == len(wrong) == 1
        assert number(sentence.rsplit("not ", 1)[1]) == number(wrong[0]) != number(right[0])


def test_the_thoughts_count_with_the_wrong_number_until_it_is_corrected(stories):
    for plain, *late in stories:
        for version in late:
            fact, place, sentence = fact_and_correction(plain, version)
            old = number(sentence.rsplit("not ", 1)[1])
            assert str(old) in version.thoughts[fact].split()
            before, back, taken, _, _, _, after = version.thoughts[place].split()
            assert int(taken) == old
            assert {back} <= {"+", "-"}
            assert int(before) != int(after)
            told = [thought for thought in version.thoughts[place + 1 :] if thought]
            assert told == [thought for thought in plain.thoughts[place:] if thought]


@pytest.mark.parametrize("style", ["eager", "lazy", "redundant"])
@pytest.mark.parametrize("wording", ["plain", "turned"])
def test_the_second_reader_agrees_with_every_version(style, wording):
    for episode in built(*LATE, "--styles", f"{style}:1", "--wording", wording, "--seed", "7"):
        changes = list(read_changes(episode.question, episode.chunks))
        assert str(changes[-1].after) == episode.answer
        assert all(change.after >= 0 for change in changes)
        assert not early_facts("ledger", episode.question, episode.chunks, episode.thoughts)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--correction-delay", "-1"), "--correction-delay: got -1; expected 0 to 9"),
        (("--correction-delay", "10"), "--correction-delay: got 10; expected 0 to 9"),
        (("--untidy", "0.1"), "--untidy: got 0.1 with --correction-delay"),
        (("--unknown", "0.1"), "--unknown: got 0.1 with --correction-delay"),
        (("--corrections", "0.1"), "--corrections: got 0.1 with --correction-delay"),
        (("--max-change", "2"), "of 2001 stories only 0 can be told with a correction so late"),
    ],
)
def test_options_that_no_late_correction_can_have_are_refused_by_name(flags, said):
    with pytest.raises(BuildError, match=said):
        built(*LATE, *flags)


def test_more_stories_than_there_are_end_in_one_line(monkeypatch):
    monkeypatch.setattr(ledger, "_MOST_ATTEMPTS", 1)
    few = ("--min-events", "0", "--max-events", "0", "--min-others", "0", "--max-others", "0")
    with pytest.raises(BuildError, match=r"--train-count: of \d+ stories only \d+ differ; ask for"):
        built("--train-count", "100000", "--test-count", "0", "--max-count", "2", *few)
