"""The README's Python blocks run as printed, from an empty folder; only the model is a smaller one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adasr_trl.artifacts.saved_config import save_streaming
from support.settings import STREAMING

README = Path(__file__).parent.parent.parent / "README.md"
HUB_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
RUN = "runs/tiny/seed-0/hrpo"


def example_with(words: str) -> str:
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), re.M | re.S)
    (code,) = [block for block in blocks if words in block]
    return code


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def saved(model, tokenizer, folder):
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_the_training_example_runs_two_steps(model, tokenizer, tmp_path, empty_folder):
    code = example_with("HRPOTrainer(")
    assert code.count(HUB_MODEL) == 1
    names: dict[str, object] = {}
    exec(code.replace(HUB_MODEL, str(saved(model, tokenizer, tmp_path / "model"))), names)
    assert names["trainer"].state.global_step == 2
    assert [folder.name for folder in empty_folder.iterdir()] == ["runs"]


def test_the_live_example_prints_thoughts_and_an_answer(taught, tokenizer, empty_folder, capsys):
    save_streaming(saved(taught, tokenizer, empty_folder / RUN), STREAMING)
    code = example_with("StreamingReasoner.from_pretrained")
    assert RUN in code
    exec(code, {})
    assert capsys.readouterr().out.startswith("read Tom has 5 coins.\nthought")


def test_the_training_example_stands_on_the_first_screen():
    lines = README.read_text(encoding="utf-8").splitlines()
    assert lines.index("trainer.train()") < 60
    assert len(lines) <= 130
