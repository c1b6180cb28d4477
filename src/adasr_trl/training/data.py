"""The episodes of a run, read and checked, and their encoding.

>>> texts = load_texts(model_config, load_data(data_config), streaming)
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from adasr_trl.config.sections import DataConfig, ModelConfig, StreamingConfig
from adasr_trl.core.answers import check_gold
from adasr_trl.core.episode import Episode, EpisodeError, read_episodes
from adasr_trl.core.protocol import Markers, Mode
from adasr_trl.layouts import Layout, build_layout, check_markers_in_trace
from adasr_trl.layouts.codec import Codec
from adasr_trl.models.loading import load_tokenizer, positions_of
from adasr_trl.training.episode_checks import Limits, Policy, fitting_only, traced_only
from adasr_trl.training.mixture import Mixture, mix, refuse_doubled

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Data:
    """Training episodes, and those held out to evaluate while training."""

    train: Sequence[Episode]
    held_out: Sequence[Episode]


@dataclass(frozen=True)
class Texts:
    """The episodes with the tokenizer, codec and layout that encode them."""

    data: Data
    tokenizer: PreTrainedTokenizerBase
    streaming: StreamingConfig
    codec: Codec
    layout: Layout


def load_data(config: DataConfig, traced_with: Markers | None = None) -> Data:
    """Read and check every episode, its gold answer included; with markers also its trace, which holds none of them."""

    def check(episode: Episode) -> None:
        check_gold(episode.answer, episode.answer_type)
        if traced_with:
            check_markers_in_trace(episode, traced_with)

    logger.info("reading %s", ", ".join(config.files))
    episodes: Sequence[Episode]
    if not config.mixture:
        episodes = list(read_episodes(config.train, check))
    else:
        episodes = mix(config.mixture, config.temperature, config.mixture_seed)
        for episode in refuse_doubled(episodes):
            try:
                check(episode)
            except ValueError as error:
                raise EpisodeError(f"data.mixture: episode {episode.id!r}: {error}") from None
    if traced_with:
        episodes = _at(episodes, traced_only(episodes, config.untraced))
    cut = len(episodes) - config.held_out
    if cut <= 0:
        raise EpisodeError(
            f"{', '.join(config.files)}: holds {len(episodes)} episodes; data.held_out = {config.held_out} leaves none to "
            f"train on."
        )
    if config.held_out > cut:
        logger.warning(
            "data.held_out: %d of %d episodes are held out, so only %d are trained on",
            config.held_out,
            len(episodes),
            cut,
        )
    return Data(episodes[:cut][: config.max_train_episodes], episodes[cut:])


def _at(episodes: Sequence[Episode], indices: Sequence[int]) -> Sequence[Episode]:
    if len(indices) == len(episodes):
        return episodes
    if isinstance(episodes, Mixture):
        return episodes.select(indices)
    return [episodes[index] for index in indices]


def load_texts(
    model: ModelConfig,
    data: Data,
    streaming: StreamingConfig,
    *,
    too_long: Policy = "refuse",
    mode: Mode | None = None,
) -> Texts:
    """Load (or train) the tokenizer, and check the length of every episode.

    Args:
        model: The model that is trained.
        data: Its episodes.
        streaming: Layout, markers and caps.
        too_long: Treatment of an episode longer than caps or positions.
        mode: Mode of supervised training, whose traces count too; None for rollouts.

    Raises:
        UserError: An episode that is too long, or an unfit chat template.
    """
    counts = len(data.train), len(data.held_out)
    logger.info("checking %d episodes to train on and %d held out", *counts)
    tokenizer = load_tokenizer(model, streaming.markers, data.train)
    return texts_with(tokenizer, data, streaming, positions_of(model), too_long=too_long, mode=mode)


def texts_with(
    tokenizer: PreTrainedTokenizerBase,
    data: Data,
    streaming: StreamingConfig,
    positions: int | None,
    *,
    too_long: Policy = "refuse",
    mode: Mode | None = None,
) -> Texts:
    """``load_texts`` with a tokenizer that is there, for a model with so many positions (None: no limit)."""
    codec = Codec(tokenizer, streaming.markers, streaming.thinking)
    codec.check_markers()
    _warn_of_markers_in(data.train, streaming.markers)
    layout = build_layout(streaming, codec)
    limits = Limits(streaming.max_prompt_tokens, positions)
    train, held_out = (
        _at(part, fitting_only(part, layout, codec, limits, too_long, mode)) if part else part
        for part in (data.train, data.held_out)
    )
    return Texts(Data(train, held_out), tokenizer, streaming, codec, layout)


def _warn_of_markers_in(episodes: Sequence[Episode], markers: Markers) -> None:
    """Name the markers in the data: engines read them as text, but the model may be misled."""
    ids: dict[str, list[str]] = {}
    for episode in episodes:
        for marker in markers.all():
            if marker in episode.question or marker in episode.text:
                ids.setdefault(marker, []).append(episode.id)
    for marker, holders in ids.items():
        logger.warning(
            "streaming.markers: %r stands in the question or input of %d episodes, such as %r; it is read as plain text "
            "there, but another string would be clearer to the model",
            *(marker, len(holders), holders[0]),
        )
