"""Preparation of a run: configuration, rewards, checks, then TRL's arguments, data and tokenizer.

    >>> prepared = prepare("configs/tiny/hrpo.yaml", ["--learning_rate", "1e-5"], "hrpo")
    >>> prepared.args.learning_rate, len(prepared.texts.data.train)
    (1e-05, 5990)

``prepare`` refuses without torch; ``args`` and ``texts`` are made on first use. A refusal names file and line, or flag.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from adasr_trl.cli.support_matrix import check
from adasr_trl.config.key_checks import check_keys, shared_keys
from adasr_trl.config.keys import HIERARCHY, INSTEAD, OBEYED
from adasr_trl.config.loading import LoadedConfig, load_config, parse_trl
from adasr_trl.config.sections import (
    AlarmConfig,
    DataConfig,
    DtypeName,
    GroupFilter,
    LoraSection,
    ModelConfig,
    RewardConfig,
    StreamingConfig,
)
from adasr_trl.config.values import ConfigError, Entry
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Mode
from adasr_trl.hub.secret_scan import kind_of_secret
from adasr_trl.rewards import Reward, RewardError, build_rewards

if TYPE_CHECKING:
    from adasr_trl.training.data import Texts

SFT_SECTIONS: Mapping[str, Any] = {
    "model": ModelConfig,
    "data": DataConfig,
    "streaming": StreamingConfig,
    "lora": LoraSection | None,
}
RL_SECTIONS: Mapping[str, Any] = {
    **SFT_SECTIONS,
    "rewards": tuple[RewardConfig, ...],
    "group_filter": GroupFilter | None,
    "alarms": AlarmConfig,
}


@dataclass
class Prepared:
    """A run whose configuration was checked."""

    command: str  # sft, grpo or hrpo
    loaded: LoadedConfig  # the configuration
    rewards: tuple[Reward, ...]  # rewards of RL; none for SFT

    @property
    def streaming(self) -> StreamingConfig:
        """Layout, markers, caps and clock."""
        return self.loaded.sections["streaming"]  # type: ignore[no-any-return]  # built as such

    @property
    def model_config(self) -> ModelConfig:
        """The model that the run starts from."""
        return self.loaded.sections["model"]  # type: ignore[no-any-return]  # built as such

    def refuse_unknown(self) -> None:
        """Refuse what is no training argument, without torch; ``args`` does so by TRL's own fields (ConfigError)."""
        self.loaded.refuse_unknown(OBEYED[self.command] | HIERARCHY | INSTEAD.keys())

    @cached_property
    def args(self) -> Any:
        """TRL's training arguments (``StreamingSFTConfig`` or ``HRPOConfig``), with sharding set up before."""
        from adasr_trl.training.distributed import begin_processes
        from adasr_trl.training.preflight import check_head, check_loading, check_optimizer

        begin_processes(self.loaded.flat)
        if self.command == "sft":
            from adasr_trl.training.sft import StreamingSFTConfig

            args: Any = parse_trl(self.loaded, StreamingSFTConfig)
            with located(self.loaded, UserError):
                check_loading(args)
                check_optimizer(args)
            return args
        from adasr_trl.hrpo import HRPOConfig

        args = parse_trl(self.loaded.without(shared_keys(self.loaded, self.command)), HRPOConfig)
        with located(self.loaded, ValueError):
            check_loading(args)
            check_optimizer(args)
            check_head(args, self.model_config.path, self.loaded.section("lora"))
            args.check_rewards(self.rewards)
            args.check_layout(self.streaming.layout)
        return args

    @cached_property
    def texts(self) -> Texts:
        """Episodes, tokenizer and layout; each episode was checked."""
        from adasr_trl.layouts.codec import MarkerError, ThinkingError
        from adasr_trl.training.data import load_data, load_texts

        _ = self.args  # refuses more cheaply
        traced = {"traced_with": self.streaming.markers} if self.command == "sft" else {}
        data = load_data(self.loaded.section("data"), **traced)
        mode = Mode(self.args.mode) if self.command == "sft" else None
        with located(self.loaded, MarkerError, ThinkingError):
            return load_texts(
                self.model_config,
                data,
                self.streaming,
                too_long=self.loaded.section("data").too_long,
                mode=mode,
            )

    def load_model(self) -> Any:
        """The model at the start of the training, tried in the run's layout."""
        from adasr_trl.engines.selfcheck import load_model_for

        tokenizer = self.texts.tokenizer
        return load_model_for(self.streaming, self.model_config, tokenizer, self.args.seed)

    def settle_dtype(self, recorded: DtypeName | None) -> None:
        """Put a precision in place of ``model.dtype: auto``: the recorded one, else this device's."""
        model = self.model_config
        if model.dtype != "auto":
            return
        from adasr_trl.models.precision import choose_dtype

        is_new = model.init == "scratch"  # drawn in float32
        dtype = recorded or ("float32" if is_new else choose_dtype())
        model = dataclasses.replace(model, dtype=dtype)
        sections = {**self.loaded.sections, "model": model}
        self.loaded = dataclasses.replace(self.loaded, sections=sections)


def prepare(config: str, overrides: Sequence[str], command: str) -> Prepared:
    """Read and check a run's configuration, without torch.

    Args:
        config: A YAML file.
        overrides: ``--key value`` of the command line.
        command: sft, grpo or hrpo.

    Raises:
        ConfigError: An unknown or unfit setting, or a combination that cannot work.
    """
    rewards: tuple[Reward, ...] = ()
    if command == "sft":
        loaded = load_config(config, overrides, SFT_SECTIONS)
    else:
        form = ("--advantages", "flat" if command == "grpo" else "hierarchical")
        loaded = load_config(config, (*form, *overrides), RL_SECTIONS)
        rewards = _rewards(loaded, flat=command == "grpo")
    _refuse_secrets(loaded.root, "")
    check_keys(loaded, command)
    check(loaded, command)
    return Prepared(command, loaded, rewards)


def _refuse_secrets(entry: Entry, key: str) -> None:
    """Refuse a value that looks like a secret, since a run writes its configuration into files."""
    if isinstance(entry.value, dict | list):
        pairs = entry.value.items() if isinstance(entry.value, dict) else enumerate(entry.value)
        for name, child in pairs:
            _refuse_secrets(child, f"{key}.{name}" if key else str(name))
    elif isinstance(entry.value, str) and (kind := kind_of_secret(f"{key}: {entry.value}")):
        raise ConfigError(
            f"{entry.where}: {key}: looks like a secret ({kind}), and a run writes its configuration into files; set it in "
            f"the environment."
        )


def _rewards(loaded: LoadedConfig, *, flat: bool) -> tuple[Reward, ...]:
    try:
        return build_rewards(loaded.section("rewards"), loaded.section("streaming"), flat=flat)
    except RewardError as error:
        key = "rewards" if error.position is None else f"rewards.{error.position}"
        raise ConfigError(f"{loaded.line_of(key)}: {error}") from None


@contextmanager
def located(loaded: LoadedConfig, *kinds: type[ValueError]) -> Iterator[None]:
    """Give its line to an error whose message opens with the name of a setting."""
    try:
        yield
    except kinds as error:
        key = str(error).partition(":")[0]
        raise ConfigError(f"{loaded.line_of(key)}: {error}") from None
