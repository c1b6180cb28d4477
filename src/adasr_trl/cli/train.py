"""What the commands ``sft``, ``hrpo``, ``grpo`` and ``eval`` do with a configuration.

    >>> run_rl("configs/tiny/hrpo.yaml", ["--learning_rate", "1e-4"], Existing.RESUME, flat=False)

The configuration, the data and the run directory are checked before any model is loaded.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from adasr_trl import __version__
from adasr_trl.artifacts import directory
from adasr_trl.artifacts.names import (
    ADAPTER_CONFIG,
    CONFIG_FILE,
    RUN_FILE,
    SAMPLES_FILE,
    STREAMING_FILE,
)
from adasr_trl.artifacts.provenance import save_provenance
from adasr_trl.artifacts.saved_config import load_streaming
from adasr_trl.artifacts.step_log import StepLines
from adasr_trl.cli.support_matrix import check
from adasr_trl.config.loading import (
    AlarmConfig,
    ConfigError,
    DataConfig,
    EvalConfig,
    GroupFilter,
    LoadedConfig,
    LoraSection,
    ModelConfig,
    RewardConfig,
    StreamingConfig,
    load_config,
    parse_trl,
)
from adasr_trl.config.trackers import check_reporters
from adasr_trl.core.episode import Episode
from adasr_trl.core.files import write_text
from adasr_trl.rewards import Reward, RewardError, build_rewards, source_digests

logger = logging.getLogger(__name__)
T = TypeVar("T")

_SHARED = {"model": ModelConfig, "data": DataConfig, "streaming": StreamingConfig}
SFT_SECTIONS: Mapping[str, Any] = {**_SHARED, "lora": LoraSection | None}
RL_SECTIONS: Mapping[str, Any] = {
    **_SHARED,
    "lora": LoraSection | None,
    "rewards": tuple[RewardConfig, ...],
    "group_filter": GroupFilter | None,
    "alarms": AlarmConfig,
}
EVAL_SECTIONS: Mapping[str, Any] = {"model": ModelConfig, "data": DataConfig, "eval": EvalConfig}


def run_sft(config: str, overrides: Sequence[str], existing: directory.Existing) -> Path:
    """Supervised fine-tuning; returns the run directory."""
    loaded = load_config(config, overrides, SFT_SECTIONS)
    check(loaded, "sft")
    plan = _plan(loaded, "sft", existing)
    if plan.complete:
        return plan.run
    from adasr_trl.engines.selfcheck import load_model_for
    from adasr_trl.training.data import load_data, load_texts
    from adasr_trl.training.distributed import begin_processes
    from adasr_trl.training.loop import train
    from adasr_trl.training.sft import SFTSettings, sft_trainer

    begin_processes(loaded.flat)
    args = parse_trl(loaded, SFTSettings)
    streaming = loaded.section("streaming")
    data = load_data(loaded.section("data"), traced_with=streaming.markers)
    texts = located(loaded, lambda: load_texts(loaded.section("model"), data, streaming))
    plan.take(("sft", "--config", config, *overrides), texts.data.train, texts.data.held_out)
    model = load_model_for(streaming, loaded.section("model"), texts.tokenizer, args.seed)
    train(
        sft_trainer(model, texts, args, loaded.section("lora")),
        plan.run,
        streaming,
        loaded.section("model"),
    )
    return plan.run


def run_rl(
    config: str, overrides: Sequence[str], existing: directory.Existing, *, flat: bool
) -> Path:
    """HRPO, or the flat GRPO baseline; returns the run directory."""
    form = ("--advantages", "flat" if flat else "hierarchical")
    loaded = load_config(config, (*form, *overrides), RL_SECTIONS)
    streaming: StreamingConfig = loaded.section("streaming")
    rewards = rewards_of(loaded, streaming, flat=flat)
    check(loaded, "grpo" if flat else "hrpo")
    plan = _plan(loaded, "grpo" if flat else "hrpo", existing, source_digests(rewards))
    if plan.complete:
        return plan.run
    from adasr_trl.engines.selfcheck import load_model_for
    from adasr_trl.hrpo import CollapseAlarms, HRPOConfig, HRPOTrainer, KeepSamples
    from adasr_trl.training.callbacks import callbacks
    from adasr_trl.training.data import load_data, load_texts
    from adasr_trl.training.distributed import begin_processes
    from adasr_trl.training.loop import lora_config, train

    begin_processes(loaded.flat)
    args = parse_trl(loaded, HRPOConfig)
    check_arguments(loaded, args, rewards, streaming)
    data = load_data(loaded.section("data"))
    texts = located(loaded, lambda: load_texts(loaded.section("model"), data, streaming))
    command = ("grpo" if flat else "hrpo", "--config", config, *overrides)
    plan.take(command, texts.data.train, texts.data.held_out)
    alarms = CollapseAlarms(loaded.section("alarms"))
    trainer = HRPOTrainer(
        load_model_for(streaming, loaded.section("model"), texts.tokenizer, args.seed),
        args=args,
        episodes=texts.data.train,
        eval_episodes=texts.data.held_out or None,
        streaming=streaming,
        rewards=rewards,
        group_filter=loaded.section("group_filter"),
        processing_class=texts.tokenizer,
        peft_config=lora_config(loaded.section("lora"), texts.codec),
        callbacks=[*callbacks(plan.run), alarms],
    )
    trainer.add_callback(KeepSamples(trainer, StepLines(plan.run / SAMPLES_FILE)))
    train(trainer, plan.run, streaming, loaded.section("model"), stopped=alarms.verdict)
    return plan.run


def located(loaded: LoadedConfig, load: Callable[[], T]) -> T:
    """What ``load`` gives; a marker or a template's setting that the tokenizer does not bear is named with its line."""
    from adasr_trl.layouts.codec import MarkerError, ThinkingError

    try:
        return load()
    except MarkerError as error:
        raise ConfigError(f"{loaded.line_of('streaming.markers.' + error.role)}: {error}") from None
    except ThinkingError as error:
        raise ConfigError(f"{loaded.line_of('streaming.thinking')}: {error}") from None


def rewards_of(
    loaded: LoadedConfig, streaming: StreamingConfig, *, flat: bool
) -> tuple[Reward, ...]:
    """The rewards of a file; a ConfigError names the line of one that is not known or does not fit."""
    try:
        return build_rewards(loaded.section("rewards"), streaming, flat=flat)
    except RewardError as error:
        key = "rewards" if error.position is None else f"rewards.{error.position}"
        raise ConfigError(f"{loaded.line_of(key)}: {error}") from None


def check_arguments(
    loaded: LoadedConfig, args: Any, rewards: Sequence[Reward], streaming: StreamingConfig
) -> None:
    """Refuse rewards or a layout that these arguments cannot use, with the line to blame."""
    try:
        args.check_rewards(rewards)
        args.check_layout(streaming.layout)
    except ValueError as error:
        key = str(error).partition(":")[0]
        raise ConfigError(f"{loaded.line_of(key)}: {error}") from None


def run_eval(config: str, overrides: Sequence[str], existing: directory.Existing) -> Path:
    """Answer unseen questions with finished runs; returns the folder of the table."""
    from adasr_trl.evaluation.run import evaluate

    loaded = eval_configs(config, overrides)
    for each in loaded.values():
        each.refuse_unknown(())
        check(each, "eval")
    models = {name: each.section("model") for name, each in loaded.items()}
    first = next(iter(loaded.values()))
    return evaluate(models, first.section("data"), first.section("eval"), existing)


def eval_configs(config: str, overrides: Sequence[str]) -> dict[str, LoadedConfig]:
    """The configuration of each run: with one of ``eval.runs`` as its ``model.path``, or as it is."""
    named = load_config(config, overrides, {"eval": EvalConfig})
    runs: Mapping[str, str] = named.section("eval").runs
    if not runs:
        loaded = load_config(config, overrides, EVAL_SECTIONS)
        return {Path(loaded.section("model").path or "").name: loaded}
    model = named.flat.get("model")
    if isinstance(model, dict) and model.get("path") is not None:
        raise ConfigError(
            f"{named.line_of('model.path')}: model.path: got {model['path']!r} beside eval.runs, which names the runs; "
            f"remove one of them."
        )
    return {
        name: load_config(config, (*overrides, "--model.path", path), EVAL_SECTIONS)
        for name, path in runs.items()
    }


@dataclass(frozen=True)
class _Plan:
    """A run that may start: its directory, identity, and the configuration to write into it."""

    run: Path
    identity: Mapping[str, object]
    resolved: Mapping[str, object]
    existing: directory.Existing
    complete: bool

    def take(self, command: Sequence[str], *episodes: Sequence[Episode]) -> None:
        """Take the directory, once everything else was found in order; one process does it for all.

        Args:
            command: What was typed.
            episodes: What is trained on; their sources and licences are noted, for the model card too.
        """
        if not _is_main_process():
            return
        directory.take(self.run, self.identity, self.existing)
        text = yaml.safe_dump(dict(self.resolved), sort_keys=False, allow_unicode=True)
        write_text(self.run / CONFIG_FILE, text)
        before = self.resolved["model"]["path"]  # type: ignore[index]  # as checked by the section
        everything = itertools.chain(*episodes)
        save_provenance(self.run, command, everything, Path(before) if before else None)


def _plan(
    loaded: LoadedConfig,
    command: str,
    existing: directory.Existing,
    code: Mapping[str, str] | None = None,
) -> _Plan:
    output = loaded.flat.get("output_dir")
    if not isinstance(output, str) or not output:
        raise ConfigError(f"{loaded.path}: output_dir is missing; name the run's directory.")
    model: ModelConfig = loaded.section("model")
    data: DataConfig = loaded.section("data")
    _check_model(loaded, model)
    _check_held_out(loaded, data)
    _check_checkpoints(loaded)
    check_reporters(loaded)
    resolved = loaded.resolved()
    identity = {
        "command": command,
        "version": __version__,
        "config": resolved,
        "model": directory.input_digest(model.path) if model.path else "scratch",
        "train": [directory.input_digest(file) for file in data.files],
        **({"code": dict(code)} if code else {}),
    }
    run = Path(output)
    if not _is_main_process():
        return _Plan(run, identity, resolved, existing, directory.is_complete(run))
    complete = directory.look(run, identity, existing) is directory.State.COMPLETE
    if complete:
        logger.info("%s is complete", run)
    return _Plan(run, identity, resolved, existing, complete)


def _is_main_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _check_checkpoints(loaded: LoadedConfig) -> None:
    if loaded.flat.get("save_total_limit") == 1:
        raise ConfigError(
            f"{loaded.line_of('save_total_limit')}: save_total_limit: got 1; the only checkpoint would be deleted "
            f"before the next one is whole: use 2 or more."
        )


def _check_held_out(loaded: LoadedConfig, data: DataConfig) -> None:
    for key, off in (("eval_strategy", "no"), ("eval_on_start", False)):
        value = loaded.flat.get(key, off)
        if value != off and data.held_out == 0:
            raise ConfigError(
                f"{loaded.line_of(key)}: {key}: got {value!r}, but data.held_out is 0, so there is nothing to evaluate "
                f"on; hold some episodes out, or set {key}: {'no' if off else 'false'}."
            )


def _check_same_streaming(loaded: LoadedConfig, model: ModelConfig) -> None:
    """Refuse to go on with a model that was taught another protocol."""
    path = Path(model.path or "")
    if not (path / STREAMING_FILE).is_file():
        return
    taught, asked = load_streaming(path), loaded.section("streaming")
    keys = ("layout", "markers", "instruction", "thinking")
    for key in (*keys, "boundary") if taught.layout == "parallel" else keys:
        before, now = vars(taught)[key], vars(asked)[key]
        if before != now:
            raise ConfigError(
                f"{loaded.line_of('streaming.' + key)}: streaming.{key}: got {_spelled(now)}, but the model in {path} was "
                f"taught {_spelled(before)}; use the same."
            )


def _spelled(value: object) -> str:
    """A setting as YAML writes it."""
    return json.dumps(value) if value is None or isinstance(value, bool) else repr(value)


def _check_model(loaded: LoadedConfig, model: ModelConfig) -> None:
    """Refuse a directory that is not there (a Hub id has one slash at most) and an unfinished run."""
    if model.path is None:
        return
    path = Path(model.path)
    where = loaded.line_of("model.path")
    if not path.is_dir() and (len(path.parts) != 2 or path.parts[0] in ("runs", ".", "..")):
        raise ConfigError(
            f"{where}: model.path: no directory {model.path!r}; train it first, or name a Hub id."
        )
    if (path / RUN_FILE).is_file() and not directory.is_complete(path):
        raise ConfigError(
            f"{where}: model.path: the run {model.path} is not finished; finish it with --resume."
        )
    if (path / ADAPTER_CONFIG).is_file() and loaded.section("lora") is not None:
        raise ConfigError(
            f"{loaded.line_of('lora')}: lora: the model in {model.path} has an adapter, which goes on being trained; "
            f"remove the section."
        )
    _check_same_streaming(loaded, model)
