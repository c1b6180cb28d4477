"""Every file under configs/ is read by the parser of its command; a renamed setting fails here."""

from __future__ import annotations

from pathlib import Path

import pytest

from adasr_trl.cli import evaluate, prepare
from adasr_trl.config.loading import load_config, parse_trl
from adasr_trl.experiments.grid import CompareSection
from adasr_trl.rewards import build_rewards
from data_builders.__main__ import main as build

CONFIGS = Path(__file__).parents[2] / "configs"
ON_CPU = ("--use_cpu", "true")  # bf16 without it needs a GPU
LAUNCH = ("accelerate", "deepspeed")  # how processes share a model, whatever it is
OTHERS = (*LAUNCH, "demo")  # the demo has one seed and no comparison
MODELS = sorted(folder.name for folder in CONFIGS.iterdir() if folder.name not in OTHERS)


@pytest.mark.parametrize("model", MODELS)
def test_the_sft_file_of_each_model_parses(model):
    from adasr_trl.training.sft import StreamingSFTConfig

    loaded = load_config(CONFIGS / model / "sft.yaml", ON_CPU, prepare.SFT_SECTIONS)
    assert parse_trl(loaded, StreamingSFTConfig).output_dir == f"runs/{model}/seed-0/sft"


def test_the_demos_stages_parse_and_continue_each_other():
    from adasr_trl.hrpo import HRPOConfig
    from adasr_trl.training.sft import StreamingSFTConfig

    stages = (("pretrain", StreamingSFTConfig), ("sft", StreamingSFTConfig), ("hrpo", HRPOConfig))
    before = None
    for stage, config in stages:
        sections = prepare.RL_SECTIONS if stage == "hrpo" else prepare.SFT_SECTIONS
        loaded = load_config(CONFIGS / "demo" / f"{stage}.yaml", ON_CPU, sections)
        assert loaded.section("model").path == before
        before = parse_trl(loaded, config).output_dir
        assert before == f"runs/demo/{stage}"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("command", ["hrpo", "grpo"])
def test_rl_parses_and_its_rewards_are_known(model, command):
    from adasr_trl.hrpo import HRPOConfig

    loaded = load_config(CONFIGS / model / f"{command}.yaml", ON_CPU, prepare.RL_SECTIONS)
    args = parse_trl(loaded, HRPOConfig)
    assert args.output_dir == f"runs/{model}/seed-0/{command}"
    flat = command == "grpo"
    args.check_rewards(
        build_rewards(loaded.section("rewards"), loaded.section("streaming"), flat=flat)
    )


def test_the_document_of_all_options_parses_and_names_every_field_of_ours():
    from adasr_trl.hrpo import HRPOConfig

    loaded = load_config(CONFIGS / "tiny" / "options.yaml", (), prepare.RL_SECTIONS)
    args = parse_trl(loaded, HRPOConfig)
    args.check_rewards(build_rewards(loaded.section("rewards"), loaded.section("streaming")))
    ours = {"granularity", "mixing", "local_weight", "local_weight_end", "local_weight_schedule"}
    assert {*ours, "local_min_std", "mode", "epsilon_high", "beta"} <= set(loaded.flat)
    for section in ("group_filter", "alarms"):
        assert loaded.line_of(section).startswith(loaded.path + ":")


@pytest.mark.parametrize("model", MODELS)
def test_flat_grpo_differs_from_hrpo_only_in_the_advantages(model):
    hrpo, grpo = (
        load_config(CONFIGS / model / f"{name}.yaml", (), prepare.RL_SECTIONS).resolved()
        for name in ("hrpo", "grpo")
    )
    differing = {key for key in {*hrpo, *grpo} if hrpo.get(key) != grpo.get(key)}
    assert differing <= {"output_dir", "local_weight", "mixing", "local_min_std", "granularity"}


@pytest.mark.parametrize("model", MODELS)
def test_evaluation_and_comparison_parse(model):
    load_config(CONFIGS / model / "eval.yaml", (), evaluate.SECTIONS).refuse_unknown(())
    loaded = load_config(CONFIGS / model / "compare.yaml", (), {"compare": CompareSection})
    loaded.refuse_unknown(())
    section = loaded.section("compare")
    for file in (section.sft, section.hrpo, section.grpo, section.eval):
        assert (CONFIGS.parent / file).is_file()


def test_the_suite_of_the_comparisons_runs_parses():
    found = evaluate.configs_by_run(str(CONFIGS / "tiny" / "suite.yaml"), ())
    compared = load_config(CONFIGS / "tiny" / "compare.yaml", (), {"compare": CompareSection})
    folder = compared.section("compare").output_dir
    assert set(found) == {"sft", "grpo", "hrpo", "read-then-think"}
    for name, loaded in found.items():
        loaded.refuse_unknown(())
        assert loaded.section("model").path == f"{folder}/seed-0/{name}"
    config = found["sft"].section("eval")
    assert config.modes_of("hrpo") == ("streaming", "forced_skip", "no_deep")
    assert config.modes_of("read-then-think") == ("read_then_think", "speculative")


def test_the_embedded_default_builds_a_small_set(tmp_path):
    flags = ["--out", str(tmp_path / "d"), "--train-count", "30", "--test-count", "5"]
    assert build(["--config", str(CONFIGS / "tiny" / "data.yaml"), *flags]) == 0
    assert len((tmp_path / "d" / "test.jsonl").read_text().splitlines()) == 5


@pytest.mark.parametrize("path", sorted((CONFIGS / "deepspeed").iterdir()), ids=lambda p: p.stem)
def test_deepspeed_documents_parse_and_say_their_stage(path):
    flags = ("--deepspeed", str(path))
    loaded = load_config(CONFIGS / "tiny" / "sft.yaml", flags, prepare.SFT_SECTIONS)
    found = loaded.flat["deepspeed"]
    assert found["zero_optimization"]["stage"] == int(path.stem[4])
    offloads = any(key.startswith("offload") for key in found["zero_optimization"])
    assert offloads == path.stem.endswith("offload")


@pytest.mark.parametrize("path", sorted((CONFIGS / "accelerate").iterdir()), ids=lambda p: p.stem)
def test_accelerate_reads_its_documents(path):
    from accelerate.commands.config.config_args import load_config_from_file

    assert load_config_from_file(str(path)).distributed_type in ("MULTI_GPU", "FSDP")
