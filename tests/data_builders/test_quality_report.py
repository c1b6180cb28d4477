"""The quality report: what it counts, and the leaks, duplicates and early facts that it finds."""

import json
from dataclasses import replace

import pytest

from adasr_trl.core.episode import AnswerType, Episode, Source, read_episodes, write_episodes
from data_builders.__main__ import main
from data_builders.tools.near import NearIndex
from data_builders.tools.quality_report import inspect
from support.building import TOM, gsm8k, write_rows

TEXTS = (
    "Tom has 5 red hens and buys 3 more of them today.",
    "The library of the old town opens at nine and closes at five on most days.",
    "A tram leaves every ten minutes from the square in front of the theatre.",
)


def episode(key, text, split="train", **more):
    chunks = tuple(f" {word}" if i else word for i, word in enumerate(text.split(" ")))
    source = Source("mine", "1", "MIT", split)
    fields = {"question": "How many?", "answer": "8", "answer_type": AnswerType.NUMBER} | more
    return Episode(key, key, chunks=chunks, source=source, **fields)


@pytest.fixture
def build(tmp_path):
    def write(train, test):
        write_episodes(tmp_path / "train.jsonl", train)
        write_episodes(tmp_path / "test.jsonl", test)
        return tmp_path

    return write


def test_a_clean_build_is_counted_and_rendered(tmp_path, capsys):
    rows = write_rows(tmp_path / "rows.jsonl", [{**TOM, "original_id": i % 4} for i in range(20)])
    assert gsm8k(rows, tmp_path / "out", "--test-count", "5") == 0
    capsys.readouterr()
    assert main(["inspect", str(tmp_path / "out"), "--episodes", "2"]) == 0
    text = capsys.readouterr().out
    assert "15 in train.jsonl, 5 in test.jsonl" in text
    assert "stream seconds  mean 5.2, median 5.2, 95 % 5.2, most 5.2 at 150 words a minute" in text
    assert "answer types    number 20" in text
    assert "gold answers    20 of 20 parse" in text
    assert "skip share      0.00" in text
    assert "future facts    0 of 20 traces" in text
    assert "leakage         no group and" in text
    assert text.count("question  How many are left?") == 2
    assert "    2.0 s Tom has 5 apples." not in text
    assert "    1.6 s Tom has 5 apples.\n          > 5 apples" in text
    assert "licence" not in text
    assert ", MIT: 20" in text


def test_a_group_on_both_sides_is_a_leak(build):
    train = [episode("a", TEXTS[0]), episode("b", TEXTS[1])]
    test = [replace(episode("c", TEXTS[2], "test"), group="b")]
    report = inspect(build(train, test))
    assert report.shared_groups == {"b"}
    assert report.near == []


def test_a_near_duplicate_with_other_numbers_is_found(build):
    test = [episode("t", TEXTS[0].replace("5", "9").replace("today", "now"), "test")]
    report = inspect(build([episode(str(i), text) for i, text in enumerate(TEXTS)], test))
    assert [(near[0], near[1]) for near in report.near] == [("t", "0")]
    assert report.near[0][2] == pytest.approx(9 / 10, abs=0.03)


def test_a_text_that_only_shares_its_question_is_no_duplicate(build):
    report = inspect(build([episode("a", TEXTS[1])], [episode("b", TEXTS[2], "test")]))
    assert report.near == []


def test_a_long_text_is_known_by_a_sample_of_its_runs():
    index = NearIndex()
    long = " ".join(f"word{chr(97 + i % 26)}{chr(97 + i // 26)} goes" for i in range(400))
    index.add("long", long)
    assert len(index._holders) < 300
    key, share = index.closest(long)
    assert (key, share) == ("long", 1.0)
    assert index.closest("nothing of all that is said in here at all") is None


def test_a_trace_that_states_a_fact_early_is_named(build):
    text = "Tom has 5. He buys 3."
    chunks = ("Tom has 5.", " He buys 3.")
    good = replace(episode("a", text), chunks=chunks, thoughts=("5", "5 + 3 = 8"), deep="")
    early = replace(good, id="b", group="b", thoughts=("5 + 3 = 8", ""))
    test = [replace(good, id="c", group="c", source=Source("mine", "1", "MIT", "test"))]
    report = inspect(build([good, early], test))
    assert report.early == [("b", "3")]
    counted = report.statistics
    assert (counted.traced, counted.thoughts, counted.skips) == (3, 6, 1)


def test_gold_answers_that_cannot_be_compared_are_named(build):
    train = [episode("a", TEXTS[0]), episode("b", TEXTS[1], answer="many")]
    assert inspect(build(train, [episode("c", TEXTS[2], "test")])).unparsed == ["b"]


def test_episodes_are_drawn_by_a_seed(build):
    train = [episode(str(i), f"{TEXTS[1]} {i}") for i in range(50)]
    folder = build(train, [episode("t", TEXTS[2], "test")])
    drawn = [e.id for e in inspect(folder, episodes=10, seed=3).sample]
    assert drawn == [e.id for e in inspect(folder, episodes=10, seed=3).sample]
    assert drawn != [e.id for e in inspect(folder, episodes=10, seed=4).sample]
    assert len(set(drawn)) == 10


def test_a_directory_without_a_build_is_refused(tmp_path, capsys):
    assert main(["inspect", str(tmp_path)]) == 2
    assert "holds no train.jsonl" in capsys.readouterr().err


def test_a_damaged_line_is_named(build, capsys):
    folder = build([episode("a", TEXTS[0])], [episode("b", TEXTS[1], "test")])
    with (folder / "train.jsonl").open("a") as file:
        file.write(json.dumps({"schema": 1}) + "\n")
    assert main(["inspect", str(folder)]) == 2
    assert "train.jsonl:2" in capsys.readouterr().err
    assert len(list(read_episodes(folder / "test.jsonl"))) == 1
