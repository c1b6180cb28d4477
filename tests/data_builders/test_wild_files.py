"""Files of rows of whatever kind, packing, encoding and quoting, and files that hold none."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from decimal import Decimal

import pytest

from support.wild import COLUMNS, build, built, lines, refusal, row

TWO = lines(row(1), row(2))


def zipped(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def zstd(data):
    import pyarrow

    return pyarrow.Codec("zstd").compress(data, asbytes=True)


TABLE = "q,c,a\nHow many 1?,Tom has 1. He naps.,1\nHow many 2?,Tom has 2. He naps.,2\n"
PACKINGS = {  # the same two rows
    "crlf": TWO.replace(b"\n", b"\r\n"),
    "blank-lines": b"\n \n" + TWO.replace(b"\n", b"\n\n \n"),
    "utf-16": TWO.decode().encode("utf-16"),
    "utf-32": TWO.decode().encode("utf-32"),
    "utf-16-table": TABLE.encode("utf-16"),
    "gzip-members": gzip.compress(lines(row(1))) + gzip.compress(lines(row(2))),
    "bzip2": bz2.compress(TWO),
    "xz": lzma.compress(TWO),
    "zip": zipped(rows=TWO),
    "zstd": zstd(TWO),
    "list": json.dumps([row(1), row(2)], indent=1).encode(),
    "pretty-objects": b"\n".join(json.dumps(row(i), indent=1).encode() for i in (1, 2)),
    "lines-with-commas": TWO.replace(b"}\n", b"},\n"),
    "columns": json.dumps({k: [row(1)[k], row(2)[k]] for k in "qca"}).encode(),
    "columns-by-number": json.dumps({k: {"0": row(1)[k], "1": row(2)[k]} for k in "qca"}).encode(),
    "columns-and-data": json.dumps(
        {"columns": list("qca"), "index": [0, 1], "data": [list(row(i).values()) for i in (1, 2)]}
    ).encode(),
    "semicolons": TABLE.replace(",", ";").encode(),
    "tabs": TABLE.replace(",", "\t").encode(),
    "bars": TABLE.replace(",", "|").encode(),
    "excel": ("sep=;\n" + TABLE.replace(",", ";")).encode(),
    "spaced": TABLE.replace(",", ", ").encode(),
    "numbered": "".join(f"{i or ''},{x}\n" for i, x in enumerate(TABLE.split("\n")[:3])).encode(),
    "table-with-blank-lines": TABLE.replace("\n", "\n\n").encode(),
}


@pytest.mark.parametrize("name", PACKINGS)
def test_the_kind_and_packing_of_a_file_are_found_in_its_content(tmp_path, name):
    (tmp_path / "rows.jsonl").write_bytes(PACKINGS[name])  # of whatever kind
    assert build(tmp_path / "rows.jsonl", tmp_path / "out", *COLUMNS) == 0
    train, test = built(tmp_path / "out")
    texts = sorted((e.question, e.chunks, e.answer) for e in train + test)
    assert texts == [(f"How many {i}?", (f"Tom has {i}.", " He naps."), str(i)) for i in (1, 2)]


REFUSED = {  # a file without rows: words of the refusal
    "git-lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "page": (b"<!DOCTYPE html>\n<html></html>", "download the file itself"),
    "pickle": (b"\x80\x04\x95\x00", "can run code"),
    "python": (b"{'q': 'How?'}\n", "json.dumps"),
    "database": (b"SQLite format 3\x00", "export its table"),
    "cut-off-gzip": (gzip.compress(TWO)[:40], "damaged archive"),
    "cut-off-xz": (lzma.compress(TWO)[:60], "damaged archive"),
    "several-members": (zipped(a=TWO, b=TWO), "archive of 2 files (a, b"),
    "workbook": (zipped(**{"[Content_Types].xml": b"", "b": b""}), "save its sheet as CSV"),
    "latin-1": ("q,c,a\nWho?,José. He naps.,1\n".encode("latin-1"), "say --encoding"),
    "half-utf-16": (TWO.decode().encode("utf-16")[:-1], "--encoding latin-1"),
    "names-only": (b"q,c,a\n", "no row"),
    "name-twice": (b"q,c,a,a\nHow?,A. B.,1,2\n", "two columns are named 'a'"),
    "open-quote": (b'q,c,a\nHow?,"A. B.,1\n', "double quotes"),
    "no-header": (b"How?,A. B.,1\nWhy?,C. D.,2\n", "no column 'q'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_without_rows_is_refused_with_a_way_out(tmp_path, capsys, name):
    data, words = REFUSED[name]
    (tmp_path / "data").write_bytes(data)
    assert words in refusal(capsys, tmp_path / "data", tmp_path / "out", *COLUMNS)


def test_another_encoding_is_named(tmp_path, capsys):
    (tmp_path / "x.csv").write_bytes("q,c,a\nWho?,José. He naps.,1\n".encode("latin-1"))
    given = (*COLUMNS, "--encoding", "latin-1")
    assert build(tmp_path / "x.csv", tmp_path / "out", *given) == 0
    assert built(tmp_path / "out")[0][0].chunks[0] == "José."
    wrong = (*COLUMNS, "--encoding", "latin-99")
    assert "latin-99: is unknown" in refusal(capsys, tmp_path / "x.csv", tmp_path / "new", *wrong)


def test_numbers_keep_their_digits(tmp_path):
    written = ["9007199254740993.0", "123456789012345678901234567890", "1.10", "1e-7"]
    rows = [f'{{"q": "How {i}?", "c": "A. B.", "a": {a}}}' for i, a in enumerate(written)]
    (tmp_path / "x").write_text("\n".join(rows))
    assert build(tmp_path / "x", tmp_path / "out", *COLUMNS) == 0
    assert sorted(e.answer for split in built(tmp_path / "out") for e in split) == sorted(written)


def test_a_table_may_quote_by_backslash_or_not_at_all(tmp_path):
    for name, text in (
        ("x.csv", 'q,c,a\nWho?,"Tom said \\"hi\\", ok. He naps.",1\n'),
        ("x.tsv", 'q\tc\ta\nWho?\tTom said "hi", ok. He naps.\t1\nWho!?\t"Stop. Ok.\t2\n'),
        ("y.csv", 'q,c,a\nWho?,"Tom said ""hi"", ok.\nHe naps.",1\nWhy?,A, B.,2\n'),
    ):
        (tmp_path / name).write_text(text)
        out = tmp_path / f"out-{name}"
        assert build(tmp_path / name, out, *COLUMNS) == 0
        texts = [" ".join(e.text.split()) for split in built(out) for e in split]
        assert 'Tom said "hi", ok. He naps.' in texts


def arrow(table, writer):
    file = io.BytesIO()
    with writer(file, table.schema) as writing:
        writing.write_table(table)
    return file.getvalue()


def test_columns_of_arrow_and_parquet_are_read_as_they_were_written(tmp_path):
    import pyarrow
    import pyarrow.parquet

    features = {"info": {"features": {"a": {"names": ["no", "yes"], "_type": "ClassLabel"}}}}
    exact = pyarrow.table({"q": ["How?"], "c": ["A. B."], "a": [Decimal("1.10")]})
    labels = pyarrow.table({"q": ["Is it?", "Was it?"], "c": ["A. B."] * 2, "a": [1, -1]})
    labels = labels.replace_schema_metadata({"huggingface": json.dumps(features)})
    for number, writer in enumerate(
        (pyarrow.parquet.ParquetWriter, pyarrow.ipc.new_stream, pyarrow.ipc.new_file)
    ):
        for table, kind, answers in ((exact, "number", ["1.10"]), (labels, "choice", ["yes"])):
            path, out = tmp_path / f"{kind}{number}", tmp_path / f"out-{kind}{number}"
            path.write_bytes(arrow(table, writer))
            assert build(path, out, *COLUMNS, "--answer-type", kind) == 0
            assert [e.answer for e in built(out)[0]] == answers  # -1: withheld, rejected


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
