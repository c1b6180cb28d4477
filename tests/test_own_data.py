"""docs/OWN_DATA.md as printed: its rows and program build, and its commands train what they build."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from adasr_trl.cli.main import main as adasr
from adasr_trl.core.episode import AnswerType, read_episodes

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "OWN_DATA.md").read_text(encoding="utf-8")
FEW = [
    "--max_steps",
    "2",
    "--save_steps",
    "2",
    "--eval_steps",
    "2",
    "--per_device_eval_batch_size",
    "20",
]


def section(title: str) -> str:
    (text,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    return text


def blocks(title: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", section(title), re.M | re.S)


def commands(title: str) -> list[list[str]]:
    """The lines ``adasr ...`` of a section, without the first word."""
    return [shlex.split(line)[1:] for line in re.findall(r"^ *(adasr .*)$", section(title), re.M)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_problems(count: int) -> None:
    """``problems.jsonl`` in SVAMP's columns."""
    rows = [
        {
            "Body": f"Lena has {n} rolls. The sun shines. Ben has {n + 2} rolls.",
            "Question": "How many rolls do they have?",
            "Equation": f"( {n} + {n + 2} )",
            "Answer": float(2 * n + 2),
        }
        for n in range(1, count + 1)
    ]
    Path("problems.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def test_a_row_with_a_rationale_streams_it_behind_its_sentences(folder):
    (row,) = blocks("Door 1: rationales", "json")
    Path("rows.jsonl").write_text(row, encoding="utf-8")
    build, inspect = commands("Door 1: rationales")
    assert adasr(build) == 0
    assert adasr(inspect) == 0
    (episode,) = read_episodes("data/mine/train.jsonl")
    assert (episode.answer, episode.question) == ("7", "How many are left?")
    assert "3 * 4 = 12" in episode.thoughts[0]
    assert "12 - 5 = 7" in episode.deep


def test_the_program_writes_traces(folder):
    write_problems(20)
    (program,) = blocks("Door 2: traces", "python")
    exec(program, {})
    train = list(read_episodes("data/mine/train.jsonl"))
    assert (len(train), len(list(read_episodes("data/mine/test.jsonl")))) == (18, 2)
    assert (train[0].thoughts, train[0].deep) == (("1", "", "3"), "( 1 + 3 ) = 4.0")
    assert (train[0].answer, train[0].answer_type) == ("4", AnswerType.NUMBER)
    assert adasr(["data", "inspect", "data/mine"]) == 0


def test_answers_alone_build_and_say_what_they_lack(folder, capsys):
    rows = [{"question": "How many?", "text": f"Lena has {n} rolls.", "answer": n} for n in (1, 2)]
    Path("rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    build, *_ = commands("Door 3: answers only")
    assert adasr(build) == 0
    said = capsys.readouterr().out
    assert "no episode has a trace" in said
    assert "docs/OWN_DATA.md" in said


@pytest.mark.slow
def test_the_commands_train_evaluate_and_report(folder, capsys):
    write_problems(60)
    exec(blocks("Door 2: traces", "python")[0], {})
    for command in commands("Train"):
        few = FEW if command[0] in ("sft", "hrpo") else []
        status = adasr([*command, *few])
        assert status == 0 or (command[0] == "doctor" and "CANNOT LEARN" in capsys.readouterr().out)
    assert Path("report.html").is_file()


@pytest.mark.slow
def test_the_format_of_another_set_then_rl_on_answers_alone(folder, capsys):
    rows = [
        {"question": "How many?", "text": f"Lena has {n} rolls. Ben has 2.", "answer": n + 2}
        for n in range(60)
    ]
    Path("rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    build, *_teachers, ledger, sft, doctor = commands("Door 3: answers only")
    assert adasr(build) == 0
    assert adasr([*ledger, "--train-count", "300"]) == 0
    assert adasr([*sft, *FEW, "--data.max_train_episodes", "60"]) == 0
    assert adasr(doctor) in (0, 3)  # 3: it says that a few steps of SFT are too few to learn from
    hrpo = next(command for command in commands("Train") if command[0] == "hrpo")
    answers = ["--data.train", "data/answers/train.jsonl"]
    caps = ["--streaming.max_thought_tokens", "16"]
    assert adasr([*hrpo, *answers, *caps, *FEW]) == 0
