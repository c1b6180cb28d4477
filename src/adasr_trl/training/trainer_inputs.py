"""Arguments of the trainers in Python: a model by name or as it is, its tokenizer and protocol, and rows of any form.

    >>> inputs = trainer_inputs("runs/tiny/seed-0/sft", (rows, None), HRPOConfig(), None, None)
    >>> inputs.texts.streaming.layout, len(inputs.texts.data.train)
    ('interleaved', 684)

What a command checks before a run is checked here, too: answers, lengths, markers, and the protocol of a trained model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from adasr_trl.artifacts import directory
from adasr_trl.artifacts.names import RUN_FILE, STREAMING_FILE
from adasr_trl.artifacts.saved_config import load_streaming, other_protocol
from adasr_trl.config.sections import ModelConfig, StreamingConfig
from adasr_trl.core.episode import Episode
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Mode
from adasr_trl.engines.selfcheck import load_model_for
from adasr_trl.layouts import check_markers_in_trace
from adasr_trl.models.loading import load_tokenizer
from adasr_trl.models.positions import longest_sequence
from adasr_trl.training.data import Data, Texts, texts_with
from adasr_trl.training.episode_checks import traced_only
from adasr_trl.training.episode_rows import EpisodeRows, as_episodes
from adasr_trl.training.given_models import check_given, check_rows, named_origin

NAMES = (str, Path, ModelConfig)  # of models that are loaded, or made, here
# Of TRL's ``model_init_kwargs``, and the setting here.
_INIT_NAMES: Mapping[str, str] = {
    "dtype": "dtype",
    "torch_dtype": "dtype",
    "attn_implementation": "attention",
    "revision": "revision",
    "trust_remote_code": "trust_remote_code",
}


@dataclass(frozen=True)
class TrainerInputs:
    """A trainer's model, and its data with the tokenizer and layout that encode them."""

    model: Any
    texts: Texts
    origin: ModelConfig | None  # source of the weights; None for a model that names none
    columns: Mapping[str, Mapping[str, Any]]  # of the rows, by id of the episode


Arguments = TypeVar("Arguments")


def own_arguments(args: Any, kind: type[Arguments]) -> Arguments:
    """``args``, by default new ones; a UserError refuses another trainer's."""
    if args is None:
        return kind()
    if not isinstance(args, kind):
        raise UserError(
            f"args: got {type(args).__name__}; expected {kind.__name__}, which takes the same arguments."
        )
    return args


def trainer_inputs(
    model: Any,
    datasets: tuple[Any, Any],
    args: Any,
    processing_class: Any,
    streaming: StreamingConfig | None,
    traced_mode: Mode | None = None,
) -> TrainerInputs:
    """Load what is a name, and make episodes of rows.

    Args:
        model: A Hub id, a model's or run's directory, a ``ModelConfig`` (also of a new model), or a model.
        datasets: Training and held-out rows (``episode_rows``), the latter or None; or the ``Texts`` of a configuration.
        args: TRL's training arguments, for ``seed`` and ``model_init_kwargs``.
        processing_class: The tokenizer, or None for the model's own.
        streaming: The protocol, or None for that of a run, else ``StreamingConfig()``.
        traced_mode: Mode of supervised training, whose episodes need traces; None for RL.

    Raises:
        UserError: Rows that are no episodes, a protocol that the model was not taught, a run that is not finished.
    """
    train_dataset, eval_dataset = datasets
    if isinstance(train_dataset, Texts):
        return TrainerInputs(model, train_dataset, None, {})
    if train_dataset is None:
        raise UserError("train_dataset: got none; give rows with question, text and answer.")
    train = as_episodes(train_dataset, "train")
    held_out = EpisodeRows(())
    if eval_dataset is not None:
        held_out = as_episodes(eval_dataset, "eval", "eval_dataset")
    if model is not None and not isinstance(model, NAMES):
        check_given(model)
    origin = _origin(model, args.model_init_kwargs or {})
    streaming = _protocol(origin, streaming, is_taught=traced_mode is not None)
    if traced_mode:
        for rows in (train, held_out):
            traced_only(rows.episodes, "refuse")
            for episode in rows.episodes:
                check_markers_in_trace(episode, streaming.markers)
    tokenizer = processing_class or _tokenizer(origin, streaming, train.episodes)
    if isinstance(model, NAMES):
        model = load_model_for(streaming, cast(ModelConfig, origin), tokenizer, args.seed)
    else:
        check_rows(model, tokenizer)
    positions = longest_sequence(model.config)
    data = Data(train.episodes, held_out.episodes)
    texts = texts_with(tokenizer, data, streaming, positions, mode=traced_mode)
    return TrainerInputs(model, texts, origin, {**train.columns, **held_out.columns})


def _origin(model: Any, init_kwargs: Mapping[str, Any]) -> ModelConfig | None:
    if isinstance(model, ModelConfig):
        return model
    if model is None:
        raise UserError("model: got none; give a Hub id, a run's directory, demo, or a model.")
    if not isinstance(model, str | Path):
        return named_origin(model)
    path = Path(model)
    if (path / RUN_FILE).is_file() and not directory.is_complete(path):
        raise UserError(f"model: the run {model} is not finished; finish it with --resume.")
    unknown = sorted(set(init_kwargs) - set(_INIT_NAMES))
    if unknown:
        raise UserError(
            f"model_init_kwargs: got {unknown[0]}; known are {', '.join(_INIT_NAMES)}. Load the model yourself, and give it "
            f"in place of its name."
        )
    values = {_INIT_NAMES[key]: str(value) for key, value in init_kwargs.items() if value}
    values = {key: value.removeprefix("torch.") for key, value in values.items()}
    origin = ModelConfig(path=str(model), **values)  # type: ignore[arg-type]  # a user's words
    return dataclasses.replace(origin, trust_remote_code=bool(init_kwargs.get("trust_remote_code")))


def _protocol(
    origin: ModelConfig | None, asked: StreamingConfig | None, *, is_taught: bool
) -> StreamingConfig:
    """The protocol asked for, which must be the one that a trained model was taught; SFT may teach another layout."""
    path = Path(origin.path or "") if origin else Path()
    if origin is None or not (path / STREAMING_FILE).is_file():
        return asked or StreamingConfig()
    trained = load_streaming(path)
    if asked is None:
        return trained
    if key := other_protocol(trained, asked, is_taught=is_taught):
        raise UserError(
            f"streaming.{key}: got {vars(asked)[key]!r}, but the model in {path} was taught {vars(trained)[key]!r}; use the "
            f"same, or leave streaming out."
        )
    return asked


def _tokenizer(
    origin: ModelConfig | None, streaming: StreamingConfig, episodes: Sequence[Episode]
) -> Any:
    if origin is None:
        raise UserError(
            "processing_class: got none, and the model names no source; give a tokenizer."
        )
    return load_tokenizer(origin, streaming.markers, episodes)
