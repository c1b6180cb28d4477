"""The grammar: markers, and how a thought and the deep part end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adasr_trl.core.protocol import (
    Ending,
    Markers,
    deep_ending,
    first_marker,
    thought_ending,
    thought_text,
)

MARKERS = Markers()
PIECES = (
    *MARKERS.all(),
    *("<", "E", "O", "T>", "<E", "OT>", ">\n", "<EO", "T", "R>", "<ski", "p>"),
    *(" ", "\n", "Tom 5", "8", "é", "\x1b[31m", "\x00", "<eot>", "<|im_end|>"),
)
texts = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        (" Tom 5<EOT>", Ending.THOUGHT),
        ("<skip>", Ending.SKIP),
        (" <skip>", Ending.SKIP),
        (" Tom 5", None),
        ("", None),
        (" Tom 5<EO", None),  # the marker's last token is still to come
    ],
)
def test_a_thought_ends_with_its_marker_and_not_before(text: str, ending: Ending | None) -> None:
    assert thought_ending(text, MARKERS) is ending


@pytest.mark.parametrize("edge", ["\n", " ", "\n\n"])
def test_white_space_merged_behind_a_marker_changes_nothing(edge: str) -> None:
    # One token may be ">\n": the marker then ends inside it.
    assert thought_ending(" Tom 5<EOT>" + edge, MARKERS) is Ending.THOUGHT
    assert thought_ending("<skip>" + edge, MARKERS) is Ending.SKIP


def test_words_merged_behind_a_marker_are_malformed() -> None:
    assert thought_ending(" Tom 5<EOT>.", MARKERS) is Ending.MALFORMED
    assert thought_ending("<skip> He", MARKERS) is Ending.MALFORMED


def test_end_of_sequence_inside_a_thought_is_malformed() -> None:
    assert thought_ending(" Tom 5", MARKERS, eos=True) is Ending.MALFORMED
    assert thought_ending("", MARKERS, eos=True) is Ending.MALFORMED
    assert thought_ending(" Tom 5<EOT>", MARKERS, eos=True) is Ending.MALFORMED


def test_an_empty_thought_is_malformed_because_silence_has_its_own_marker() -> None:
    assert thought_ending("<EOT>", MARKERS) is Ending.MALFORMED
    assert thought_ending(" \n<EOT>", MARKERS) is Ending.MALFORMED


def test_text_before_a_skip_is_malformed() -> None:
    assert thought_ending("Tom 5<skip>", MARKERS) is Ending.MALFORMED


@pytest.mark.parametrize("marker", ["<EOS>", "<EOI>", "<EOR>"])
def test_a_marker_of_another_role_in_a_thought_is_malformed(marker: str) -> None:
    assert thought_ending(f" Tom 5{marker}", MARKERS) is Ending.MALFORMED


def test_the_deep_part_is_answered_only_by_one_separator_an_answer_and_end_of_sequence() -> None:
    assert deep_ending("5 + 3 = 8<EOR> 8", MARKERS, eos=True) is Ending.ANSWERED
    assert deep_ending("<EOR> 8", MARKERS, eos=True) is Ending.ANSWERED  # no reasoning is allowed
    assert deep_ending("5 + 3 = 8<EOR> 8", MARKERS) is None


def test_end_of_sequence_before_an_answer_is_malformed() -> None:
    assert deep_ending("5 + 3 = 8", MARKERS, eos=True) is Ending.MALFORMED
    assert deep_ending("", MARKERS, eos=True) is Ending.MALFORMED


def test_a_blank_answer_is_malformed() -> None:
    assert deep_ending("5 + 3 = 8<EOR> \n", MARKERS, eos=True) is Ending.MALFORMED


def test_two_reasoning_ends_are_malformed_at_once() -> None:
    assert deep_ending("5<EOR> 8<EOR>", MARKERS) is Ending.MALFORMED


@pytest.mark.parametrize("text", ["5<EOT>", "<skip>", "5<EOR> 8<EOS>"])
def test_a_marker_of_another_role_in_the_deep_part_is_malformed_at_once(text: str) -> None:
    assert deep_ending(text, MARKERS) is Ending.MALFORMED


def test_a_thought_is_its_text_up_to_the_first_marker() -> None:
    assert thought_text(" Tom 5<EOT>\n", MARKERS) == "Tom 5"
    assert thought_text(" Tom 5 ", MARKERS) == "Tom 5"
    assert thought_text("<skip>", MARKERS) == ""


def test_the_first_marker_is_the_one_that_starts_first_and_not_the_first_of_the_table() -> None:
    assert first_marker("a<skip>b<EOS>", MARKERS) == ("<skip>", 1)
    assert first_marker("a", MARKERS) is None


@pytest.mark.parametrize(
    ("table", "role"),
    [
        ({"skip": "<EOT><EOT>"}, "thought_end"),  # contains another
        ({"skip": "<EOT>"}, "thought_end"),  # equals another
        ({"skip": ""}, "skip"),
        ({"skip": " <skip>"}, "skip"),
        ({"thought_end": "\n"}, "thought_end"),
    ],
)
def test_markers_that_cannot_be_told_apart_are_refused_by_role(
    table: dict[str, str], role: str
) -> None:
    with pytest.raises(ValueError, match=rf"^markers\.{role}: "):
        Markers(**table)


@given(texts, st.booleans())
def test_any_text_gives_an_ending_of_its_part_or_none(text: str, eos: bool) -> None:
    thought_endings = (None, Ending.THOUGHT, Ending.SKIP, Ending.MALFORMED)
    assert thought_ending(text, MARKERS, eos=eos) in thought_endings
    assert deep_ending(text, MARKERS, eos=eos) in (None, Ending.ANSWERED, Ending.MALFORMED)


@given(texts)
def test_every_prefix_is_judged_and_a_thought_has_no_ending_before_its_first_marker(
    text: str,
) -> None:
    found = first_marker(text, MARKERS)
    for end in range(len(text) + 1):
        complete = found is not None and end >= found[1] + len(found[0])
        assert (thought_ending(text[:end], MARKERS) is not None) == complete


@given(texts)
def test_a_malformed_deep_part_stays_malformed_whatever_follows(text: str) -> None:
    states = [deep_ending(text[:end], MARKERS) for end in range(len(text) + 1)]
    first = states.index(Ending.MALFORMED) if Ending.MALFORMED in states else len(states)
    assert all(state is None for state in states[:first])
    assert all(state is Ending.MALFORMED for state in states[first:])
