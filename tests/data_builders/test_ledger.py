"""The ledger's stories, answers and traces against a second reading of their sentences."""

from __future__ import annotations

import argparse
import re

import pytest

from adasr_trl.core.protocol import Markers, first_marker
from data_builders.errors import BuildError
from data_builders.sources import ledger

GAINS, LOSSES = ("buys", "finds", "gets"), ("loses", "sells", "drops")


def built(*flags: str):
    parser = argparse.ArgumentParser()
    ledger.add_options(parser)
    return list(
        ledger.build(parser.parse_args(["--train-count", "150", "--test-count", "50", *flags]))
    )


@pytest.fixture(scope="module")
def stories():
    return built()


def reread(episode):
    """Gold answer and, for each chunk, whether it matters: from the words alone."""
    who = re.search(r"does (\w+) have|Follow (\w+)'s", episode.question)
    name = who[1] or who[2]
    count, matters = None, []
    for chunk in episode.chunks:
        words = chunk.replace(".", "").replace("?", "").split()
        about = words[0] == name and words[1] in ("has", *GAINS, *LOSSES)
        matters.append(about)
        if about and words[1] == "has":
            count = int(words[2])
        elif about:
            told_wrong = re.search(r", not (\d+)", chunk)
            change = int(words[2]) - int(told_wrong[1] if told_wrong else 0)
            count += change * (1 if words[1] in GAINS else -1)
        elif words[0] == "How":
            for amount, direction in re.findall(r"(\d+) (more|less)", chunk):
                count += int(amount) * (1 if direction == "more" else -1)
    return str(count), matters


def test_the_answer_is_what_the_sentences_say(stories):
    assert [reread(story)[0] for story in stories] == [story.answer for story in stories]


def test_a_thought_stands_exactly_where_something_happens_to_the_things(stories):
    for story in stories:
        assert [bool(thought) for thought in story.thoughts] == reread(story)[1]


def test_every_step_of_a_trace_is_right_arithmetic(stories):
    steps = [
        s
        for e in stories
        for s in re.findall(r"\d+ [+-] \d+ = \d+", " , ".join((*e.thoughts, e.deep)))
    ]
    assert len(steps) > 500
    for step in steps:
        left, right = step.split(" = ")
        a, sign, b = left.split()
        assert int(a) + (int(b) if sign == "+" else -int(b)) == int(right)


def test_counts_and_changes_stay_within_their_bounds():
    told = built("--max-count", "9", "--max-change", "3", "--corrections", "0.5")
    for story in told:
        steps = [s for s in (*story.thoughts, story.deep) if "=" in s]
        counts = [int(n) for s in steps for n in re.findall(r"= (\d+)", s)]
        changes = [int(n) for s in steps for n in re.findall(r"[+-] (\d+)", s)]
        assert all(count <= 9 for count in counts)
        assert all(change <= 3 for change in changes)
    with pytest.raises(BuildError, match="--max-count: got 1; expected 2 or more"):
        built("--max-count", "1")


def test_corrections_change_the_count_and_their_steps_say_how():
    told = built("--corrections", "0.5", "--styles", "eager:1")
    assert [reread(story)[0] for story in told] == [story.answer for story in told]
    pairs = [pair for story in told for pair in zip(story.chunks, story.thoughts, strict=True)]
    corrected = [(chunk, thought) for chunk, thought in pairs if ", not " in chunk]
    assert len(corrected) > 100
    for chunk, thought in corrected:
        new, old = re.search(r" (\d+) \w+, not (\d+)", chunk).groups()
        sign, back = ("+", "-") if chunk.split()[1] in GAINS else ("-", "+")
        _, before, after = re.match(r"(\w+) (\d+) .* = (\d+)", thought).groups()
        change = int(new) - int(old) if sign == "+" else int(old) - int(new)
        assert f" {back} {old} {sign} {new} = " in thought
        assert int(after) - int(before) == change


def test_how_a_story_is_thought_about_never_changes_it(stories):
    chatty = built("--chatter", "0.5", "--styles", "lazy:1")
    assert [story.chunks for story in chatty] == [story.chunks for story in stories]
    assert [story.answer for story in chatty] == [story.answer for story in stories]


def test_redundant_thoughts_stand_on_distractors_only_and_give_no_number():
    for story in built("--chatter", "0.5"):
        for matters, thought in zip(reread(story)[1], story.thoughts, strict=True):
            if not matters and thought:
                assert "does not matter" in thought
                assert not re.search(r"\d", thought)
                assert "does not matter" not in story.deep


def test_the_turned_family_says_nothing_that_happens_as_the_plain_one_does():
    plain = {chunk.strip() for story in built() for chunk in story.chunks}
    turned = [chunk.strip() for story in built("--wording", "turned") for chunk in story.chunks]
    happening = [
        chunk for chunk in turned if re.search(r"\d.* (?:" + "|".join(GAINS + LOSSES) + ")", chunk)
    ]
    assert len(happening) > 500
    assert not plain & set(happening)


def test_only_deep_episodes_leave_something_for_the_end_when_thinking_is_eager():
    stories = built("--styles", "eager:1")
    assert {bool(story.deep) for story in stories if "deep" in story.tags} == {True}
    assert {bool(story.deep) for story in stories if "shallow" in story.tags} == {False}
    assert 0.25 < sum("deep" in story.tags for story in stories) / len(stories) < 0.55


def test_lazy_traces_note_and_redundant_ones_repeat():
    lazy, redundant = built("--styles", "lazy:1")[60], built("--styles", "redundant:1")[60]
    assert not any("=" in thought for thought in lazy.thoughts)
    assert all(thought in redundant.deep for thought in redundant.thoughts)


def test_a_story_has_six_to_twelve_sentences(stories):
    lengths = {len(story.chunks) for story in stories}
    assert min(lengths) >= 6
    assert max(lengths) <= 12


def test_no_story_stands_in_both_splits_and_a_seed_fixes_all(stories):
    train = {story.chunks for story in stories if story.source.split == "train"}
    test = {story.chunks for story in stories if story.source.split == "test"}
    assert (len(train), len(test)) == (150, 50)
    assert not train & test
    assert built() == stories
    assert built("--seed", "1") != stories


def test_no_trace_holds_a_marker(stories):
    written = [text for story in stories for text in (*story.thoughts, story.deep)]
    assert not any(first_marker(text, Markers()) for text in written)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--styles", "eager"), "--styles"),
        (("--styles", "hasty:1"), "--styles"),
        (("--styles", "eager:0"), "--styles"),
        (("--min-events", "5", "--max-events", "4"), "--max-events"),
        (("--deep-share", "1.5"), "--deep-share"),
        (("--corrections", "2"), "--corrections"),
        (("--chatter", "-1"), "--chatter"),
        (("--wording", "odd"), "--wording"),
        (("--train-count", "0"), "--train-count"),
        (("--max-deep-steps", "0"), "--max-deep-steps"),
    ],
)
def test_knobs_that_no_story_can_have_are_refused_by_name(flags, said):
    with pytest.raises(BuildError, match=said):
        built(*flags)
