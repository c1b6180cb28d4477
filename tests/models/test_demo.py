"""The model in the package: loaded by its name, right on its own story, small, and never written to."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from adasr_trl.artifacts.digests import input_digest
from adasr_trl.core.demo import COPY, FOLDER, QUESTION, STORY, results_directory, run_directory
from adasr_trl.core.errors import UserError

MAX_BYTES = 3_000_000


@pytest.fixture(scope="module")
def reasoner():
    import torch

    from adasr_trl import StreamingReasoner

    torch.set_num_threads(1)
    return StreamingReasoner.from_pretrained("demo", device="cpu")


def answer(reasoner, text: str) -> str:
    stream = reasoner.start(QUESTION)
    stream.feed(text)
    return stream.finish()[-1].text


def test_it_answers_its_own_story(reasoner):
    assert answer(reasoner, STORY) == "9"


def test_a_line_break_behind_each_sentence_changes_nothing(reasoner):
    stream = reasoner.start(QUESTION)
    for sentence in re.split(r"(?<=\.) ", STORY):
        stream.feed(f"{sentence}\n")
        stream.pause()
    assert stream.finish()[-1].text == "9"


@pytest.mark.parametrize("by_line", [False, True])
@pytest.mark.parametrize(
    ("name", "expected"), [("first", 9), ("second", 7), ("third", 8), ("fourth", 8)]
)
def test_it_is_right_on_stories_in_a_newcomers_words(reasoner, name, expected, by_line):
    text = (Path(__file__).parent / "stories" / f"{name}.txt").read_text(encoding="utf-8")
    stories = re.findall(r"^Q: (.+)\nT: (.+)\nA: (.+)$", text, re.MULTILINE)
    assert len(stories) == 10
    right = 0
    for question, told, gold in stories:
        stream = reasoner.start(question)
        for sentence in re.split(r"(?<=[.!?]) ", told) if by_line else [told]:
            stream.feed(f"{sentence}\n" if by_line else sentence)
            stream.pause()
        right += stream.finish()[-1].text == gold
    assert right >= expected


def test_it_is_small_and_has_a_card():
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MAX_BYTES
    assert "make demo" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_a_model_in_a_directory_of_that_name_comes_first_and_any_other_directory_does_not(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("demo").mkdir()
    assert run_directory("demo") == FOLDER
    Path("demo", "streaming.json").touch()
    assert run_directory("demo") == Path("demo")


def test_results_go_into_a_copy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert results_directory("runs/mine") == Path("runs/mine")
    assert results_directory("demo") == COPY
    assert (COPY / "streaming.json").is_file()


@pytest.mark.parametrize("left", ["", "streaming.json", "model.safetensors"])
def test_a_copy_that_was_cut_short_is_made_anew(tmp_path, monkeypatch, left):
    monkeypatch.chdir(tmp_path)
    COPY.mkdir(parents=True)
    if left:
        (COPY / left).write_bytes((FOLDER / left).read_bytes()[:100])
    assert input_digest(results_directory("demo")) == input_digest(FOLDER)
    assert [path.name for path in Path("runs").iterdir()] == [COPY.name]


def test_a_failure_while_copying_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def full(source, copy):
        Path(copy).mkdir()
        raise OSError(28, "No space left on device", str(copy))

    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(OSError, match="No space left"):
        results_directory("demo")
    assert not list(Path("runs").iterdir())


def test_a_copy_that_another_process_made_meanwhile_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    copy = shutil.copytree

    def two(source, folder):
        copy(source, COPY)
        monkeypatch.setattr(Path, "exists", lambda _path: False)
        return copy(source, folder)

    monkeypatch.setattr(shutil, "copytree", two)
    assert input_digest(results_directory("demo")) == input_digest(FOLDER)


def test_records_of_another_release_are_pointed_out_and_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights = results_directory("demo") / "model.safetensors"
    (COPY / "eval").mkdir()
    (COPY / "README.md").write_text("Another card.")
    assert results_directory("demo") == COPY
    weights.write_bytes(bytes(8) + weights.read_bytes()[8:])
    with pytest.raises(UserError, match=r"model.safetensors: is not the package's, .*; rename"):
        results_directory("demo")
    COPY.rename("runs/before")
    assert input_digest(results_directory("demo")) == input_digest(FOLDER)
    assert Path("runs/before/eval").is_dir()


def test_its_identity_is_the_same_wherever_and_whenever_it_was_installed(tmp_path, monkeypatch):
    before = input_digest(FOLDER)
    elsewhere = shutil.copytree(FOLDER, tmp_path / "demo")
    os.utime(elsewhere / "model.safetensors", (1, 1))
    assert input_digest(elsewhere) == before


def test_a_model_section_takes_the_name():
    from adasr_trl.config.sections import ModelConfig

    assert ModelConfig(path="demo").path == str(FOLDER)
