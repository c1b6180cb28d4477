"""Archives, folders and typed tables as other tools write them: every row is read, or the file is refused by name."""

from __future__ import annotations

import gzip
import io
import json
import zipfile

import datasets
import pyarrow
import pyarrow.parquet
import pytest

from support.wild import COLUMNS, build, built, lines, refusal, row


def packed_by_zip(*names):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in names:
            archive.writestr(name, lines(row(5)))
    return data.getvalue()


def table(**more):
    return pyarrow.table({"q": ["How many?"], "c": ["Tom has 5. He naps."], **more})


def answers(out):
    return sorted(episode.answer for split in built(out) for episode in split)


@pytest.mark.parametrize("hidden", ["__MACOSX/._rows.jsonl", ".DS_Store"])
def test_hidden_files_of_an_archive_are_no_rows(tmp_path, hidden):
    (tmp_path / "rows.zip").write_bytes(packed_by_zip("rows.jsonl", hidden))
    assert build(tmp_path / "rows.zip", tmp_path / "out", *COLUMNS) == 0
    assert answers(tmp_path / "out") == ["5"]


def test_packed_parquet_is_read(tmp_path):
    data = io.BytesIO()
    pyarrow.parquet.write_table(table(a=[5]), data)
    (tmp_path / "rows.parquet.gz").write_bytes(gzip.compress(data.getvalue()))
    assert build(tmp_path / "rows.parquet.gz", tmp_path / "out", *COLUMNS) == 0
    assert answers(tmp_path / "out") == ["5"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(gzip.compress(lines(row(5)))), "packed twice"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"Rar!\x1a\x07\x00", "a RAR archive"),
        (b"\x04\x22\x4d\x18rows", "packed by LZ4"),
        (b"rows.jsonl".ljust(257, b"\0") + b"ustar", "a tar archive"),
        (b"\x10\0\0\0rows", "binary data of no known kind"),
        (b"// rows\n[]", "JSON with comments"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path, capsys, content, words):
    (tmp_path / "rows").write_bytes(content)
    assert words in refusal(capsys, tmp_path / "rows", tmp_path / "out", *COLUMNS)


def test_an_encrypted_archive_is_one_line(tmp_path, capsys):
    data = bytearray(packed_by_zip("rows.jsonl"))
    data[6] |= 1  # the flag of the file, and of its entry
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "rows.zip").write_bytes(data)
    said = refusal(capsys, tmp_path / "rows.zip", tmp_path / "out", *COLUMNS)
    assert "cannot be unpacked here" in said


def test_an_address_and_a_pattern_say_so(tmp_path, capsys):
    said = refusal(capsys, "hf://datasets/me/rows.jsonl", tmp_path / "out", *COLUMNS)
    assert "an address, not a file" in said
    assert "name one file" in refusal(capsys, tmp_path / "*.jsonl", tmp_path / "out", *COLUMNS)


def test_a_folder_passes_over_no_file_of_rows(tmp_path, capsys):
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "a.JSON").write_text("\ufeff" + json.dumps(row(5)), encoding="utf-8")
    (folder / "._a.json").write_bytes(b"\0")
    assert build(folder, tmp_path / "out", *COLUMNS) == 0
    assert answers(tmp_path / "out") == ["5"]
    (folder / "b.json.gz").write_bytes(gzip.compress(b"{}"))
    said = refusal(capsys, folder, tmp_path / "other", *COLUMNS)
    assert "also holds b.json.gz" in said


def test_a_name_or_key_that_stands_twice_is_never_the_last_one(tmp_path, capsys):
    path = tmp_path / "rows.parquet"
    five, six = pyarrow.array([5]), pyarrow.array([6])
    two = table(a=five).append_column("a", six)
    pyarrow.parquet.write_table(two, path)
    assert "two columns are named 'a'" in refusal(capsys, path, tmp_path / "out", *COLUMNS)
    parts = pyarrow.StructArray.from_arrays([five, six], names=["x", "x"])
    pyarrow.parquet.write_table(table(a=parts), path)
    assert "two columns are named 'x'" in refusal(capsys, path, tmp_path / "out", *COLUMNS)
    of_map = pyarrow.array([[("x", 5), ("x", 6)]], pyarrow.map_(pyarrow.string(), pyarrow.int64()))
    pyarrow.parquet.write_table(table(a=of_map), path)
    named = (*COLUMNS[:-1], "a.x")
    assert "'x' stands twice" in refusal(capsys, path, tmp_path / "out", *named)


def test_a_saved_set_is_read_whatever_its_format_and_no_image_is_decoded(tmp_path):
    value = datasets.Value("string")
    features = {"q": value, "c": value, "a": datasets.Value("int32"), "image": datasets.Image()}
    rows = {**row(5), "image": {"bytes": b"no image", "path": None}}
    made = datasets.Dataset.from_list([rows], features=datasets.Features(features))
    made.with_format("numpy", columns=["a"]).save_to_disk(str(tmp_path / "saved"))
    assert build(tmp_path / "saved", tmp_path / "out", *COLUMNS) == 0
    assert answers(tmp_path / "out") == ["5"]
