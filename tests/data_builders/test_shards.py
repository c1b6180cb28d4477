"""Several files as one input: patterns, folders as clones of the Hub have them, shards, and what is missing of them."""

from __future__ import annotations

import gzip
import json
import os

import pyarrow
import pyarrow.parquet
import pytest
from datasets import Dataset, DatasetDict

from data_builders.__main__ import main
from support.building import manifest, refused
from support.wild import COLUMNS, COMMON, build, built, lines, refusal, row

WHOLE = ("--test-share", "0", *COLUMNS)
README = "---\nconfigs:\n- config_name: main\n  data_files:\n  - split: train\n    path: data/train-*\n  - split: test\n    path: data/test-*\n"


def shard(path, *numbers, names=("q", "c", "a")):
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {name: [row(n)[own] for n in numbers] for own, name in zip("qca", names, strict=True)}
    pyarrow.parquet.write_table(pyarrow.table(columns), path)


@pytest.fixture
def clone(tmp_path):
    folder = tmp_path / "Übung [v2]"
    for n in range(3):
        shard(folder / f"data/train-{n:05}-of-00003.parquet", 2 * n + 1, 2 * n + 2)
    shard(folder / "data/test-00000-of-00001.parquet", 90)
    (folder / "README.md").write_text(f"{README}---\n# A set\n")
    (folder / ".gitattributes").write_text("*.parquet filter=lfs\n")
    (folder / "dataset_infos.json").write_text("{}")
    hidden = folder / ".cache/train-00000-of-00001.jsonl"
    hidden.parent.mkdir()
    hidden.write_bytes(lines(row(99)))
    return folder


def several(inputs, out, *flags):
    given = [str(part) for part in inputs]
    kind = ("--answer-type", "number")
    return main(["custom", "--input", *given, *COMMON, *kind, *WHOLE, *flags, "--out", str(out)])


def answers(out):
    return [int(episode.answer) for episode in built(out)[0]]


@pytest.mark.parametrize("has_readme", [True, False])
def test_a_clone_of_the_hub_is_its_split_and_every_file_is_counted(clone, tmp_path, has_readme):
    if not has_readme:
        (clone / "README.md").unlink()
    assert build(clone, tmp_path / "out", *WHOLE) == 0
    assert answers(tmp_path / "out") == [1, 2, 3, 4, 5, 6]
    told = manifest(tmp_path / "out")
    names = [str(clone / f"data/train-{n:05}-of-00003.parquet") for n in range(3)]
    assert (told["input"], told["input_files"]) == (clone.name, dict.fromkeys(names, 2))
    assert build(clone, tmp_path / "test", *WHOLE, "--split", "test") == 0
    assert answers(tmp_path / "test") == [90]


def test_a_split_or_subset_that_is_not_there_is_refused_with_those_that_are(
    clone, tmp_path, capsys
):
    said = refusal(capsys, clone, tmp_path / "out", *WHOLE, "--split", "dev")
    assert "holds no split dev; say --split with one of train, test" in said
    said = refusal(capsys, clone, tmp_path / "out", *WHOLE, "--subset", "big")
    assert "has no subset big; say --subset with one of main" in said
    (clone / "README.md").write_text(
        f"{README}- config_name: other\n  data_files: data/test-*\n---\n"
    )
    assert "holds several subsets" in refusal(capsys, clone, tmp_path / "out", *WHOLE)
    assert build(clone, tmp_path / "out", *WHOLE, "--subset", "other") == 0
    assert answers(tmp_path / "out") == [90]


def test_split_and_subset_are_refused_where_they_have_no_effect(tmp_path, capsys):
    (tmp_path / "rows.jsonl").write_bytes(lines(row(1)))
    for flag in ("--split", "--subset"):
        said = refusal(capsys, tmp_path / "rows.jsonl", tmp_path / "out", *WHOLE, flag, "test")
        assert f"{flag}: has no effect on files" in said


def test_a_saved_set_of_several_splits_is_read_by_split(tmp_path):
    sets = {"train": [row(1)], "dev": [row(2), row(3)]}
    saved = DatasetDict({name: Dataset.from_list(rows) for name, rows in sets.items()})
    saved.save_to_disk(str(tmp_path / "saved"))
    assert build(tmp_path / "saved", tmp_path / "out", *WHOLE, "--split", "dev") == 0
    assert answers(tmp_path / "out") == [2, 3]


@pytest.mark.parametrize("position", range(3))
def test_a_missing_shard_is_refused_and_of_one_named_file_said(clone, tmp_path, caplog, position):
    name = f"train-{position:05}-of-00003.parquet"
    (clone / "data" / name).unlink()
    for given in (clone, clone / "data/train-*"):
        assert several([given], tmp_path / "out") == 2
    left = clone / f"data/train-{(position + 1) % 3:05}-of-00003.parquet"
    assert several([left], tmp_path / "out") == 0
    assert f"{name} is missing (1 of 3 shards are); only {left.name} is read" in caplog.text


def test_shards_that_count_from_one_or_have_a_mark_are_whole(tmp_path):
    shard(tmp_path / "train-1-of-2-aa11.parquet", 1)
    shard(tmp_path / "train-2-of-2-bb22.parquet", 2)
    assert several([tmp_path / "train-*"], tmp_path / "out") == 0
    assert answers(tmp_path / "out") == [1, 2]


def test_a_pattern_takes_packed_files_in_their_natural_order(tmp_path):
    folder = tmp_path / "a [b]"
    folder.mkdir()
    for number in (10, 2, 1):
        (folder / f"part-{number}.jsonl.gz").write_bytes(gzip.compress(lines(row(number))))
    (folder / ".part-3.jsonl.gz").write_bytes(b"hidden")
    assert several([folder / "part-*.jsonl.gz"], tmp_path / "out") == 0
    assert answers(tmp_path / "out") == [1, 2, 10]
    assert [e.id for e in built(tmp_path / "out")[0]] == ["x-0-1", "x-1-1", "x-2-1"]


def test_named_files_keep_their_order_and_none_is_taken_twice(tmp_path, capsys):
    one, two = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    one.write_bytes(lines(row(1)))
    two.write_bytes(lines(row(2)))
    assert several([two, one], tmp_path / "out") == 0
    assert answers(tmp_path / "out") == [2, 1]
    assert several([two, "--input", one], tmp_path / "again") == 0
    assert answers(tmp_path / "again") == [2, 1]
    refused(several([one, tmp_path / "*.jsonl"], tmp_path / "o"), capsys, "1.jsonl is named twice")


def test_a_change_in_one_of_several_files_is_another_input(tmp_path, capsys):
    files = [tmp_path / "1.jsonl", tmp_path / "2.jsonl"]
    for number, file in enumerate(files):
        file.write_bytes(lines(row(number)))
    assert several(files, tmp_path / "out") == 0
    assert several(files, tmp_path / "out") == 0
    assert "up to date" in capsys.readouterr().out
    files[1].write_bytes(lines(row(7)))
    refused(several(files, tmp_path / "out"), capsys, "holds another build")
    files[1].write_bytes(lines(row(1)))
    refused(several(files[::-1], tmp_path / "out"), capsys, "holds another build")


def test_an_empty_shard_is_said_and_empty_ones_alone_are_refused(tmp_path, capsys):
    (tmp_path / "1.jsonl").write_bytes(lines(row(1)))
    (tmp_path / "2.jsonl").write_text("")
    assert several([tmp_path / "*.jsonl"], tmp_path / "out") == 0
    assert "1 rows in 2 input files; without a row: " in capsys.readouterr().out
    assert list(manifest(tmp_path / "out")["input_files"].values()) == [1, 0]
    (tmp_path / "1.jsonl").write_text("")
    refused(several([tmp_path / "*.jsonl"], tmp_path / "o"), capsys, "is empty, as is every other")


def test_a_file_of_other_columns_is_refused_and_an_odd_row_is_named_by_its_file(tmp_path, capsys):
    shard(tmp_path / "1.parquet", 1, 2)
    shard(tmp_path / "2.parquet", 3, names=("ask", "story", "gold"))
    refused(several([tmp_path / "*.parquet"], tmp_path / "o"), capsys, "2.parquet: row 0: no column 'q'", "leave the file out")  # fmt: skip
    (tmp_path / "a.jsonl").write_bytes(lines(row(1)))
    (tmp_path / "b.jsonl").write_bytes(lines(row(2)) + b"{oops\n")
    assert several([tmp_path / "*.jsonl"], tmp_path / "out") == 0
    (rejected,) = manifest(tmp_path / "out")["rejected"]["rows"]
    assert rejected["row"] == f"{tmp_path / 'b.jsonl'}:2"


def test_a_broken_shard_ends_the_build_before_its_first_row(tmp_path, capsys):
    shard(tmp_path / "1.parquet", 1)
    (tmp_path / "2.parquet").write_text("version https://git-lfs.github.com/spec/v1\n")
    refused(several([tmp_path / "*.parquet"], tmp_path / "o"), capsys, "2.parquet: a pointer of Git LFS")  # fmt: skip


def test_a_folder_of_several_kinds_is_refused_and_documents_are_read_with_rows(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/train.json").write_text(json.dumps({"data": [row(1), row(2)]}))
    (tmp_path / "in/dev.json").write_text(json.dumps({"data": [row(3)]}))
    assert build(tmp_path / "in", tmp_path / "out", *WHOLE, "--rows", "data") == 0
    assert answers(tmp_path / "out") == [1, 2]
    (tmp_path / "in/train.json").write_text(json.dumps([row(4), row(5)]))
    (tmp_path / "in/dev.json").unlink()
    assert build(tmp_path / "in", tmp_path / "list", *WHOLE) == 0
    assert answers(tmp_path / "list") == [4, 5]
    (tmp_path / "in/train.csv").write_text("q,c,a\n")
    assert "files of several kinds" in refusal(capsys, tmp_path / "in", tmp_path / "o", *WHOLE)


def test_a_pattern_that_takes_in_a_folder_names_it(tmp_path, capsys):
    (tmp_path / "in/more").mkdir(parents=True)
    (tmp_path / "in/a.jsonl").write_bytes(lines(row(1)))
    (tmp_path / "in/more/b.jsonl").write_bytes(lines(row(2)))
    refused(several([tmp_path / "in/*"], tmp_path / "o"), capsys, "takes in the folder", "more/*")
    assert several([tmp_path / "in/**"], tmp_path / "out") == 0
    assert answers(tmp_path / "out") == [1, 2]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("openai/gsm8k", "a set of the Hub is named by --hub openai/gsm8k"),
        ("file:///data/a.jsonl", "name its path, /data/a.jsonl"),
        ("C:\\data\\a.jsonl", "write the folders of a path with /"),
        ("$HOME/a.jsonl", "variables are not replaced here"),
        ("-", "can be read only once; write the rows to a file"),
        ("/dev/null", "can be read only once"),
    ],
)
def test_a_name_that_is_no_file_says_what_to_give(tmp_path, capsys, given, words):
    refused(several([given], tmp_path / "out"), capsys, words)


def test_a_pipe_is_refused_before_it_is_read(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    refused(several([tmp_path / "pipe"], tmp_path / "out"), capsys, "can be read only once")


def test_home_is_known_in_paths_that_no_shell_has_replaced(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "rows.jsonl").write_bytes(lines(row(1)))
    assert several(["~/rows.jsonl"], "~/out") == 0
    assert answers(tmp_path / "out") == [1]
