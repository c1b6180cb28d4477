"""The ledger's stories, answers and traces against a second reading of their sentences."""

from __future__ import annotations

import argparse
import re

import pytest

from adasr_trl.core.episode import AnswerType
from adasr_trl.core.protocol import Markers, first_marker
from adasr_trl.core.sentences import sentence_chunks
from data_builders.errors import BuildError
from data_builders.sources import ledger, ledger_words
from data_builders.sources.ledger_reading import read_changes


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
    """Gold answer from the words alone, and the chunks that change the count for certain."""
    changes = list(read_changes(episode.question, episode.chunks))
    told = [change for change in changes if not change.is_asked]
    last = changes[-1].after if changes else None
    return "unknown" if last is None else str(last), {change.chunk for change in told}


def steps_of(story):
    return [step for text in (*story.thoughts, story.deep) for step in text.split(" ; ") if step]


def test_the_answer_is_what_the_sentences_say(stories):
    for told in (stories, built("--untidy", "1", "--corrections", "0.5", "--unknown", "0.5")):
        assert [reread(story)[0] for story in told] == [story.answer for story in told]


def test_a_thought_stands_exactly_where_something_happens_to_the_things():
    for story in built("--unknown", "0"):
        thought_about = {n for n, thought in enumerate(story.thoughts) if thought}
        assert thought_about == reread(story)[1]


def test_chunks_are_those_of_a_live_text():
    for story in built("--untidy", "1"):
        assert sentence_chunks(story.text) == story.chunks


def test_the_untidy_ones_lack_capitals_stops_and_spaces():
    texts = [story.text for story in built("--untidy", "1")]
    assert sum(text == text.lower() for text in texts) > 50
    assert sum(not text.endswith((".", "?")) for text in texts) > 30
    assert sum("\n" in text for text in texts) > 50


def test_numbers_stand_as_digits_and_as_words(stories):
    text = " ".join(story.text for story in stories)
    assert re.search(r" \d+ more ", text)
    assert re.search(r" (?:two|three|four|five) more ", text)


def test_the_lists_are_wide_and_no_noun_is_a_verb():
    assert len({*ledger_words.WOMEN, *ledger_words.MEN}) > 200
    assert len(ledger_words.THINGS) > 150
    verbs = {*ledger_words.GAINS, *ledger_words.LOSSES, *ledger_words.GIVES, *ledger_words.GOES}
    forms = {ledger_words.form(verb, tense) for verb in verbs for tense in ("base", "present")}
    nouns = {form for thing in ledger_words.THINGS for form in (thing, ledger_words.plural(thing))}
    assert not nouns & forms


def test_half_of_the_test_stories_have_a_person_whom_no_training_story_knows(stories):
    new = {name.lower() for name in (*ledger_words.NEW_WOMEN, *ledger_words.NEW_MEN)}
    tagged = [story for story in stories if "new name" in story.tags]
    assert 15 < len(tagged) < 35
    for story in stories:
        words = set(re.findall(r"[a-z]+", f"{story.question} {story.text}".lower()))
        assert bool(words & new) == (story in tagged)


def test_the_answer_is_unknown_where_nobody_can_know_it():
    told = built("--unknown", "1", "--styles", "eager:1")
    unknown = [story for story in told if story.answer == "unknown"]
    assert len(unknown) > 150
    for story in unknown:
        assert "unknown" in story.tags
        assert story.answer_type is AnswerType.CHOICE
        thoughts = [step for thought in story.thoughts for step in thought.split(" ; ")]
        first = thoughts.index("unknown") if "unknown" in thoughts else 0
        assert not any("=" in thought for thought in thoughts[first:])


def test_anybody_takes_from_a_place_whose_things_belong_to_nobody():
    chunks = (
        "There are 9 cookies in the jar.",
        " Ann has 3 apples.",
        " The guests eat 2 of the cookies.",
        " A girl puts 3 more in the jar.",
        " How many cookies are left?",
    )
    counts = [change.after for change in read_changes("How many cookies are left?", chunks)]
    assert counts == [9, 7, 10]
    assert [change.after for change in read_changes("How many pears are left?", chunks)] == []


def test_a_story_may_begin_with_a_gain_and_end_with_its_question():
    told = built("--untidy", "0", "--unknown", "0")
    asked = [story for story in told if re.match(r" (?:So h|H)ow many", story.chunks[-1])]
    again = [story for story in asked if "would" not in story.chunks[-1]]
    assert len(again) > 10
    assert {story.thoughts[-1] for story in again} == {""}
    chunks = ("Ida bought 5 red nuts.", " Her friends eat 2 of the nuts.")
    assert [change.after for change in read_changes("How many nuts are left?", chunks)] == [5, 3]


def test_every_step_of_a_trace_is_right_arithmetic(stories):
    steps = [step for story in stories for step in steps_of(story) if "=" in step]
    assert len(steps) > 500
    for step in steps:
        left, right = step.split(" = ")
        assert sum(int(part.replace(" ", "")) for part in re.findall(r"[+-]? ?\d+", left)) == int(
            right
        )


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


def test_a_correction_first_takes_the_wrong_change_back():
    told = built("--corrections", "0.5", "--untidy", "0", "--unknown", "0", "--styles", "eager:1")
    pairs = [pair for story in told for pair in zip(story.chunks, story.thoughts, strict=True)]
    corrected = [(chunk, thought) for chunk, thought in pairs if ", not " in chunk and thought]
    assert len(corrected) > 100
    for _, thought in corrected:
        before, back, old, sign, new, after = re.match(
            r"(\d+) ([+-]) (\d+) ([+-]) (\d+) = (\d+)$", thought
        ).groups()
        assert {back, sign} == {"+", "-"}
        change = int(new) - int(old) if sign == "+" else int(old) - int(new)
        assert int(after) - int(before) == change


def test_how_a_story_is_thought_about_never_changes_it(stories):
    chatty = built("--chatter", "0.5", "--styles", "lazy:1")
    assert [story.chunks for story in chatty] == [story.chunks for story in stories]
    assert [story.answer for story in chatty] == [story.answer for story in stories]


def test_redundant_thoughts_stand_on_distractors_only_and_give_no_number():
    for story in built("--chatter", "0.5"):
        matters = reread(story)[1]
        for number, thought in enumerate(story.thoughts):
            if "does not matter" in thought:
                assert number not in matters
                assert not re.search(r"\d", thought)
        assert "does not matter" not in story.deep


def test_the_turned_wording_is_read_like_the_plain_one_and_puts_the_amount_first():
    told = built("--wording", "turned", "--unknown", "0", "--untidy", "0")
    right = [reread(story)[0] == story.answer for story in told]
    assert sum(right) > 0.97 * len(told)
    chunks = [chunk.strip() for story in told for chunk in story.chunks]
    plain = [chunk.strip() for story in built("--untidy", "0") for chunk in story.chunks]
    amount_first = re.compile(r"(?:\d+|Two|Three) .*s (?:\w+|the \w+) \w+(?: \w+)?\.$")
    count = sum(bool(amount_first.match(chunk)) for chunk in chunks)
    assert count > 200 > 4 * sum(bool(amount_first.match(chunk)) for chunk in plain)


def test_only_deep_episodes_leave_something_for_the_end_when_thinking_is_eager():
    stories = built("--styles", "eager:1", "--unknown", "0")
    assert {bool(story.deep) for story in stories if "deep" in story.tags} == {True}
    assert {bool(story.deep) for story in stories if "shallow" in story.tags} == {False}
    assert 0.25 < sum("deep" in story.tags for story in stories) / len(stories) < 0.55


def test_lazy_traces_note_and_redundant_ones_repeat():
    lazy, redundant = built("--styles", "lazy:1")[60], built("--styles", "redundant:1")[60]
    assert not any("=" in thought for thought in lazy.thoughts)
    repeated = [step for thought in redundant.thoughts for step in thought.split(" ; ")]
    assert all(step in redundant.deep for step in repeated)


def test_a_tidy_story_has_six_to_twelve_sentences():
    lengths = {len(story.chunks) for story in built("--untidy", "0", "--corrections", "0")}
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
        (("--untidy", "1.1"), "--untidy"),
        (("--unknown", "-0.1"), "--unknown"),
        (("--wording", "odd"), "--wording"),
        (("--train-count", "0"), "--train-count"),
        (("--max-deep-steps", "0"), "--max-deep-steps"),
    ],
)
def test_knobs_that_no_story_can_have_are_refused_by_name(flags, said):
    with pytest.raises(BuildError, match=said):
        built(*flags)
