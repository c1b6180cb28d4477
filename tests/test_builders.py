"""The builders' command line on rows of our own: what it writes, what it refuses, and what it leaves behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from adasr_trl.episode import read_episodes
from data_builders.__main__ import main
from data_builders.split import test_groups as groups_for_test

TOM = {
    "question": "Tom has 5 apples. He buys 3 more. He eats 2 of them. How many are left?",
    "answer": "Tom has 5+3 = <<5+3=8>>8 apples.\nSo he has 8-2 = <<8-2=6>>6 left.\n#### 6",
}
BOAT = {"ask": "Whose is the boat?", "story": "It is Ann's. Bob rows it.", "gold": "Ann"}
COLUMNS = ["--question-column", "ask", "--context-column", "story", "--answer-column", "gold"]
CUSTOM = ["custom", *COLUMNS, "--name", "boats", "--licence", "MIT"]


def write_rows(path, rows):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.fixture
def toms(tmp_path):
    return write_rows(tmp_path / "toms.jsonl", [TOM] * 20)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def gsm8k(path, out, *more):
    return main(["gsm8k", "--input", str(path), "--out", str(out), *more])


def custom(path, out, *more):
    kind = () if "--answer-type" in more else ("--answer-type", "text")
    return main([*CUSTOM, "--input", str(path), "--out", str(out), *kind, *more])


def episodes(out):
    return [e for name in ("train", "test") for e in read_episodes(out / f"{name}.jsonl")]


def manifest(out):
    return json.loads((out / "manifest.json").read_text())


def refused(status, capsys, *words):
    """The one line of error that a refused build prints."""
    error = capsys.readouterr().err
    assert status == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    for word in words:
        assert str(word) in error
    return error


# ---- gsm8k


def test_a_row_becomes_an_episode_whose_question_is_known_first(toms, out):
    assert gsm8k(toms, out) == 0
    episode = episodes(out)[0]
    assert episode.question == "How many are left?"
    assert episode.chunks == ("Tom has 5 apples.", " He buys 3 more.", " He eats 2 of them.")
    assert episode.thoughts == ("5 apples", "Tom has 5+3 = 8 apples", "eats 2")
    assert (episode.deep, episode.answer) == ("he has 8-2 = 6 left", "6")


def test_the_question_may_end_the_stream(toms, out):
    assert gsm8k(toms, out, "--question", "last", "--no-notes") == 0
    episode = episodes(out)[0]
    assert episode.question == "Answer the question at the end of the text."
    assert episode.text == TOM["question"]
    assert episode.thoughts == ("", "Tom has 5+3 = 8 apples", "", "")


def test_a_row_of_one_sentence_is_streamed_whole(tmp_path, out):
    row = {"question": "What is 2 plus 3?", "answer": "2+3=<<2+3=5>>5\n#### 5"}
    assert gsm8k(write_rows(tmp_path / "rows.jsonl", [row]), out, "--test-share", "0") == 0
    (episode,) = read_episodes(out / "train.jsonl")
    assert episode.question == "Solve the problem that follows."
    assert episode.chunks == ("What is 2 plus 3?",)
    assert manifest(out)["counts"]["no_sentence_of_its_own_asks"] == 1


def test_a_sentence_that_asks_without_a_question_mark_is_the_question(tmp_path, out):
    row = {"question": "A pen costs $3. Find the price of 2.", "answer": "3*2=<<3*2=6>>6\n#### 6"}
    assert gsm8k(write_rows(tmp_path / "rows.jsonl", [row]), out, "--test-share", "0") == 0
    (episode,) = read_episodes(out / "train.jsonl")
    assert episode.question == "Find the price of 2."


def test_variants_of_one_template_form_one_group(tmp_path, out):
    rows = [{**TOM, "original_id": i // 5} for i in range(50)]
    assert gsm8k(write_rows(tmp_path / "rows.jsonl", rows), out, "--test-count", "5") == 0
    test = list(read_episodes(out / "test.jsonl"))
    assert len(test) == 5
    assert len({episode.group for episode in test}) == 1
    assert manifest(out)["statistics"]["groups"] == 10


def test_text_that_looks_like_a_marker_stays_text_in_a_problem(tmp_path, out):
    row = {**TOM, "question": f"<EOT> is a word. {TOM['question']}"}
    assert gsm8k(write_rows(tmp_path / "rows.jsonl", [row]), out, "--test-share", "0") == 0
    (episode,) = read_episodes(out / "train.jsonl")
    assert episode.text.startswith("<EOT> is a word.")


def test_a_marker_in_a_trace_rejects_its_row(tmp_path, out):
    row = {**TOM, "answer": TOM["answer"].replace("left", "<EOT>")}
    assert (
        gsm8k(write_rows(tmp_path / "rows.jsonl", [TOM, row, TOM]), out, "--test-share", "0") == 0
    )
    assert manifest(out)["rejected"]["by_reason"] == {"marker_in_trace": 1}
    assert manifest(out)["rejected"]["rows"][0]["row"].endswith("gsm8k-2")


def test_rejected_rows_are_counted_and_listed(tmp_path, out, capsys):
    bad_gold = {**TOM, "answer": "#### many"}
    none = {**TOM, "answer": "nothing"}
    path = write_rows(tmp_path / "rows.jsonl", [TOM, bad_gold, none, TOM])
    assert gsm8k(path, out, "--test-share", "0") == 0
    rejected = manifest(out)["rejected"]
    assert rejected["by_reason"] == {"bad_gold": 1, "no_final_answer": 1}
    assert [row["row"] for row in rejected["rows"]] == [f"{path}:2", f"{path}:3"]
    assert "2 rows rejected (bad_gold: 1, no_final_answer: 1)" in capsys.readouterr().out


# ---- custom


def test_columns_are_chosen_by_name(tmp_path, out):
    row = {**BOAT, "notes": ["Ann's", ""], "end": "the owner is asked", "key": "a", "kind": "k"}
    path = write_rows(tmp_path / "rows.jsonl", [row])
    trace = ["--thoughts-column", "notes", "--deep-column", "end"]
    keys = ["--id-column", "key", "--group-column", "kind"]
    assert custom(path, out, *trace, *keys, "--test-share", "1", "--revision", "v2") == 0
    (episode,) = read_episodes(out / "test.jsonl")
    assert (episode.id, episode.group, episode.answer) == ("a", "k", "Ann")
    assert episode.chunks == ("It is Ann's.", " Bob rows it.")
    assert (episode.thoughts, episode.deep) == (("Ann's", ""), "the owner is asked")
    assert (episode.source.name, episode.source.revision) == ("boats", "v2")
    assert episode.source.split == "test"
    assert not (out / "train.jsonl").exists()


def test_a_context_that_is_a_list_is_joined_and_a_number_is_read_as_text(tmp_path, out):
    row = {"ask": "How many?", "story": ["One hen.", "Two cows."], "gold": 3}
    path = write_rows(tmp_path / "rows.jsonl", [row])
    assert custom(path, out, "--answer-type", "number", "--test-share", "0") == 0
    (episode,) = read_episodes(out / "train.jsonl")
    assert (episode.text, episode.answer, episode.thoughts) == ("One hen. Two cows.", "3", None)


def test_every_row_that_cannot_be_used_is_counted_by_its_reason(tmp_path, out):
    faults = [{"ask": " "}, {"story": ""}, {"gold": ""}, {"notes": ["x"]}, {"key": "a"}]
    good = {**BOAT, "notes": ["", ""], "end": "", "key": "a"}
    rows = [good, *({**good, "key": str(i), **fault} for i, fault in enumerate(faults))]
    trace = ["--thoughts-column", "notes", "--deep-column", "end", "--id-column", "key"]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    assert custom(path, out, *trace, "--test-share", "0") == 0
    assert manifest(out)["rejected"]["by_reason"] == {
        "bad_gold": 1,
        "duplicate_id": 1,
        "empty_question": 1,
        "no_chunks": 1,
        "thoughts_do_not_fit": 1,
    }


def test_a_trace_needs_both_of_its_columns(tmp_path, out, capsys):
    path = write_rows(tmp_path / "rows.jsonl", [BOAT])
    refused(custom(path, out, "--deep-column", "end"), capsys, "--thoughts-column", "neither")


# ---- the split


def test_train_and_test_share_no_group_and_lose_no_episode(toms, out):
    assert gsm8k(toms, out, "--test-share", "0.4") == 0
    train, test = (list(read_episodes(out / f"{name}.jsonl")) for name in ("train", "test"))
    assert len(train) + len(test) == 20
    assert not {e.group for e in train} & {e.group for e in test}
    assert {e.source.split for e in test} == {"test"}


def test_a_test_count_is_reached_in_whole_groups(toms, out):
    assert gsm8k(toms, out, "--test-count", "7") == 0
    assert manifest(out)["files"]["test.jsonl"]["episodes"] == 7


def test_a_group_stays_in_its_split_when_rows_are_added():
    few = {str(i): 1 for i in range(50)}
    many = {str(i): 1 for i in range(500)}
    first = groups_for_test(few, seed=1, share=0.2, count=None)
    assert first == groups_for_test(many, seed=1, share=0.2, count=None) & few.keys()


def test_a_split_without_episodes_is_refused(tmp_path, out, capsys):
    path = write_rows(tmp_path / "rows.jsonl", [TOM])
    refused(gsm8k(path, out, "--test-count", "1"), capsys, "--test-count 1", "train")
    assert not out.exists()


def test_two_builds_of_the_same_input_are_equal_and_another_seed_splits_differently(toms, tmp_path):
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        assert gsm8k(toms, tmp_path / name, "--seed", seed, "--test-share", "0.5") == 0
    a, b, c = (manifest(tmp_path / name) for name in "abc")
    assert a == b
    assert a["files"] != c["files"]


def test_the_ledger_keeps_its_own_split(out):
    assert main(["ledger", "--train-count", "6", "--test-count", "3", "--out", str(out)]) == 0
    files = manifest(out)["files"]
    assert {name: file["episodes"] for name, file in files.items()} == {
        "train.jsonl": 6,
        "test.jsonl": 3,
    }


# ---- the manifest


def test_the_manifest_says_what_was_built_from_what(toms, out):
    assert gsm8k(toms, out, "--chunk", "sentence", "--seed", "3") == 0
    found = manifest(out)
    assert found["source"]["licence"] == "MIT"
    assert found["options"]["seed"] == 3
    assert found["counts"] == {"steps_deep": 20, "steps_streamed": 20}
    # 13 words at 150 a minute; each of the three chunks has a thought.
    assert found["statistics"] == {
        "trace_share": 1.0,
        "skip_share": 0.0,
        "chunks": {"mean": 3.0, "max": 3},
        "stream_seconds": {"mean": 5.2, "max": 5.2},
        "words_per_minute": 150.0,
        "answer_types": {"number": 20},
        "groups": 20,
    }


# ---- output directories


def test_a_current_build_is_left_alone(toms, out, capsys):
    assert gsm8k(toms, out) == 0
    before = (out / "train.jsonl").stat().st_mtime_ns
    assert gsm8k(toms, out) == 0
    assert (out / "train.jsonl").stat().st_mtime_ns == before
    assert capsys.readouterr().out.endswith("out: up to date\n")


def test_a_moved_input_with_the_same_content_is_current(toms, tmp_path, out, capsys):
    assert gsm8k(toms, out) == 0
    moved = toms.rename(tmp_path / "sub.jsonl").rename(tmp_path / "toms.jsonl")
    assert gsm8k(moved, out) == 0
    assert "up to date" in capsys.readouterr().out


def test_another_build_is_refused_then_refreshed_or_overwritten(toms, out, capsys):
    assert gsm8k(toms, out) == 0
    refused(gsm8k(toms, out, "--seed", "1"), capsys, "--overwrite", out)
    assert manifest(out)["options"]["seed"] == 0
    assert gsm8k(toms, out, "--seed", "1", "--refresh") == 0
    assert manifest(out)["options"]["seed"] == 1
    write_rows(toms, [TOM] * 30)
    assert gsm8k(toms, out, "--overwrite") == 0
    assert manifest(out)["statistics"]["groups"] == 30


def test_a_refresh_does_not_replace_the_build_of_another_source(toms, out, capsys):
    assert main(["ledger", "--train-count", "2", "--test-count", "1", "--out", str(out)]) == 0
    refused(gsm8k(toms, out, "--refresh"), capsys, "ledger", "--overwrite")


def test_a_directory_with_other_files_is_refused(toms, out, capsys):
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    refused(gsm8k(toms, out, "--refresh"), capsys, "thesis.txt", "--overwrite")
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


def test_an_output_that_is_a_file_is_refused(toms, out, capsys):
    out.write_text("mine")
    refused(gsm8k(toms, out, "--overwrite"), capsys, "is a file")


def test_a_damaged_file_is_built_again(toms, out):
    assert gsm8k(toms, out) == 0
    whole = (out / "train.jsonl").read_text()
    (out / "train.jsonl").write_text(whole[:100])
    assert gsm8k(toms, out, "--refresh") == 0
    assert (out / "train.jsonl").read_text() == whole


def test_what_a_killed_build_left_is_no_obstacle_and_goes_away(toms, out):
    out.mkdir()
    (out / ".train.jsonl.123.partial").write_text("{")
    assert gsm8k(toms, out) == 0
    assert sorted(p.name for p in out.iterdir()) == ["manifest.json", "test.jsonl", "train.jsonl"]


def test_a_split_that_is_not_written_any_more_goes_away(toms, out):
    assert gsm8k(toms, out) == 0
    assert gsm8k(toms, out, "--test-share", "0", "--refresh") == 0
    assert not (out / "test.jsonl").exists()


def test_a_full_disk_leaves_nothing(toms, out, capsys, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused(gsm8k(toms, out), capsys, out, "No space left on device")
    assert not out.exists()


def test_a_full_disk_leaves_the_old_build(toms, out, capsys, monkeypatch):
    assert gsm8k(toms, out) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    synced = []

    def full_at_the_third(descriptor):
        synced.append(descriptor)
        if len(synced) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_at_the_third)
    refused(gsm8k(toms, out, "--seed", "1", "--refresh"), capsys, "No space left")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


# ---- bad input: one line, exit status 2, nothing written


def test_a_missing_file_is_named(tmp_path, out, capsys):
    refused(gsm8k(tmp_path / "no.jsonl", out), capsys, "no.jsonl: no such file")
    assert not out.exists()


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], ("rows.jsonl", "empty")),
        (["", " "], ("rows.jsonl", "empty")),
        ([TOM] * 6 + ["{"], ("rows.jsonl:7", "invalid JSON")),
        ([TOM, "[1]"], ("rows.jsonl:2", "a list")),
        ([TOM, {"question": "Why?"}], ("rows.jsonl:2", "'answer'", "question")),
        ([{**TOM, "question": ["a"]}], ("rows.jsonl:1", "'question'", "a list")),
        ([TOM, "[" * 100_000], ("rows.jsonl:2", "invalid JSON")),
        ([{**TOM, "question": ""}], ("rows.jsonl:1", "empty_question")),
        ([{**TOM, "answer": "#### soon"}], ("rows.jsonl:1", "bad_gold", "soon")),
    ],
)
def test_a_broken_input_is_refused_with_file_and_line(tmp_path, out, capsys, lines, words):
    path = write_rows(tmp_path / "rows.jsonl", lines)
    refused(gsm8k(path, out), capsys, *words)
    assert not out.exists()


def test_bytes_that_are_no_text_are_refused(tmp_path, out, capsys):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(json.dumps(TOM).encode() + b'\n{"question": "\xff"}\n')
    refused(gsm8k(path, out), capsys, "rows.jsonl:2", "UTF-8")


def test_a_missing_column_is_named_with_those_that_exist(tmp_path, out, capsys):
    path = write_rows(tmp_path / "rows.jsonl", [BOAT, {"ask": "?", "story": "x"}])
    refused(custom(path, out), capsys, "rows.jsonl:2", "'gold'", "ask, story")


def test_strict_makes_a_rejected_row_an_error(tmp_path, out, capsys):
    path = write_rows(tmp_path / "rows.jsonl", [TOM, TOM, {**TOM, "answer": "#### soon"}])
    refused(gsm8k(path, out, "--strict"), capsys, "rows.jsonl:3", "bad_gold", "--strict")
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["poems", "--out", "x"], ("unknown source", "poems", "gsm8k")),
        (["gsm8k", "--out", "x"], ("--input", "--hub", "required")),
        (["gsm8k", "--input", "x.jsonl"], ("--out", "required")),
        (["gsm8k", "--input", "a", "--out", "x", "--sed", "1"], ("--sed", "--seed")),
        (["gsm8k", "--input", "a", "--out", "x", "--seed", "one"], ("--seed", "one")),
        (["gsm8k", "--input", "a", "--out", "x", "--chunk", "page"], ("--chunk", "page")),
        (["gsm8k", "--input", "a", "--out", "x", "--test-share", "2"], ("--test-share", "2")),
        (["gsm8k", "--input", "a", "--out", "x", "--test-count", "0"], ("--test-count", "0")),
        (["--out", "x"], ("--config",)),
    ],
)
def test_a_bad_argument_is_named(arguments, words, capsys):
    refused(main(arguments), capsys, *words)


def test_without_arguments_the_sources_are_listed(capsys):
    assert main([]) == 2
    assert "gsm8k" in capsys.readouterr().out


# ---- configuration files


def config(tmp_path, text):
    path = tmp_path / "data.yaml"
    path.write_text(text)
    return path


def test_a_file_gives_the_options_and_the_command_line_wins(toms, tmp_path, out):
    text = f"source: gsm8k\ninput: {toms}\nseed: 4\ntest_share: 0.5\nnotes: false\n"
    path = config(tmp_path, text)
    assert main(["--config", str(path), "--out", str(out), "--seed", "5"]) == 0
    options = manifest(out)["options"]
    assert (options["seed"], options["test_share"], options["notes"]) == (5, 0.5, False)


def test_a_file_refreshes_its_older_build(toms, tmp_path, out):
    for seed in (1, 2):
        text = f"source: gsm8k\ninput: {toms}\nout: {out}\nseed: {seed}\n"
        assert main(["--config", str(config(tmp_path, text))]) == 0
    assert manifest(out)["options"]["seed"] == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("out: x\n", ("data.yaml", "source is missing")),
        ("source: poems\n", ("data.yaml:1", "unknown source 'poems'", "gsm8k")),
        ("source: gsm8k\ninput: a\nout: x\nsede: 1\n", ("data.yaml:4", "sede", "--seed")),
        ("source: gsm8k\ninput: a\nseed: one\nout: x\n", ("data.yaml:3", "--seed", "one")),
        ("source: gsm8k\ninput: a\nout:\n", ("data.yaml:3", "out", "nothing")),
        ("source: gsm8k\ninput: [a]\nout: x\n", ("data.yaml:2", "input", "a list")),
        ("source: gsm8k\nseed: 1\nseed: 2\n", ("data.yaml:3", "seed", "already")),
        ("source: [\n", ("data.yaml", "YAML")),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path, capsys, text, words):
    refused(main(["--config", str(config(tmp_path, text))]), capsys, *words)


def test_the_program_prints_no_traceback(tmp_path):
    command = [sys.executable, "-m", "data_builders", "gsm8k", "--input", "no.jsonl", "--out", "x"]
    root = Path(__file__).parent.parent
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "error: no.jsonl: no such file.\n")
