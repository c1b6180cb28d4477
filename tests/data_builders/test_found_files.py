"""Files as public reports tell of them, in rows of our own: right values, or a line that says what to do."""

from __future__ import annotations

import json

import numpy
import pyarrow
import pyarrow.parquet
import pytest

from support.building import manifest
from support.wild import COLUMNS, build, built, lines, refusal, row

ROWS = [row(number) for number in range(2, 8)]


def answers(out):
    return sorted(int(episode.answer) for split in built(out) for episode in split)


def table(rows, delimiter=",", texts=str):
    records = [[r["q"], texts(r["c"]), str(r["a"])] for r in rows]
    return "".join(delimiter.join(fields) + "\n" for fields in (["q", "c", "a"], *records))


WHOLE = {
    "a quote that opens in each cell of a TSV": table(ROWS, "\t", lambda text: f'"So {text}').encode(),
    "a quote of one cell closed in the next line of a TSV": table(
        [ROWS[0], {**ROWS[1], "c": '"So. Tom has 3.'}, {**ROWS[2], "c": 'He has 4."'}, *ROWS[3:]], "\t"
    ).encode(),
    "UTF-16 without its mark": table(ROWS).encode("utf-16-le"),
    "UTF-16 in the other order": table(ROWS).encode("utf-16-be"),
    "JSON written twice, by lines": "\n".join(json.dumps(json.dumps(r)) for r in ROWS).encode(),
    "JSON written twice": json.dumps(json.dumps(ROWS)).encode(),
    "a JSON text sequence": "".join(f"\x1e{json.dumps(r)}\n" for r in ROWS).encode(),
    "texts of several lines with commas": table(
        ROWS, ",", lambda text: f'"{text}\nHens, ducks, geese.\nSo, he left, then."'
    ).encode(),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_every_row_of_a_file_is_read(tmp_path, name):
    (tmp_path / "x.jsonl" if "lines" in name else tmp_path / "x").write_bytes(WHOLE[name])
    path = next(file for file in tmp_path.iterdir())
    assert build(path, tmp_path / "out", *COLUMNS) == 0
    assert answers(tmp_path / "out") == [r["a"] for r in ROWS]
    assert manifest(tmp_path / "out")["rejected"]["total"] == 0


@pytest.mark.parametrize("last", [4, 6])
def test_a_row_whose_open_quote_takes_in_others_is_rejected_and_says_so(tmp_path, last):
    marked = {3: '"Tom has 3.', last: f'Tom has {last}."'}
    rows = [{**r, "c": marked.get(r["a"], r["c"])} for r in ROWS]
    (tmp_path / "x.csv").write_text(table(rows))
    assert build(tmp_path / "x.csv", tmp_path / "out", *COLUMNS) == 0
    (rejected,) = manifest(tmp_path / "out")["rejected"]["rows"]
    taken = last - 3
    assert f"takes in the next {taken} lines; double it, or close it" in rejected["detail"]
    assert len(answers(tmp_path / "out")) == len(ROWS) - taken - 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'[\n{"q": "How?"},\n]', "a comma before ']' at line 3; remove it"),
        (b"\x93NUMPY\x01\x00", "an array of NumPy"),
        (b"%PDF-1.4\n%\xe2", "a PDF; extract its text"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Office file; save its sheet as CSV"),
        (b"Obj\x01\x04", "an Avro file"),
    ],
)
def test_a_file_without_rows_is_named(tmp_path, capsys, content, words):
    (tmp_path / "x").write_bytes(content)
    assert words in refusal(capsys, tmp_path / "x", tmp_path / "out", *COLUMNS)


def test_columns_of_parquet_keep_their_values(tmp_path):
    """Half precision, text without the note that it is text, and maps."""
    columns = {
        "q": pyarrow.array([b"How many?", b"How much?"], pyarrow.binary()),
        "c": ["Tom has some. He naps.", "Ann has some. She naps."],
        "a": pyarrow.array(numpy.array([0.1, 2.5], numpy.float16)),
        "m": pyarrow.array([[("n", "3")]] * 2, pyarrow.map_(pyarrow.string(), pyarrow.string())),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "x")
    for answer, expected in (("a", ["0.1", "2.5"]), ("m.n", ["3", "3"])):
        flags = (*COLUMNS[:-1], answer)
        assert build(tmp_path / "x", tmp_path / answer, *flags) == 0
        found = sorted(e.answer for split in built(tmp_path / answer) for e in split)
        assert found == expected


@pytest.mark.parametrize(
    ("left", "kind"),
    [("<p>Hi.</p>", "HTML"), ("It&#39;s so.", "HTML"), ("Itâ€™s so.", "text decoded twice"),
     (r"So.\nHe naps.", r"a written \n")],
)  # fmt: skip
def test_markup_and_spoilt_letters_are_counted_and_warned_of(tmp_path, capsys, left, kind):
    (tmp_path / "x").write_bytes(lines(*ROWS, row(8, c=f"Tom has 8. {left}")))
    assert build(tmp_path / "x", tmp_path / "out", *COLUMNS) == 0
    assert f"warning: 1 of the episodes hold {kind}" in capsys.readouterr().out
    assert manifest(tmp_path / "out")["statistics"]["residue"] == {kind: 1}
    clean = r"If x < 5 & y > 3, \nabla f is $\neq$ 5."
    (tmp_path / "y").write_bytes(lines(*ROWS, row(8, c=f"Tom has 8. {clean}")))
    assert build(tmp_path / "y", tmp_path / "clean", *COLUMNS) == 0
    assert "residue" not in manifest(tmp_path / "clean")["statistics"]
