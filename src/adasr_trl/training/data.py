"""The episodes of a run, read and checked, and their encoding.

>>> texts = load_texts(model_config, load_data(data_config), streaming)
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from adasr_trl.config.sections import DataConfig, ModelConfig, StreamingConfig
from adasr_trl.core.answers import check_gold
from adasr_trl.core.episode import Episode, EpisodeError, read_episodes
from adasr_trl.core.protocol import Markers, Mode
from adasr_trl.layouts import Layout, build_layout, check_trace
from adasr_trl.layouts.codec import Codec
from adasr_trl.models.loading import load_tokenizer
from adasr_trl.training.mixture import mix, refuse_doubled

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
    """Read and check every episode, its gold answer included; with markers also that its trace holds none of them."""

    def check(episode: Episode) -> None:
        check_gold(episode.answer, episode.answer_type)
        if traced_with:
            check_trace(episode, traced_with)

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
    cut = len(episodes) - config.held_out
    if cut <= 0:
        raise EpisodeError(
            f"{', '.join(config.files)}: holds {len(episodes)} episodes; data.held_out = {config.held_out} leaves none to "
            f"train on."
        )
    return Data(episodes[:cut][: config.max_train_episodes], episodes[cut:])


def load_texts(model: ModelConfig, data: Data, streaming: StreamingConfig) -> Texts:
    """Load (or train) the tokenizer; a UserError for an episode that is too long, or an unfit chat template."""
    tokenizer = load_tokenizer(model, streaming.markers, data.train)
    codec = Codec(tokenizer, streaming.markers, streaming.thinking)
    codec.check_markers()
    _warn_of_markers_in(data.train, streaming.markers)
    layout = build_layout(streaming, codec)
    layout.turns(data.train[0], Mode.STREAMING)
    overhead = len(codec.prompt("", streaming.instruction)) + 16
    markers = len(codec.marker("chunk_end"))
    for episode in itertools.chain(data.train, data.held_out):
        most = overhead + 2 * len((episode.question + episode.text).encode())
        if most + markers * len(episode.chunks) > streaming.max_prompt_tokens:
            layout.turns(episode, Mode.STREAMING)  # exact; above, no text has 2 tokens a byte
    return Texts(data, tokenizer, streaming, codec, layout)


def _warn_of_markers_in(episodes: Sequence[Episode], markers: Markers) -> None:
    """Name the markers in the data: engines read them as text, but the model may be misled."""
    ids: dict[str, list[str]] = {}
    for episode in episodes:
        for marker in markers.all():
            if marker in episode.question or marker in episode.text:
                ids.setdefault(marker, []).append(episode.id)
    for marker, found_in in ids.items():
        logger.warning(
            "streaming.markers: %r stands in the question or input of %d episodes, such as %r; it is read as plain text "
            "there, but another string would be clearer to the model",
            marker,
            len(found_in),
            found_in[0],
        )
