"""Cells that spell something, values inside values, and turns of chats: right values, or a row rejected with its reason."""

from __future__ import annotations

import json

import pyarrow
import pyarrow.parquet
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from data_builders.rows.json_text import JsonError, list_in_text
from support.building import manifest
from support.wild import COLUMNS, build, built, lines, refusal

TEXT = "Tom naps. He is old."


def found(out):
    return sorted((e.question, e.text, e.answer) for split in built(out) for e in split)


def table(tmp_path, *rows, header="q,c,a"):
    quoted = (",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows)
    (tmp_path / "x").write_text("\n".join((header, *quoted, "")))
    return tmp_path / "x"


# ---- cells of tables


@pytest.mark.parametrize("cell", ["nan", " NaN ", "None", "NULL", "\\N", "#N/A", "<NA>", "#REF!"])
def test_a_cell_that_stands_for_none_is_no_value(tmp_path, cell):
    rows = (("Who?", TEXT, "Tom"), ("Why?", cell, "Ann"), (cell, TEXT, "Tom"), ("How?", TEXT, cell))
    assert build(table(tmp_path, *rows), tmp_path / "out", *COLUMNS, "--answer-type", "text") == 0
    assert found(tmp_path / "out") == [("Who?", TEXT, "Tom")]
    rejected = manifest(tmp_path / "out")["rejected"]
    assert rejected["by_reason"] == {"bad_column": 1, "empty_question": 1, "no_chunks": 1}
    details = "".join(each["detail"] for each in rejected["rows"])
    assert f"the answer {cell.strip()!r} stands for none in a table" in details


@pytest.mark.parametrize("cell", ["Nan", "none", "Na", "0", "unknown", "NaN is odd"])
def test_a_word_that_only_looks_so_stays(tmp_path, cell):
    path = table(tmp_path, ("Who?", TEXT, cell))
    assert build(path, tmp_path / "out", *COLUMNS, "--answer-type", "text") == 0
    assert found(tmp_path / "out") == [("Who?", TEXT, cell)]


def test_none_may_be_an_answer_by_name_or_as_an_option(tmp_path):
    path = table(tmp_path, ("Who?", TEXT, "None"))
    mapped = ("--answer-type", "text", "--answer-map", "None=nobody")
    assert build(path, tmp_path / "out", *COLUMNS, *mapped) == 0
    assert found(tmp_path / "out") == [("Who?", TEXT, "nobody")]
    path = table(tmp_path, ("Who?", "['Tom' 'None']", "None"))
    columns = ("--question-column", "q", "--choices-column", "c", "--answer-column", "a")
    assert build(path, tmp_path / "options", *columns, "--answer-type", "choice") == 0
    assert found(tmp_path / "options") == [("Who?", "A) Tom B) None", "B")]


SPELLED = {
    "['a b' 'c']": ["a b", "c"],
    "['a'\n \"b's\" 'c']": ["a", "b's", "c"],
    "[['a' 'b']\n ['c']]": [["a", "b"], ["c"]],
    "[{'l': 'A'} {'l': 'B'}]": [{"l": "A"}, {"l": "B"}],
    "{'text': array(['a', 'b'], dtype=object), 'n': array([0])}": {"text": ["a", "b"], "n": [0]},
    "[array(['a'], dtype=object) array(['b'], dtype=object)]": [["a"], ["b"]],
    "[np.str_('a'), nan, None, -1, True]": ["a", None, None, -1, True],
    '{"a","b"}': ["a", "b"],
    "['a', 'b',]": ["a", "b"],
    "[Tom naps.]": None,
    "[5] Tom [6]": None,
    "[f'{x}']": None,
    "[open('x')]": None,
    "{1: 2}[1]": None,
    "[5] [6]": None,
}


@pytest.mark.parametrize("text", SPELLED)
def test_lists_of_python_and_numpy_are_read_item_by_item(text):
    assert list_in_text(text) == SPELLED[text]


@pytest.mark.parametrize(
    "text", ["['a' 'b' ... 'y' 'z']", "['Tom's', 'b']", "['a', Day('1'), 'b']"]
)
def test_a_list_of_texts_that_cannot_be_read_is_no_text(tmp_path, text):
    with pytest.raises(JsonError):
        list_in_text(text)
    path = table(tmp_path, ("Who?", TEXT, "Tom"), ("Who?", text, "Tom"))
    assert build(path, tmp_path / "out", *COLUMNS, "--answer-type", "text") == 0
    assert found(tmp_path / "out") == [("Who?", TEXT, "Tom")]
    assert manifest(tmp_path / "out")["rejected"]["by_reason"] == {"bad_column": 1}


ANSWERS = {  # a cell: the gold answer, or None for a row that is rejected
    "['Tom']": "Tom",
    "['Tom' 'Tom']": "Tom",
    "{'text': ['Tom'], 'answer_start': [0]}": "Tom",
    "{'text': array(['Tom', 'Tom'], dtype=object), 'answer_start': array([0, 0])}": "Tom",
    "['Tom', 'Ann']": None,
    "[]": None,
    "{'text': [], 'answer_start': []}": None,
    "[1, 2]": "[1, 2]",
    "[Tom]": "[Tom]",
    '{"a": 1}': '{"a": 1}',
}


@pytest.mark.parametrize("cell", ANSWERS)
def test_an_answer_in_a_list_is_its_text(tmp_path, cell):
    path = table(tmp_path, ("Who?", "['Tom naps.' 'He is old.']", cell), ("So?", TEXT, "Ann"))
    assert build(path, tmp_path / "out", *COLUMNS, "--answer-type", "text") == 0
    gold = ANSWERS[cell]
    assert found(tmp_path / "out") == [("So?", TEXT, "Ann")] + [("Who?", TEXT, gold)] * (
        gold is not None
    )


@pytest.mark.parametrize("name", ["q\n(text)", "q (text)", "q\r\n(text)"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_column_may_have_a_line_break_in_its_name(tmp_path, name, delimiter):
    header, cells = ('"q\n(text)"', "c", '"a, b;\nc"', "a"), ("Who?", TEXT, "x", "Tom")
    text = "".join(delimiter.join(each) + "\n" for each in (header, cells))
    (tmp_path / "x").write_text(text)
    flags = ("--question-column", name, *COLUMNS[2:], "--answer-type", "text")
    assert build(tmp_path / "x", tmp_path / "out", *flags) == 0
    assert found(tmp_path / "out") == [("Who?", TEXT, "Tom")]
    assert manifest(tmp_path / "out")["rejected"]["total"] == 0


@pytest.mark.parametrize("header", ['q\tc\ta\t5" wide', '5" wide\tq\tc\ta'])
def test_a_mark_in_a_name_takes_in_no_row(tmp_path, header):
    fields = ["Who?", TEXT, "Tom", '5"']
    fields = fields if header.startswith("q") else [*fields[3:], *fields[:3]]
    (tmp_path / "x").write_text(header + "\n" + "\t".join(fields) + "\n")
    assert build(tmp_path / "x", tmp_path / "out", *COLUMNS, "--answer-type", "text") == 0
    assert found(tmp_path / "out") == [("Who?", TEXT, "Tom")]


# ---- values inside values


F32, YES = pyarrow.float32(), {"names": ["no", "yes"], "_type": "ClassLabel"}
INSIDE = {  # an answer of 0.1, or "yes": its column, the note of datasets, the option
    "an object": (pyarrow.array([{"v": 0.1}], pyarrow.struct([("v", F32)])), None, "a.v"),
    "a list": (pyarrow.array([[0.1]], pyarrow.list_(F32)), None, "a"),
    "a map": (pyarrow.array([[("k", 0.1)]], pyarrow.map_(pyarrow.string(), F32)), None, "a.k"),
    "objects in a list": (pyarrow.array([[{"v": 0.1}]], pyarrow.list_(pyarrow.struct([("v", pyarrow.float16())]))), None, "a.0.v"),
    "labels": (pyarrow.array([[1]]), {"feature": YES, "_type": "Sequence"}, "a"),
    "labels in an object": (pyarrow.array([{"l": 1}]), {"l": YES}, "a.l"),
    "labels of objects": (pyarrow.array([{"l": [1]}]), {"feature": {"l": YES}, "_type": "Sequence"}, "a.l"),
    "labels in a list of objects": (pyarrow.array([[{"l": 1}]]), [{"l": YES}], "a.*.l"),
}  # fmt: skip


@pytest.mark.parametrize("name", INSIDE)
def test_numbers_of_few_bits_and_labels_are_read_however_deep_they_lie(tmp_path, name):
    column, noted, answer = INSIDE[name]
    rows = pyarrow.table({"q": ["How?"], "c": [TEXT], "a": column})
    features = json.dumps({"info": {"features": {"a": noted}}})
    pyarrow.parquet.write_table(
        rows.replace_schema_metadata({"huggingface": features}), tmp_path / "x"
    )
    kind = "choice" if noted else "number"
    assert (
        build(tmp_path / "x", tmp_path / "out", *COLUMNS[:-1], answer, "--answer-type", kind) == 0
    )
    assert found(tmp_path / "out") == [("How?", TEXT, "yes" if noted else "0.1")]


def test_a_data_set_s_parts_are_read_alike(tmp_path):
    kinds = Features(
        {"q": Value("string"), "c": Value("string"), "a": List(ClassLabel(names=["no", "yes"])), "o": {"v": Value("float32")}}
    )  # fmt: skip
    rows = [{"q": "Is it?", "c": TEXT, "a": [label], "o": {"v": 0.1}} for label in (1, -1)]
    Dataset.from_list(rows, kinds).save_to_disk(str(tmp_path / "x"))
    assert build(tmp_path / "x", tmp_path / "a", *COLUMNS, "--answer-type", "choice") == 0
    assert found(tmp_path / "a") == [("Is it?", TEXT, "yes")]  # -1: withheld
    assert build(tmp_path / "x", tmp_path / "o", *COLUMNS[:-1], "o.v") == 0
    assert {answer for *_, answer in found(tmp_path / "o")} == {"0.1"}


# ---- chats


SYSTEM = {"role": "system", "content": "Be short."}
ASKED = {"role": "user", "content": "Tom has 6 hens. He naps. How many?"}
SAID = {"role": "assistant", "content": "Sure! 6"}
ROLES = (
    "--problem-column",
    "messages.user.content",
    "--answer-column",
    "messages.assistant.content",
)
PLACES = ("--problem-column", "messages.0.content", "--answer-column", "messages.1.content")


@pytest.mark.parametrize(
    ("turns", "by_role", "by_place"),
    [
        ([ASKED, SAID], True, True),
        ([SYSTEM, ASKED, SAID], True, False),
        ([ASKED, SAID, ASKED, SAID], False, True),
        ([SAID, ASKED], True, False),
        ([ASKED, {**SAID, "content": "How many? 6"}], False, False),
        ([ASKED, {**SAID, "content": "How many? The answer is 6."}], True, True),
        ([ASKED, ASKED], False, False),
    ],
)  # fmt: skip
def test_turns_of_a_chat_are_problem_and_answer_by_their_roles(tmp_path, turns, by_role, by_place):
    good = {
        "messages": [{**ASKED, "content": "Ann has 7 hens. How many?"}, {**SAID, "content": "7"}]
    }
    (tmp_path / "x").write_bytes(lines(good, {"messages": turns}))
    for name, flags, is_good in (("a", ROLES, by_role), ("b", PLACES, by_place)):
        assert build(tmp_path / "x", tmp_path / name, *flags) == 0
        texts = [text for _, text, _ in found(tmp_path / name)]
        assert texts == ["Ann has 7 hens."] + ["Tom has 6 hens. He naps."] * is_good
        assert manifest(tmp_path / name)["rejected"]["total"] == 1 - is_good


def test_the_way_into_content_in_parts_leads_to_its_text(tmp_path, capsys):
    parts = {**ASKED, "content": [{"type": "text", "text": ASKED["content"]}]}
    (tmp_path / "x").write_bytes(lines({"messages": [parts, SAID]}))
    line = refusal(capsys, tmp_path / "x", tmp_path / "out", *ROLES)
    assert "say messages.user.content.*.text." in line
    flags = ("--problem-column", "messages.user.content.*.text", *ROLES[2:])
    assert build(tmp_path / "x", tmp_path / "out", *flags) == 0
    assert found(tmp_path / "out") == [("How many?", "Tom has 6 hens. He naps.", "Sure! 6")]


def test_a_turn_that_is_not_there_names_those_that_are(tmp_path, capsys):
    (tmp_path / "x").write_bytes(lines({"messages": [{"from": "human", "value": "Hi."}]}))
    line = refusal(capsys, tmp_path / "x", tmp_path / "out", *ROLES)
    assert "'messages' is a list of turns of human" in line
