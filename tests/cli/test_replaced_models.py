"""What a command does when the model that it starts from was replaced, touched, copied or damaged since."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from safetensors.torch import load_file, save_file

from adasr_trl.artifacts.digests import file_digest
from support import workspace
from support.runs import run

PLAIN = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
QUICK = ("--eval.modes", "[streaming]", "--eval.temperatures", "[0.0]")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, episodes):
    """A complete SFT run, and its evaluation."""
    root = tmp_path_factory.mktemp("finished")
    workspace.make(root, episodes)
    assert run("sft", root, "--max_steps", "1", "--output_dir", str(root / "sft")) == 0
    assert run("eval", root, "--model.path", str(root / "sft"), *QUICK) == 0
    return root


@pytest.fixture
def root(tmp_path, finished):
    """A copy of all that, without times."""
    root = shutil.copytree(finished, tmp_path / "copy", copy_function=shutil.copyfile)
    for name in ("sft", "eval"):
        config = (root / f"{name}.yaml").read_text().replace(str(finished), str(root))
        (root / f"{name}.yaml").write_text(config)
    return root


def evaluate(root, *flags):
    return run("eval", root, "--model.path", str(root / "sft"), *QUICK, *flags)


def replace_weights(file):
    save_file({name: w / 2 for name, w in load_file(file).items()}, file, {"format": "pt"})


def test_sft_from_a_plain_model_starts_anew_when_its_weights_are_replaced(root, caplog):
    plain, new = root / "plain", root / "new"
    plain.mkdir()
    for name in PLAIN:
        shutil.copy(root / "sft" / name, plain / name)
    flags = ("--model", f"{{path: {plain}}}", "--max_steps", "1", "--output_dir", str(new))
    assert run("sft", root, *flags) == 0
    os.utime(plain / "model.safetensors", (1, 1))
    with caplog.at_level("INFO"):
        assert run("sft", root, *flags, "--refresh") == 0
    assert f"{new} is complete" in caplog.messages
    assert not (root / "new.previous").exists()
    replace_weights(plain / "model.safetensors")
    assert run("sft", root, *flags, "--refresh") == 0
    assert (root / "new.previous" / "run.json").is_file()


def test_a_copy_of_an_evaluated_run_holds_its_evaluation(root, caplog):
    with caplog.at_level("INFO"):
        assert evaluate(root, "--resume") == 0
    assert f"{root / 'sft' / 'eval'} is complete" in caplog.messages


def test_an_evaluation_starts_anew_when_the_runs_weights_are_replaced(root, capsys):
    replace_weights(root / "sft" / "model.safetensors")
    assert evaluate(root, "--resume") == 2
    assert "holds another run (run differs)" in capsys.readouterr().err
    assert evaluate(root, "--refresh") == 0
    assert (root / "sft" / "eval.previous" / "run.json").is_file()


def test_an_evaluation_recorded_by_the_digest_of_run_json_is_kept(root, caplog):
    file = root / "sft" / "eval" / "run.json"
    record = json.loads(file.read_text())
    record["identity"]["run"] = file_digest(root / "sft" / "run.json")
    file.write_text(json.dumps(record))
    with caplog.at_level("INFO"):
        assert evaluate(root, "--refresh") == 0
    assert f"{root / 'sft' / 'eval'} is complete" in caplog.messages
    assert not (root / "sft" / "eval.previous").exists()


@pytest.mark.parametrize("flag", ["--resume", "--refresh", "--overwrite"])
def test_a_damaged_record_of_an_evaluation_is_named(root, capsys, flag):
    file = root / "sft" / "eval" / "run.json"
    file.write_bytes(file.read_bytes()[:20])
    assert evaluate(root, flag) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"error: {file}: cannot be read as JSON")
    assert error.endswith(f"restore it, or move {file.parent} aside.")


def test_a_run_in_a_folder_that_looks_like_yaml_is_trained_and_evaluated_there(root, monkeypatch):
    monkeypatch.chdir(root)
    folder = "[1] my runs #2: é"
    assert run("sft", root, "--max_steps", "1", "--output_dir", folder) == 0
    assert run("eval", root, "--model.path", folder, "--eval.output_dir", '"q"', *QUICK) == 0
    assert (root / folder / "eval" / "run.json").is_file()
    assert (root / '"q"' / "table.md").is_file()
