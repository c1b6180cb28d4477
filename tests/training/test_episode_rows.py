"""Rows of every form that a trainer takes become the same episodes; a row that is none says what to do."""

from __future__ import annotations

import logging
import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from datasets import Dataset, DatasetDict

from adasr_trl.core.episode import AnswerType, Episode, EpisodeError, Source, write_episodes
from adasr_trl.training.episode_rows import as_episodes

ROW = {"question": "How many hens?", "text": "Tom has 5 hens. He buys 3.", "answer": 8}
CHUNKS = ("Tom has 5 hens.", " He buys 3.")


def one(row, **changes):
    (episode,) = as_episodes([{**row, **changes}], "train").episodes
    return episode


def test_dictionaries_a_dataset_and_a_file_give_the_same_episodes(tmp_path):
    expected = Episode(
        "train-0",
        "train-0",
        "How many hens?",
        CHUNKS,
        "8",
        AnswerType.NUMBER,
        Source("own rows", "none", "unknown", "train"),
    )
    assert one(ROW) == expected
    assert as_episodes(Dataset.from_list([ROW]), "train").episodes == [expected]
    assert as_episodes([expected], "train").episodes == [expected]
    write_episodes(tmp_path / "rows.jsonl", [expected])
    assert as_episodes(tmp_path / "rows.jsonl", "train").episodes == [expected]


def test_lines_of_a_built_file_are_rows_too(tmp_path, episodes):
    write_episodes(tmp_path / "rows.jsonl", episodes[:3])
    loaded = Dataset.from_json(str(tmp_path / "rows.jsonl"), cache_dir=str(tmp_path / "cache"))
    assert as_episodes(loaded, "train").episodes == episodes[:3]


def test_a_whole_number_of_a_table_is_written_as_one():
    assert one(ROW, answer=51.0).answer == "51"
    assert one(ROW, answer=2.5).answer == "2.5"


@pytest.mark.parametrize(
    ("answer", "written"),
    [
        (np.int64(8), "8"),
        (np.float32(8.1), "8.1"),
        (np.float64(0.1) + np.float64(0.2), "0.3"),
        (np.str_("8"), "8"),
        (Fraction(3, 4), "3/4"),
        (1e20, "100000000000000000000"),
        (12345678901234568.0, "12345678901234568"),
        (-0.0, "0"),
    ],
)
def test_a_number_is_written_as_its_own_value(answer, written):
    episode = one(ROW, answer=answer)
    assert (episode.answer, episode.answer_type) == (written, AnswerType.NUMBER)


MISSING = [None, math.nan, np.float32("nan"), pd.NA, pd.NaT]


@pytest.mark.parametrize("value", MISSING, ids=repr)
@pytest.mark.parametrize("name", ["question", "text", "answer"])
def test_a_missing_value_is_none_in_any_column_that_a_row_needs(name, value):
    said = rf"row 1: {name} is {value}, a missing value; fill it in, or leave the row out"
    with pytest.raises(EpisodeError, match=said):
        as_episodes([ROW, {**ROW, name: value}], "train")


@pytest.mark.parametrize("value", MISSING, ids=repr)
def test_a_missing_value_leaves_the_default_of_any_other_column(value):
    names = "answer_type id group thoughts deep tags tolerance source arrival_seconds chunks"
    assert one(ROW, **dict.fromkeys(names.split(), value)) == one(ROW)
    assert one(ROW, source={"name": "farm", "licence": value}).source.licence == "unknown"


def test_a_missing_answer_of_a_table_does_not_make_the_other_answers_text():
    rows = pd.DataFrame([ROW, {**ROW, "answer": None}]).to_dict("records")
    with pytest.raises(EpisodeError, match="row 1: answer is nan, a missing value"):
        as_episodes(rows, "train")


@pytest.mark.parametrize("word", ["nan", "NaN", "N/A", "null", "None", " NA ", "", "<NA>", "inf"])
@pytest.mark.parametrize(("others", "kind"), [((8, 2.5), "number"), (("yes", "no"), "choice")])
def test_a_word_for_no_value_beside_other_answers_is_refused_with_its_row(word, others, kind):
    rows = [{**ROW, "answer": answer} for answer in (*others, word)]
    said = rf"row 2: answer is '{word.strip()}', where the other answers are of answer_type {kind}"
    with pytest.raises(EpisodeError, match=said):
        as_episodes(rows, "train")


def test_a_word_for_no_value_is_an_answer_among_texts_or_where_its_row_says_so():
    rows = [{**ROW, "answer": answer} for answer in ("Ann", "None", "Bob")]
    assert [e.answer for e in as_episodes(rows, "train").episodes] == ["Ann", "None", "Bob"]
    stated = [ROW, {**ROW, "answer": "None", "answer_type": "text"}]
    kinds = [e.answer_type for e in as_episodes(stated, "train").episodes]
    assert kinds == [AnswerType.NUMBER, AnswerType.TEXT]


@pytest.mark.parametrize("answer", [math.inf, -math.inf, np.float32("inf")])
def test_an_answer_that_is_not_finite_is_refused_with_its_row(answer):
    with pytest.raises(EpisodeError, match=r"row 0: answer is -?inf; expected a finite number"):
        as_episodes([{**ROW, "answer": answer}], "train")
    with pytest.raises(EpisodeError, match=r"row 1: answer is '-?inf', where the other answers"):
        as_episodes([ROW, {**ROW, "answer": answer}], "train")


def test_few_words_that_make_numbers_text_are_named(caplog):
    rows = [{**ROW, "answer": answer} for answer in (8, "1,200", "Ann", 3.5)]
    with caplog.at_level(logging.WARNING):
        assert as_episodes(rows, "train").episodes[0].answer_type is AnswerType.TEXT
    assert "3 of 4 are numbers or labels: row 2 has 'Ann'" in caplog.text


def test_chunks_are_taken_as_they_are_and_thoughts_without_a_deep_part_are_a_trace():
    row = {"question": "Who?", "chunks": ["Ann rows", " home."], "answer": "Ann"}
    episode = one(row, thoughts=["Ann rows", ""])
    assert episode.chunks == ("Ann rows", " home.")
    assert (episode.thoughts, episode.deep) == (("Ann rows", ""), "")


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ((8, 2.5), AnswerType.NUMBER),
        (("8", "1/2"), AnswerType.NUMBER),
        (("yes", "no"), AnswerType.CHOICE),
        (("(A)", "(B)"), AnswerType.CHOICE),
        (("8", "Ann"), AnswerType.TEXT),
    ],
)
def test_the_type_of_answers_is_that_of_all_of_them(answers, kind):
    rows = [{**ROW, "answer": answer} for answer in answers]
    assert {e.answer_type for e in as_episodes(rows, "train").episodes} == {kind}


def test_a_type_a_source_and_an_id_are_taken_from_their_columns():
    episode = one(
        ROW, answer_type="text", source={"name": "farm", "licence": "MIT"}, id="a", group="g"
    )
    assert episode.answer_type is AnswerType.TEXT
    assert episode.source == Source("farm", "none", "MIT", "train")
    assert (episode.id, episode.group) == ("a", "g")


def test_further_columns_stay_with_the_row():
    rows = as_episodes([{**ROW, "level": 3}], "train")
    assert rows.columns["train-0"]["level"] == 3


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "Tom has 5 hens."}, "row 0: has prompt, which would arrive all at once"),
        ({"messages": []}, "row 0: has messages, which would arrive all at once"),
        ({"prompt": "p", "completion": "c"}, "has prompt, which would arrive all at once"),
        (
            {"question": "q", "answer": "8", "context": "t"},
            r"has no text or chunks; got question, answer, context. Rename .*rename_columns",
        ),
        ({**ROW, "chunks": ["a"]}, "text and chunks, which are both the input"),
        ({**ROW, "answer": True}, "answer is bool, expected text or a number"),
        ({**ROW, "thoughts": ["one"]}, "thoughts has 1 entries for 2 chunks"),
        ({**ROW, "answer": "5 or 6", "answer_type": "number"}, "got the gold answer '5 or 6'"),
        ({**ROW, "answer_type": "words"}, "expected one of number, choice, text"),
        ({**ROW, "source": {"license": "MIT"}}, "source has 'license'; known are name"),
        ({**ROW, "arrival_seconds": "soon"}, "expected a list of numbers"),
        ("a text", "got a str; expected a dictionary or an Episode"),
    ],
)
def test_a_row_that_is_no_episode_is_named_with_what_to_do(row, message):
    with pytest.raises(EpisodeError, match=message):
        as_episodes([row], "train")


@pytest.mark.parametrize("rows", [{"question": ["q"]}, 5, [], iter([ROW])])
def test_other_forms_of_a_data_set_are_refused(rows):
    with pytest.raises(EpisodeError, match=r"train_dataset: .* expected a datasets\.Dataset"):
        as_episodes(rows, "train")


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (lambda rows: DatasetDict(train=Dataset.from_list(rows)), r'dataset\["train"\]'),
        (lambda rows: Dataset.from_list(rows).to_iterable_dataset(), r"list\(dataset\.take"),
        (lambda rows: (row for row in rows), r"list\(rows\)"),
        (lambda rows: Dataset.from_list(rows).to_pandas(), r"Dataset\.from_pandas"),
    ],
)
def test_a_data_set_without_rows_at_hand_is_refused_with_the_way_to_rows(make, remedy):
    with pytest.raises(EpisodeError, match=remedy):
        as_episodes(make([ROW]), "train")


def test_one_id_for_two_rows_is_refused():
    rows = [{**ROW, "id": "a"}, {**ROW, "id": "a", "answer": 9}]
    with pytest.raises(EpisodeError, match=r"row 1: id 'a' is row 0's already"):
        as_episodes(rows, "train")
