"""Rows in the forms in which others publish them, each built with one command."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from adasr_trl.core.episode import read_episodes
from data_builders.__main__ import main

CASES = Path(__file__).parent / "cases" / "rows"
COLUMNS = ("--question-column", "q", "--context-column", "c", "--answer-column", "a")
COMMON = ("--name", "x", "--licence", "MIT")


def build(path, out, *flags):
    given = ["custom", "--input", str(path), *COMMON, *flags, "--out", str(out)]
    if "--answer-type" not in flags:
        given += ["--answer-type", "number"]
    return main(given)


def built(out):
    paths = [out / f"{split}.jsonl" for split in ("train", "test")]
    return [list(read_episodes(path)) if path.is_file() else [] for path in paths]


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
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert len(train) + len(test) == episodes
    assert manifest["rejected"]["total"] == rejected
    texts = [{(e.question, e.text) for e in split} for split in (train, test)]
    assert not texts[0] & texts[1]  # no test question stands in train


FORMS = {
    "bbh": (
        {"canary": "x", "examples": [{"input": "Tom has 5. He eats 1. How many?", "target": "4"}]},
        ("--problem-column", "input", "--answer-column", "target"),
        ("How many?", "4"),
    ),
    "squad": (
        {
            "data": [
                {
                    "title": "T",
                    "paragraphs": [
                        {
                            "context": "Tom lives in Oslo. He sails.",
                            "qas": [{"id": "a", "question": "Where?", "answers": [{"text": "Oslo"}]}],
                        }
                    ],
                }
            ]
        },
        ("--rows", "data.paragraphs.qas", "--question-column", "question", "--context-column",
         "context", "--answer-column", "answers.text", "--answer-type", "text"),
        ("Where?", "Oslo"),
    ),
    "drop": (
        {"p1": {"passage": "Tom ran 5. Ann ran 7.", "qa_pairs": [{"question": "How far?", "answer": {"number": "7"}}]}},
        ("--rows", "*.qa_pairs", "--question-column", "question", "--context-column", "passage",
         "--answer-column", "answer.number"),
        ("How far?", "7"),
    ),
    "boolq": (
        {"question": "is it wet", "passage": "Water is wet. Fire is not.", "answer": True},
        ("--question-column", "question", "--context-column", "passage", "--answer-column",
         "answer", "--answer-type", "choice", "--answer-map", "true=yes,false=no"),
        ("is it wet", "yes"),
    ),
    "csqa": (
        {"question": {"stem": "Where is a bird?"}, "story": "A bird flies.", "answerKey": "A"},
        ("--question-column", "question.stem", "--context-column", "story", "--answer-column",
         "answerKey", "--answer-type", "choice"),
        ("Where is a bird?", "A"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("form", FORMS)
def test_the_native_forms_of_public_sets_are_read_with_one_command(tmp_path, form, packed):
    content, flags, (question, answer) = FORMS[form]
    data = json.dumps(content).encode()
    path = tmp_path / "data.bin"  # the kind is in the content
    path.write_bytes(gzip.compress(data) if packed else data)
    assert build(path, tmp_path / "out", *flags) == 0
    (episode,) = built(tmp_path / "out")[0]
    assert (episode.question, episode.answer) == (question, answer)


def refusal(capsys, path, out, *flags):
    assert build(path, out, *flags) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


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


def test_a_row_of_a_table_with_another_number_of_columns_is_named(tmp_path, capsys):
    (tmp_path / "x.csv").write_text('q,c,a\nHow many?,"Tom has 5, and 3. Ok.",8\nHow?,x\n')
    line = refusal(capsys, tmp_path / "x.csv", tmp_path / "out", *COLUMNS)
    assert "x.csv:3: has not the 3 columns" in line


def test_numbers_of_32_bits_are_read_as_they_were_written(tmp_path):
    import pyarrow.parquet

    table = pyarrow.table(
        {
            "q": ["How much?"],
            "c": ["Tom has some. He eats."],
            "a": pyarrow.array([0.1], pyarrow.float32()),
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "rows")
    assert build(tmp_path / "rows", tmp_path / "out", *COLUMNS) == 0
    assert built(tmp_path / "out")[0][0].answer == "0.1"


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
