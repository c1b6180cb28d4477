"""A pretrained chat model without training here: where it comes from, where its records lie, how it is asked.

    >>> pretrained = pretrained_of("base", ModelConfig(path="Qwen/Qwen2.5-0.5B-Instruct"), config)
    >>> pretrained.folder
    PosixPath('runs/suite/base')
    >>> policy_of(pretrained).codec.turn_end_ids

Its folder has what a run's directory has, without weights: ``streaming.json`` with the prompt, the cap and the clock,
``origin.json`` with the weights' source, and ``eval`` with the records. So every reader of records takes it for a run.
Decoding is plain: no setting of the model's generation_config.json but its ends of sequence is used (Qwen2.5's repetition
penalty would change greedy decoding too).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adasr_trl.artifacts import directory
from adasr_trl.artifacts.digests import base_of, weights_digest
from adasr_trl.artifacts.names import (
    ADAPTER_CONFIG,
    MODEL_CONFIG,
    RUN_FILE,
    STREAMING_FILE,
    is_hub_id,
)
from adasr_trl.artifacts.saved_config import (
    load_origin,
    load_streaming,
    save_origin,
    save_streaming,
)
from adasr_trl.config.eval_section import EvalConfig, ZeroShotSection
from adasr_trl.config.sections import ModelConfig, StreamingConfig
from adasr_trl.core.errors import UserError, first_line
from adasr_trl.core.files import make_folder, read_object
from adasr_trl.core.protocol import Mode

if TYPE_CHECKING:
    from adasr_trl.models.loading import Policy

ZERO_SHOT = Mode.ZERO_SHOT.value
GENERATION_CONFIG = "generation_config.json"  # transformers' name


@dataclass(frozen=True)
class Pretrained:
    """A pretrained model, and how it is asked."""

    source: ModelConfig  # path (or Hub id) and precision of the weights
    folder: Path  # of its records
    asked: ZeroShotSection  # prompt and cap

    @property
    def streaming(self) -> StreamingConfig:
        """Prompt, cap and clock as settings of a rollout."""
        return StreamingConfig(
            instruction=self.asked.instruction,
            max_deep_tokens=self.asked.max_tokens,
            thinking=self.asked.thinking,
        )

    @property
    def identity(self) -> dict[str, object]:
        """What its rollouts depend on, beside the questions."""
        path = Path(self.source.path or "")
        weights = weights_digest(path) if path.is_dir() else self.source.revision
        return {
            "path": self.source.path,
            "weights": weights,
            "gguf_file": self.source.gguf_file,
            "asked": dataclasses.asdict(self.asked),
        }

    def save(self) -> None:
        """Write what readers of its records need."""
        make_folder(self.folder)
        save_streaming(self.folder, self.streaming)
        save_origin(self.folder, self.source)


def pretrained_of(name: str, model: ModelConfig, config: EvalConfig) -> Pretrained | None:
    """The pretrained model that an evaluation names, or None for a run.

    Raises:
        UserError: A run in zero_shot, a pretrained model in another mode, or records that have no place.
    """
    path, modes = Path(model.path or ""), config.modes_of(name)
    if not _is_pretrained(path, model, is_asked=ZERO_SHOT in modes):
        if ZERO_SHOT in modes and directory.is_loadable(path):
            origin = load_origin(path)
            base = origin.path if origin else "a chat model, as a directory or Hub id"
            raise UserError(
                f"eval.modes: zero_shot asks a pretrained model without training, and {path} is a run; name {base}."
            )
        return None
    others = [mode for mode in modes if mode != ZERO_SHOT]
    if others:
        raise UserError(
            f"{path}: is a pretrained model that was not trained here, and knows no {others[0]}; train it first "
            f"(adasr sft), or ask it with --eval.modes '[zero_shot]'."
        )
    if directory.holds_records_alone(path):
        source = dataclasses.replace(load_origin(path) or model, dtype=model.dtype)
        if place := base_of(path):
            source = dataclasses.replace(source, path=str(place))
        return Pretrained(source, path, _asked(path, config.zero_shot))
    if not config.output_dir:
        raise UserError(
            f"eval.output_dir is missing; {path} is a pretrained model, whose records need a folder."
        )
    folder = Path(config.output_dir) / name
    if (folder / RUN_FILE).is_file() or (folder / MODEL_CONFIG).is_file():
        raise UserError(f"{folder}: holds a run; choose another eval.output_dir for zero_shot.")
    return Pretrained(model, folder, config.zero_shot)


def policy_of(pretrained: Pretrained) -> Policy:
    """Tokenizer and weights, with a protocol of one user message.

    Raises:
        UserError: The model cannot be loaded, or its tokenizer has no chat template that could ask it.
    """
    from adasr_trl.models.files import located
    from adasr_trl.models.loading import Policy, load_tokenizer

    source, streaming = pretrained.source, pretrained.streaming
    folder = Path(source.path or "")
    if not source.gguf_file:
        folder = located(source.path or "", source.revision)
        source = dataclasses.replace(source, path=str(folder), revision=None)
    try:
        tokenizer = load_tokenizer(source, streaming.markers, ())
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder}: its tokenizer cannot be loaded ({first_line(error)})."
        ) from error
    if tokenizer.eos_token_id is None:
        raise UserError(f"{folder}: its tokenizer has no eos_token, so no reply would end.")
    policy = Policy(source, streaming, tokenizer, end_ids=_end_ids(folder))
    policy.codec.check_chat_template()
    return policy


def _is_pretrained(path: Path, model: ModelConfig, *, is_asked: bool) -> bool:
    if directory.holds_records_alone(path):
        return True
    if (path / RUN_FILE).is_file() or (path / STREAMING_FILE).is_file():
        return False
    is_model = (path / MODEL_CONFIG).is_file() and not (path / ADAPTER_CONFIG).is_file()
    return (
        is_model
        or model.gguf_file is not None
        or (is_asked and is_hub_id(path) and not path.exists())
    )


def _asked(folder: Path, section: ZeroShotSection) -> ZeroShotSection:
    """The settings of an evaluation, else those of the records that are there."""
    if section != ZeroShotSection():
        return section
    saved = load_streaming(folder)
    return ZeroShotSection(saved.instruction, saved.max_deep_tokens, saved.thinking)


def _end_ids(folder: Path) -> frozenset[int]:
    """Ends of sequence in generation_config.json: Llama 3 and Qwen2.5 have others there than in their tokenizer."""
    path = folder / GENERATION_CONFIG
    if not path.is_file():
        return frozenset()
    ids = read_object(path, "restore it, or name another model").get("eos_token_id")
    return frozenset(ids if isinstance(ids, list) else [] if ids is None else [ids])
