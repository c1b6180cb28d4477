"""Bad input to the commands: one line, and nothing is written."""

from __future__ import annotations

import json
import shutil

import pytest

from adasr_trl.artifacts import directory
from support import workspace
from support.runs import run


@pytest.fixture(scope="module")
def finished(tmp_path_factory, episodes):
    """A complete SFT run."""
    root = tmp_path_factory.mktemp("finished")
    workspace.make(root, episodes)
    assert run("sft", root) == 0
    return root


@pytest.fixture
def root(tmp_path, episodes, finished):
    """A fresh workspace with that run."""
    workspace.make(tmp_path, episodes)
    shutil.copytree(finished / "sft", tmp_path / "sft")
    return tmp_path


def refused(capsys, command, root, *flags):
    status = run(command, root, *flags)
    error = capsys.readouterr().err
    assert status == 2
    assert error.count("\n") <= 2, error
    return error


def change(root, name, **keys):
    workspace.save(root, name, {**workspace.load(root, name), **keys})


def test_a_missing_configuration_is_named(root, capsys):
    (root / "hrpo.yaml").unlink()
    assert "hrpo.yaml" in refused(capsys, "hrpo", root)


def test_an_unknown_key_is_named_with_its_line(root, capsys):
    change(root, "hrpo", lokal_weight=0.5)
    error = refused(capsys, "hrpo", root)
    assert "lokal_weight" in error
    assert "local_weight" in error
    assert "hrpo.yaml:" in error


def test_a_wrong_type_is_named_with_its_line(root, capsys):
    change(root, "hrpo", max_steps="many")
    error = refused(capsys, "hrpo", root)
    assert "max_steps" in error
    assert "many" in error


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (
            "2026-12-01",
            "sft.yaml:1: output_dir: got 2026-12-01; expected text. Put text in quotes.",
        ),
        ("7", "sft.yaml:1: output_dir: got 7; expected text. Put text in quotes."),
        ("", "sft.yaml: output_dir is missing; name the run's directory."),
    ],
)
def test_a_directory_that_yaml_takes_for_a_date_or_a_number_is_to_be_quoted(
    root, capsys, output, said
):
    keys = workspace.load(root, "sft")
    del keys["output_dir"]
    workspace.save(root, "sft", keys)
    file = root / "sft.yaml"
    file.write_text(f"output_dir: {output}\n{file.read_text()}", encoding="utf-8")
    assert refused(capsys, "sft", root) == f"error: {root}/{said}\n"


PENALTY = ("--rewards.1.name", "accuracy", "--rewards.3.name", "repetition", "--rewards.3.scope",
           "streaming", "--rewards.1.weight", "1", "--rewards.3.settings", "{}")  # fmt: skip


NO_LOCAL = ("--rewards.2.weight", "0", "--rewards.3.weight", "0")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--num_generations", "5"), "5"),
        (("--streaming.max_thought_tokens", "0"), "max_thought_tokens"),
        (("--local_weight", "1.5"), "local_weight"),
        (("--rewards.0.name", "acuracy"), "acuracy"),
        (("--rewards.1.scope", "global"), "format has scope deep or streaming, not global"),
        (("--rewards.0.weight", "0", "--rewards.1.weight", "0", *NO_LOCAL), "every weight is 0"),
        (("--rewards.3.settings.cost", "money"), "tokens or latency"),
        (("--rewards.3.name", "repetition", "--rewards.3.settings", "{}"), "give accuracy"),
        (("--rewards.0.name", "no_module:f"), "cannot be imported"),
        (("--granularity", "word"), "granularity"),
        (("--granularity", "sentence", "--mode", "read_then_think"), "no thought after a chunk"),
        (("--mode", "read_then_think"), "needs thoughts"),
        (("--local_weight_end", "-0.1"), "local_weight_end"),
        (("--local_weight", "0.5", "--rewards", "[{name: accuracy, scope: global}]"), "no reward"),
        (("--local_weight", "0", "--rewards", "[{name: accuracy, scope: deep}]"), "scope global"),
        (("--num_generations", "1"), "num_generations"),
        (("--rewards.1.weight", "0", "--granularity", "sentence"), "no reward has scope streaming"),
        (("--multi_objective_aggregation", "normalize_then_sum", *PENALTY), "apart from accuracy"),
        (
            ("--multi_objective_aggregation", "normalize_then_sum", "--local_min_std", "1"),
            "min_std",
        ),
        (("--scale_rewards", "none", "--local_min_std", "0.1"), "local_min_std"),
        (("--group_filter.max_resamples", "0"), "max_resamples"),
        (("--group_filter.criterion", "luck"), "accuracy or reward"),
        (("--alarms.patience", "0"), "patience"),
        (("--rewards", "[]"), "rewards"),
        (("--mixing", "concave"), "mixing"),
        (("--model.path", "runs/none/sft"), "runs/none/sft"),
        (("--data.train", "none.jsonl"), "none.jsonl"),
        (("--no_such_key", "1"), "no_such_key"),
        (("--steps_per_generation", "4", "--generation_batch_size", "null"), "save_steps"),
        (("--save_strategy", "epoch", "--generation_batch_size", "24"), "save_strategy"),
        (("--save_total_limit", "1"), "save_total_limit"),
        (("--eval_strategy", "steps", "--data.held_out", "0"), "held_out"),
        (("--lora.r", "4", "--repetition_penalty", "1.3"), "repetition_penalty"),
        (("--streaming.instruction", "Think."), "was taught"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_written(root, capsys, flags, said):
    assert said in refused(capsys, "hrpo", root, *flags)
    assert not (root / "hrpo").exists()


EPISODE = {
    "schema": 1,
    "id": "x",
    "group": "x",
    "question": "How many?",
    "chunks": ["Tom has 5 coins."],
    "answer": "5",
    "answer_type": "number",
    "thoughts": ["Tom 5"],
    "deep": "",
    "source": {"name": "mine", "revision": "1", "licence": "MIT", "split": "train"},
}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{not json", "train.jsonl:7: invalid JSON"),
        ('{"schema": 1, "id": "x"}', "train.jsonl:7: "),
        (EPISODE | {"answer": "many"}, "train.jsonl:7: "),
        (EPISODE | {"thoughts": None, "deep": None}, "1 of 48 episodes have no trace (first: 'x')"),
        (EPISODE | {"deep": "5 <EOT>"}, "train.jsonl:7: episode 'x': its trace holds the marker"),
        (EPISODE | {"question": " "}, "train.jsonl:7: question is empty"),
        (EPISODE | {"chunks": [], "thoughts": []}, "train.jsonl:7: chunks is empty"),
    ],
)
def test_a_bad_line_of_the_data_is_named_before_anything_is_written(root, capsys, line, said):
    lines = (root / "train.jsonl").read_text().splitlines()
    lines[6] = line if isinstance(line, str) else json.dumps(line)
    (root / "train.jsonl").write_text("\n".join(lines) + "\n")
    assert said in refused(capsys, "sft", root, "--output_dir", str(root / "new"))
    assert not (root / "new").exists()


def test_an_empty_data_file_is_refused(root, capsys):
    (root / "train.jsonl").write_text("")
    assert "no episode" in refused(capsys, "sft", root, "--output_dir", str(root / "new"))


def test_another_runs_directory_is_refused_and_overwrite_moves_it_aside(root, capsys):
    assert "--overwrite" in refused(capsys, "sft", root)
    assert "holds another run" in refused(capsys, "sft", root, "--learning_rate", "1", "--resume")
    flags = ("--learning_rate", "1e-3", "--max_steps", "1", "--overwrite")
    assert run("sft", root, *flags) == 0
    assert directory.is_complete(root / "sft.previous")
    assert directory.is_complete(root / "sft")


def test_a_directory_with_other_files_is_never_taken(root, capsys):
    (root / "hrpo").mkdir()
    (root / "hrpo" / "thesis.tex").write_text("text")
    assert "not empty" in refused(capsys, "hrpo", root)
    assert (root / "hrpo" / "thesis.tex").read_text() == "text"


def test_a_chat_template_that_cannot_render_a_prompt_is_refused_by_name(root, capsys):
    template = root / "sft" / "chat_template.jinja"
    template.write_text("{{ raise_exception('needs a system message') }}")
    assert "chat template" in refused(capsys, "hrpo", root)
    assert not (root / "hrpo").exists()


def test_an_episode_longer_than_the_prompts_cap_is_refused(root, capsys):
    error = refused(capsys, "hrpo", root, "--streaming.max_prompt_tokens", "20")
    assert "max_prompt_tokens" in error
    assert "ledger-train" in error
