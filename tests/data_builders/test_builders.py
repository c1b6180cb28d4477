"""What the builders write: episodes from rows, train and test, and the manifest."""

import sys
import types

import pytest

from adasr_trl.core.episode import read_episodes
from data_builders.__main__ import main
from data_builders.sources.split import test_groups as groups_for_test
from support.building import BOAT, TOM, custom, episodes, gsm8k, manifest, refused, write_rows


@pytest.fixture
def toms(tmp_path):
    return write_rows(tmp_path / "toms.jsonl", [TOM] * 20)


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


def test_thoughts_alone_are_a_trace_and_a_deep_part_alone_is_none(tmp_path, out, capsys):
    path = write_rows(tmp_path / "rows.jsonl", [{**BOAT, "notes": ["Ann's", ""]}])
    refused(custom(path, out, "--deep-column", "end"), capsys, "give --thoughts-column")
    assert custom(path, out, "--thoughts-column", "notes", "--test-share", "0") == 0
    (episode,) = read_episodes(out / "train.jsonl")
    assert (episode.thoughts, episode.deep) == (("Ann's", ""), "")


def test_a_set_of_the_hub_is_loaded_by_its_names(out, monkeypatch):
    def load_dataset(name, subset, *, split, revision):
        assert (name, subset, split, revision) == ("me/toms", "main", "test", "abc")
        return [TOM, TOM]

    fake = types.SimpleNamespace(load_dataset=load_dataset)
    monkeypatch.setitem(sys.modules, "datasets", fake)
    hub = ["--hub", "me/toms", "--subset", "main", "--split", "test", "--revision", "abc"]
    assert main(["gsm8k", *hub, "--out", str(out), "--test-share", "0"]) == 0
    assert [e.id for e in read_episodes(out / "train.jsonl")] == ["gsm8k-0", "gsm8k-1"]
    assert manifest(out)["source"]["revision"] == "abc"


def test_a_set_that_the_hub_does_not_give_is_named(out, capsys, monkeypatch):
    def load_dataset(*_, **__):
        raise ConnectionError("no route\nto the Hub")

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    refused(main(["gsm8k", "--hub", "me/x", "--out", str(out)]), capsys, "--hub me/x", "no route")
    assert not out.exists()


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
    assert found["counts"] == {
        "held_by_final_step": 20,
        "steps_deep": 20,
        "steps_streamed": 20,
    }
    # 13 words at 150 a minute; each of the three chunks has a thought.
    assert found["statistics"] == {
        "trace_share": 1.0,
        "skip_share": 0.0,
        "chunks": {"mean": 3.0, "max": 3, "one_chunk_share": 0.0},
        "stream_seconds": {"mean": 5.2, "max": 5.2},
        "words_per_minute": 150.0,
        "answer_types": {"number": 20},
        "groups": 20,
    }
