"""Rows in the forms in which others publish them, each built with one command."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

from data_builders.__main__ import main
from support.building import manifest
from support.wild import COLUMNS, build, built, lines, refusal, row

CASES = Path(__file__).parent / "cases" / "rows"


@pytest.mark.parametrize(
    ("name", "episodes", "rejected"),
    [
        ("bom.jsonl", 20, 0),
        ("bool.jsonl", 29, 1),
        ("nullinlist.jsonl", 29, 1),
        ("lines.json", 20, 0),
        ("rows.csv", 1, 0),
        ("squad.jsonl", 30, 0),
        ("dups.jsonl", 60, 0),
    ],
)
def test_files_made_by_others_are_built_and_every_row_is_accounted_for(
    tmp_path, name, episodes, rejected
):
    assert build(CASES / name, tmp_path / "out", *COLUMNS) == 0
    train, test = built(tmp_path / "out")
    assert len(train) + len(test) == episodes
    assert manifest(tmp_path / "out")["rejected"]["total"] == rejected
    texts = [{(e.question, e.text) for e in split} for split in (train, test)]
    assert not texts[0] & texts[1]  # no test question stands in train


FORMS = {  # in the form of each set of docs/DATA.md, which has its options: type of answer, question, text, answer
    "BIG-Bench-Hard": (
        {"canary": "x", "examples": [{"input": "Tom has 5. He eats 1. How many?", "target": "4"}]},
        ("number", "How many?", "Tom has 5. He eats 1.", "4"),
    ),
    "SQuAD": (
        {"version": "2", "data": [{"title": "T", "paragraphs": [{"context": "Tom lives in Oslo. He sails.", "qas": [
            {"id": "b", "question": "Why?", "answers": [], "is_impossible": True},
            {"id": "a", "question": "Where?", "answers": [{"text": "Oslo"}, {"text": "in Oslo"}]}]}]}]},
        ("text", "Where?", "Tom lives in Oslo. He sails.", "Oslo"),
    ),
    "SQuAD of the Hub": (
        {"question": "Where?", "context": "Tom lives in Oslo. He sails.", "answers": {"text": ["Oslo", "in Oslo"], "answer_start": [1, 2]}},
        ("text", "Where?", "Tom lives in Oslo. He sails.", "Oslo"),
    ),
    "DROP": (
        {"p1": {"passage": "Tom ran 5. Ann ran 7.", "qa_pairs": [{"question": "How far?", "answer": {"number": "7"}}]}},
        ("number", "How far?", "Tom ran 5. Ann ran 7.", "7"),
    ),
    "BoolQ": (
        {"question": "is it wet", "passage": "Water is wet. Fire is not.", "answer": True},
        ("choice", "is it wet", "Water is wet. Fire is not.", "yes"),
    ),
    "CommonsenseQA": (
        {"question": {"stem": "Where is a bird?", "choices": [{"label": "A", "text": "nest"}, {"label": "B", "text": "sea"}]}, "answerKey": "A"},
        ("choice", "Where is a bird?", "A) nest B) sea", "A"),
    ),
    "OpenBookQA": (
        {"question": {"stem": "A bird?", "choices": [{"text": "flies", "label": "A"}, {"text": "swims", "label": "B"}]}, "fact1": "Birds fly.", "answerKey": "A"},
        ("choice", "A bird?", "Birds fly. A) flies B) swims", "A"),
    ),
    "ARC": (
        {"question": "Which?", "choices": {"text": ["Rock.", "Tree."], "label": ["1", "2"]}, "answerKey": "2"},
        ("choice", "Which?", "A) Rock. B) Tree.", "B"),
    ),
    "MMLU": (
        {"question": "Which?", "choices": ["rock", "tree"], "answer": 1},
        ("choice", "Which?", "A) rock B) tree", "B"),
    ),
    "AQuA": (
        {"question": "Tom has 5. He eats 1. How many?", "options": ["A)4", "B)5"], "rationale": "x", "correct": "A"},
        ("choice", "How many?", "Tom has 5. He eats 1. A) 4 B) 5", "A"),
    ),
    "LogiQA": (
        {"query": "Who is tall?", "context": "All are tall. Tom is one.", "options": ["Tom", "none"], "correct_option": 0},
        ("choice", "Who is tall?", "All are tall. Tom is one. A) Tom B) none", "A"),
    ),
    "RACE": (
        {"article": "Tom is in Oslo. He naps.", "questions": ["Where?"], "options": [["Oslo", "Rome"]], "answers": ["A"], "id": "1"},
        ("choice", "Where?", "Tom is in Oslo. He naps. A) Oslo B) Rome", "A"),
    ),
    "HotpotQA": (
        [{"question": "Whose?", "answer": "Ann", "context": [["Boat", ["It is Ann's.", " Bob rows."]], ["Hut", ["It is old."]]]}],
        ("text", "Whose?", "It is Ann's. Bob rows. It is old.", "Ann"),
    ),
    "HotpotQA of the Hub": (
        {"question": "Whose?", "answer": "Ann", "context": {"title": ["Boat", "Hut"], "sentences": [["It is Ann's.", " Bob rows."], ["It is old."]]}},
        ("text", "Whose?", "It is Ann's. Bob rows. It is old.", "Ann"),
    ),
    "TriviaQA": (
        {"Data": [{"Question": "Who won?", "Answer": {"Value": "Ann", "Aliases": ["Ann", "Annie"]}, "SearchResults": [{"Description": "Ann won."}, {"Description": "Rain fell."}]}], "Domain": "Web"},
        ("text", "Who won?", "Ann won. Rain fell.", "Ann"),
    ),
    "StrategyQA": (
        [{"question": "Is it wet?", "answer": True, "facts": ["Water is wet.", "It is water."], "evidence": [[[["a-1"]]]]}],
        ("choice", "Is it wet?", "Water is wet. It is water.", "yes"),
    ),
    "CoQA": (
        {"data": [{"story": "Tom naps. He is old.", "questions": [{"input_text": "Who?"}], "answers": [{"input_text": "Tom"}]}]},
        ("text", "Who?", "Tom naps. He is old.", "Tom"),
    ),
    "MRQA": (
        b'{"header": {"dataset": "X"}}\n{"context": "Tom naps. He is old.", "qas": [{"question": "Who?", "answers": ["Tom"]}]}',
        ("text", "Who?", "Tom naps. He is old.", "Tom"),
    ),
    "MATH": (
        {"problem": "Let $x=1$. Find $x+1$.", "level": "Level 1", "solution": "It is $\\boxed{2}$."},
        ("number", "Find $x+1$.", "Let $x=1$.", "2"),
    ),
    "MultiArith": (
        [{"sQuestion": " Tom has 5 hens. He buys 2. How many has he? ", "lEquations": ["X=5+2"], "lSolutions": [7.0]}],
        ("number", "How many has he?", "Tom has 5 hens. He buys 2.", "7.0"),
    ),
    "Alpaca": (
        [{"instruction": "How many?", "input": "Tom has 5. He eats 1.", "output": "4"}, {"instruction": "Say 7.", "input": "", "output": "7"}],
        ("number", "How many?", "Tom has 5. He eats 1.", "4"),
    ),
    "ShareGPT": (
        [{"conversations": [{"from": "system", "value": "Be short."}, {"from": "human", "value": "Tom has 5. He eats 1. How many?"}, {"from": "gpt", "value": "4"}]}],
        ("number", "How many?", "Tom has 5. He eats 1.", "4"),
    ),
    "chat messages": (
        {"messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Tom has 5. He eats 1. How many?"}, {"role": "assistant", "content": "5-1=4\n#### 4"}]},
        ("number", "How many?", "Tom has 5. He eats 1.", "4"),
    ),
}  # fmt: skip
DATA = (Path(__file__).parents[2] / "docs" / "DATA.md").read_text()
OPTIONS = dict(re.findall(r"^\| ([\w -]+) \| `(--[^`]+-column [^`]+)` \|$", DATA, re.MULTILINE))


def test_each_public_form_of_the_docs_is_tried():
    assert OPTIONS.keys() == FORMS.keys()


@pytest.mark.parametrize("form", FORMS)
def test_the_native_forms_of_public_sets_are_read_with_the_command_of_the_docs(tmp_path, form):
    content, (kind, *expected) = FORMS[form]
    path = tmp_path / "data.bin"  # the kind is in the content
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    flags = (*shlex.split(OPTIONS[form]), "--answer-type", kind)
    assert build(path, tmp_path / "out", *flags) == 0
    (episode,) = built(tmp_path / "out")[0]
    text = " ".join(episode.text.split())
    assert [episode.question.strip(), text, episode.answer] == expected


def test_a_list_of_conversations_has_positions_for_columns(tmp_path):
    talk = [[{"value": "Tom has 5. He eats 1. How many?"}, {"value": "4"}]]
    (tmp_path / "x").write_text(json.dumps(talk))
    flags = ("--problem-column", "0.value", "--answer-column", "1.value")
    assert build(tmp_path / "x", tmp_path / "out", *flags) == 0
    assert built(tmp_path / "out")[0][0].answer == "4"


def test_an_object_with_several_lists_asks_for_the_one_that_is_meant(tmp_path, capsys):
    (tmp_path / "x.json").write_text(json.dumps({"a": [{"q": "?"}], "b": [{"q": "?"}, {"q": "!"}]}))
    line = refusal(capsys, tmp_path / "x.json", tmp_path / "out", *COLUMNS)
    assert "'a' (1 rows), 'b' (2 rows); say --rows KEY" in line


def test_a_question_that_is_the_text_is_refused_by_name(tmp_path, capsys):
    flags = ("--question-column", "c", "--context-column", "c", "--answer-column", "a")
    assert "--problem-column c" in refusal(capsys, CASES / "bom.jsonl", tmp_path / "out", *flags)


def test_a_wrong_column_of_the_first_row_ends_the_build_and_names_the_columns(tmp_path, capsys):
    flags = ("--question-column", "qq", "--context-column", "c", "--answer-column", "a")
    line = refusal(capsys, CASES / "bom.jsonl", tmp_path / "out", *flags)
    assert "no column 'qq'; the row has q, c, a" in line


def test_a_set_of_one_chunk_episodes_is_warned_of(tmp_path, capsys):
    rows = [{"q": f"How many {i}?", "c": f"ทอมมี {i} แอปเปิล", "a": i} for i in range(8)]
    (tmp_path / "x").write_text("\n".join(map(json.dumps, rows)))
    assert build(tmp_path / "x", tmp_path / "out", *COLUMNS) == 0
    out = capsys.readouterr().out
    assert "warning: 100% of the episodes are one chunk" in out
    assert "no episode has a trace" in out


def test_speech_without_punctuation_is_cut_at_its_segments(tmp_path):
    segments = [{"end": i + 1.0, "text": f"so tom has {i}"} for i in range(4)]
    row = {"question": "How many?", "answer": "3", "segments": segments}
    (tmp_path / "talk.jsonl").write_text(json.dumps(row))
    given = ["transcript", "--input", str(tmp_path / "talk.jsonl"), "--licence", "MIT"]
    assert main([*given, "--out", str(tmp_path / "out")]) == 0
    (episode,) = built(tmp_path / "out")[0]
    assert [chunk.strip() for chunk in episode.chunks] == [s["text"] for s in segments]
    assert episode.arrival_seconds == (1.0, 2.0, 3.0, 4.0)


ODD = {  # beside a good row: its reason in the manifest
    "nan": (b'{"q": "How?", "c": "A. B.", "a": NaN}', "bad_gold"),
    "nan-question": (b'{"q": NaN, "c": "A. B.", "a": 1}', "empty_question"),
    "nan-context": (b'{"q": "How?", "c": NaN, "a": 1}', "no_chunks"),
    "key-twice": (b'{"q": "How?", "c": "A. B.", "a": 1, "a": 2}', "bad_column"),
    "half-a-character": (b'{"q": "How \\ud83d?", "c": "A. B.", "a": 1}', "bad_column"),
    "list": (b'["How?", "A. B.", 1]', "missing_column"),
    "header": (b'{"header": {"split": "train"}}', "missing_column"),
    "cut-off": (b'{"q": "How', "unreadable"),
    "no-answers": (b'{"q": "How?", "c": "A. B.", "a": []}', "bad_column"),
    "two-answers": (b'{"q": "How?", "c": "A. B.", "a": ["4", "5"]}', "bad_column"),
    "withheld": (b'{"q": "How?", "c": "A. B.", "a": "<unk>"}', "bad_column"),
}


@pytest.mark.parametrize("answer_type", ["number", "text"])
@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "last"])
def test_one_odd_row_is_rejected_and_never_ends_a_build(tmp_path, name, answer_type, is_first):
    line, reason = ODD[name]
    both = (line + b"\n" + lines(row(1))) if is_first else lines(row(1)) + line
    (tmp_path / "x.jsonl").write_bytes(both)
    given = (*COLUMNS, "--answer-type", answer_type)
    assert build(tmp_path / "x.jsonl", tmp_path / "out", *given) == 0
    assert len(built(tmp_path / "out")[0]) == 1
    assert manifest(tmp_path / "out")["rejected"]["by_reason"] == {reason: 1}


CHOICES = {
    "mmlu": ({"q": "2+2?", "o": ["3", "4"], "a": 1}, ("--answer-map", "0=A,1=B")),
    "numbered": ({"q": "2+2?", "o": {"text": ["3", "4"], "label": ["1", "2"]}, "a": "2"}, ()),
    "objects": ({"q": "2+2?", "o": [{"label": "A", "text": "3"}, {"label": "B", "text": 4}], "a": "B"}, ()),
    "lettered": ({"q": "2+2?", "o": ["A)3", "B)4"], "a": "B"}, ()),
    "by-letter": ({"q": "2+2?", "o": {"A": "3", "B": "4"}, "a": "(b)"}, ()),
    "spelled": ({"q": "2+2?", "o": "['3', '4']", "a": "B"}, ()),
}  # fmt: skip


@pytest.mark.parametrize("name", CHOICES)
def test_options_are_lettered_and_read_out_behind_the_text(tmp_path, name):
    given, flags = CHOICES[name]
    (tmp_path / "x").write_bytes(lines(given))
    columns = ("--question-column", "q", "--choices-column", "o", "--answer-column", "a")
    kind = ("--answer-type", "choice")
    assert build(tmp_path / "x", tmp_path / "out", *columns, *kind, *flags) == 0
    (episode,) = built(tmp_path / "out")[0]
    assert (episode.question, episode.chunks, episode.answer) == ("2+2?", ("A) 3", " B) 4"), "B")


def test_a_bare_position_is_no_answer_because_sets_count_from_0_or_from_1(tmp_path, capsys):
    (tmp_path / "x").write_bytes(lines({"q": "2+2?", "o": ["3", "4", "1"], "a": 1}))
    flags = ("--question-column", "q", "--choices-column", "o", "--answer-column", "a")
    line = refusal(capsys, tmp_path / "x", tmp_path / "out", *flags, "--answer-type", "choice")
    assert "'1' is none of A, B, C" in line
    assert "--answer-map, such as 0=A,1=B" in line
    assert "--answer-type choice" in refusal(capsys, tmp_path / "x", tmp_path / "out", *flags)


def test_an_answer_map_without_a_word_for_an_answer_rejects_it(tmp_path, capsys):
    (tmp_path / "x").write_bytes(lines(row(1, a=True)))
    kind = ("--answer-type", "choice")
    wrong = (*COLUMNS, *kind, "--answer-map", "Yes=yes,No=no")
    assert "no word for the answer 'true'" in refusal(
        capsys, tmp_path / "x", tmp_path / "out", *wrong
    )
    right = (*COLUMNS, *kind, "--answer-map", "True=yes,False=no")
    assert build(tmp_path / "x", tmp_path / "out", *right) == 0
    assert built(tmp_path / "out")[0][0].answer == "yes"


def test_a_worked_solution_gives_the_answer_behind_its_marker(tmp_path):
    for number, (solution, answer) in enumerate(
        ((r"So we get $\boxed{4}$.", "4"), ("5-1=<<5-1=4>>4\n#### 4", "4"))
    ):
        (tmp_path / "x").write_bytes(lines(row(1, a=solution)))
        assert build(tmp_path / "x", tmp_path / f"out{number}", *COLUMNS) == 0
        assert built(tmp_path / f"out{number}")[0][0].answer == answer


def test_a_folder_of_save_to_disk_is_read_and_a_number_beside_a_gap_stays_whole(tmp_path):
    """Pandas turns whole numbers beside a gap into floats."""
    rows = [row(n, a=float(n) if n else None) for n in range(4)]
    Dataset.from_list(rows).save_to_disk(str(tmp_path / "saved"))
    assert build(tmp_path / "saved", tmp_path / "out", *COLUMNS) == 0
    assert sorted(e.answer for split in built(tmp_path / "out") for e in split) == ["1", "2", "3"]
    assert manifest(tmp_path / "out")["rejected"]["by_reason"] == {"bad_gold": 1}


def test_a_folder_of_several_splits_names_them(tmp_path, capsys):
    split = Dataset.from_list([row(1)])
    DatasetDict(train=split, dev=split).save_to_disk(str(tmp_path / "saved"))
    capsys.readouterr()
    line = refusal(capsys, tmp_path / "saved", tmp_path / "out", *COLUMNS)
    assert "holds the splits train, dev; name one, such as" in line


def test_few_test_episodes_and_a_single_rejected_row_are_said(tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines(*map(row, range(9)), row(9, a="")))
    assert build(path, tmp_path / "out", *COLUMNS) == 0
    out = capsys.readouterr().out
    assert "few test episodes to measure with; --test-count N sets their number" in out
    assert "1 row rejected (" in out
