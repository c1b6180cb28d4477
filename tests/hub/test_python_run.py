"""A model that a script trained and saved is a run for every command."""

from __future__ import annotations

import json

import pytest

from adasr_trl import (
    HRPOConfig,
    HRPOTrainer,
    ModelConfig,
    ScratchConfig,
    StreamingConfig,
    StreamingReasoner,
    StreamingSFTConfig,
    StreamingSFTTrainer,
    as_episodes,
    evaluate,
    write_episodes,
)
from adasr_trl.artifacts.names import METRICS_FILE, SAMPLES_FILE, VERIFY_FILE
from adasr_trl.artifacts.provenance import load_provenance
from adasr_trl.artifacts.saved_config import load_streaming
from adasr_trl.cli.main import main as adasr
from adasr_trl.core.episode import EpisodeError
from adasr_trl.core.errors import UserError
from support import workspace
from support.settings import PARALLEL, STREAMING

CPU = {**workspace.CPU, "save_strategy": "no"}
ROWS = [
    {
        "question": f"How many hens has {name}?",
        "chunks": [f"{name} has {n} hens.", f" {name} buys 3."],
        "answer": n + 3,
        "thoughts": [f"{name} {n}", f"{name} {n} + 3 = {n + 3}"],
        "source": {"name": "farm", "licence": "MIT"},
        "level": n,
    }
    for name in ("Tom", "Ann")
    for n in range(1, 9)
]
BARE = [{k: v for k, v in row.items() if k != "thoughts"} for row in ROWS]


def easy(completions, level, **columns):
    assert set(columns) >= {"question", "answer", "source"}
    return [float(number < 5) for number in level]


def sft(model, folder, rows=ROWS, **more):
    return StreamingSFTTrainer(
        model,
        StreamingSFTConfig(str(folder), max_steps=2, per_device_train_batch_size=4, **CPU),
        rows,
        **more,
    )


def hrpo(model, folder, rewards=("accuracy", "format"), rows=BARE, changes=None, **more):
    sizes = {"num_generations": 4, "per_device_train_batch_size": 4, "max_steps": 2}
    args = HRPOConfig(str(folder), **{**CPU, **sizes, **(changes or {})})
    return HRPOTrainer(model, list(rewards), args, rows, **more)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """SFT of a new model, and HRPO from it."""
    root = tmp_path_factory.mktemp("script")
    scratch = ModelConfig(init="scratch", scratch=ScratchConfig(**workspace.SCRATCH))
    trainer = sft(scratch, root / "sft", streaming=STREAMING, eval_dataset=ROWS[:4])
    trainer.train()
    trainer.save_model()
    rewards = ("accuracy", "format", {"name": easy, "scope": "deep", "weight": 0.1})
    trainer = hrpo(str(root / "sft"), root / "hrpo", rewards)
    trainer.train()
    trainer.save_model()
    return root


def test_it_streams_by_the_protocol_of_its_training(runs):
    assert load_streaming(runs / "hrpo") == STREAMING
    stream = StreamingReasoner.from_pretrained(runs / "hrpo").start("How many hens has Tom?")
    kinds = [event.kind.value for event in stream.feed("Tom has 2 hens.") + stream.finish()]
    assert kinds == ["read", "thought", "deep", "answer"]


def test_it_is_evaluated_reported_verified_and_pushed(runs, tmp_path, capsys):
    figures = evaluate(runs / "hrpo", BARE)
    assert set(figures) == {"streaming-temperature-0", "streaming-temperature-1"}
    assert figures["streaming-temperature-0"].questions == len(BARE)
    page = tmp_path / "page.html"
    assert adasr(["report", str(runs / "hrpo"), "--out", str(page)]) == 0
    assert adasr(["verify", str(runs / "hrpo"), "--device", "cpu"]) == 0
    capsys.readouterr()
    assert adasr(["push", str(runs / "hrpo"), "--repo", "me/hens", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert VERIFY_FILE in shown
    assert "| farm | none | MIT | train | 16 |" in shown
    assert "\npython " in shown
    assert "HRPO (hierarchical relative policy optimization)" in shown


def test_the_command_eval_takes_it_and_its_saved_questions(runs, tmp_path):
    write_episodes(tmp_path / "test.jsonl", as_episodes(BARE[:3], "test").episodes)
    config = tmp_path / "eval.yaml"
    config.write_text(
        f"model: {{path: {runs / 'sft'}}}\n"
        f"data: {{train: {tmp_path / 'test.jsonl'}, test: {tmp_path / 'test.jsonl'}}}\n"
        "eval: {temperatures: [0.0]}\n"
    )
    assert adasr(["eval", "--config", str(config)]) == 0


def test_its_record_names_method_data_rewards_and_what_was_set(runs):
    record = json.loads((runs / "hrpo" / "run.json").read_text())
    config = record["identity"]["config"]
    assert record["complete"]
    assert record["identity"]["command"] == "hrpo"
    assert [reward["name"] for reward in config["rewards"]] == [
        *("accuracy", "format", "format", "easy"),
    ]
    assert config["max_steps"] == 2
    assert "hub_token" not in config
    sources = load_provenance(runs / "hrpo").data
    assert {(s.name, s.licence, s.split) for s in sources} == {
        ("farm", "MIT", "eval"),
        ("farm", "MIT", "train"),
    }
    for name in (METRICS_FILE, SAMPLES_FILE):
        assert (runs / "hrpo" / name).read_text().count("\n") >= 1


def test_other_weights_in_the_same_folder_are_another_run_and_the_same_weights_are_not(
    runs, tmp_path
):
    identities = []
    for rows in (ROWS, ROWS, ROWS[:4]):
        trainer = sft(str(runs / "sft"), tmp_path, rows)
        trainer.train()
        trainer.save_model()
        identities.append(json.loads((tmp_path / "run.json").read_text())["identity"]["weights"])
    assert identities[0] == identities[1]
    assert identities[1] != identities[2]


def test_a_model_saved_before_its_training_is_no_finished_run(runs, tmp_path, caplog, capsys):
    trainer = hrpo(str(runs / "sft"), tmp_path)
    trainer.save_model()
    assert "saved before the first step of training" in caplog.text
    assert not json.loads((tmp_path / "run.json").read_text())["complete"]
    assert adasr(["push", str(tmp_path), "--repo", "me/hens", "--dry-run"]) == 2
    assert "is not a finished run" in capsys.readouterr().err
    trainer.train()
    trainer.save_model()
    assert json.loads((tmp_path / "run.json").read_text())["complete"]


def test_a_checkpoint_of_a_script_streams(runs, tmp_path):
    trainer = hrpo(str(runs / "sft"), tmp_path, changes={"save_strategy": "steps", "save_steps": 1})
    trainer.train()
    assert StreamingReasoner.from_pretrained(tmp_path / "checkpoint-1").layout_name == "interleaved"
    assert not (tmp_path / "checkpoint-1" / "run.json").exists()


def test_functions_alone_train_as_grpo_does_and_say_so(runs, tmp_path, caplog):
    trainer = hrpo(str(runs / "sft"), tmp_path, [easy])
    assert trainer.args.local_weight == 0.0
    assert "HRPO is GRPO; add a local reward" in caplog.text
    with pytest.raises(ValueError, match="no reward has a local scope"):
        hrpo(str(runs / "sft"), tmp_path, [{"name": easy, "scope": "global"}])


def test_arguments_may_be_used_again(runs, tmp_path):
    args = HRPOConfig(str(tmp_path), num_generations=4, reward_weights=[1.0, 0.1], **CPU)
    for _ in range(2):
        trainer = HRPOTrainer(str(runs / "sft"), ["accuracy", "format"], args, BARE)
        assert [reward.weight for reward in trainer.rewards] == [1.0, 0.1, 0.1]
    assert args.reward_weights == [1.0, 0.1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda run, out: hrpo(run, out, streaming=PARALLEL), "streaming.layout: got 'parallel'"),
        (
            lambda run, out: sft(run, out, rows=BARE),
            "16 of 16 episodes have no trace .*docs/OWN_DATA.md",
        ),
        (lambda run, out: hrpo(run, out, rows=None), "train_dataset: got none"),
        (
            lambda run, out: hrpo(run, out, changes={"model_init_kwargs": {"device_map": "auto"}}),
            "model_init_kwargs: got device_map",
        ),
        (
            lambda run, out: hrpo(run, out, rows=[{"prompt": "Tom has 5 hens."}]),
            "would arrive all at once",
        ),
        (
            lambda run, out: hrpo(
                run, out, rows=[{**BARE[0], "chunks": ["Tom has 2 hens." * 3000]}]
            ),
            "1 of 1 episodes is too long",
        ),
    ],
)
def test_what_a_script_cannot_do_is_refused_with_what_to_do(runs, tmp_path, call, message):
    with pytest.raises((UserError, EpisodeError), match=message):
        call(str(runs / "sft"), tmp_path)


def test_a_model_object_brings_its_tokenizer_and_protocol(runs, tmp_path):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(runs / "sft")
    trainer = hrpo(model, tmp_path)
    assert trainer.protocol == STREAMING
    assert len(trainer.processing_class) == len(hrpo(str(runs / "sft"), tmp_path).processing_class)
    assert StreamingConfig() != STREAMING


def test_an_adapter_that_would_leave_added_markers_untrained_is_refused(tmp_path):
    import dataclasses

    from peft import LoraConfig

    streaming = dataclasses.replace(
        STREAMING, markers=dataclasses.replace(STREAMING.markers, add_tokens=True)
    )
    scratch = ModelConfig(init="scratch", scratch=ScratchConfig(**workspace.SCRATCH))
    with pytest.raises(UserError, match="markers' new rows would stay random"):
        sft(scratch, tmp_path, streaming=streaming, peft_config=LoraConfig(r=2))
