"""Everything tests train on is made in memory: ledger episodes, a byte-level tokenizer, a 2-layer Qwen3."""

from __future__ import annotations

import os

os.environ.update(
    OMP_NUM_THREADS="1",
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_PROGRESS_BARS="1",  # as a command sets it where no terminal is
    TRL_EXPERIMENTAL_SILENCE="1",
    TOKENIZERS_PARALLELISM="false",
)

import hypothesis
import pytest

from adasr_trl.config.sections import ModelConfig
from adasr_trl.core.episode import Episode
from support.settings import SCRATCH, STREAMING
from support.tiny_model import ledger_episodes, small_model, teach

hypothesis.settings.register_profile("no deadline", deadline=None)  # a busy machine is no error
hypothesis.settings.load_profile("no deadline")


@pytest.fixture(autouse=True)
def _own_home(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may read or write the user's home."""
    for name in ("HOME", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))


@pytest.fixture(scope="session")
def episodes() -> list[Episode]:
    """60 ledger episodes."""
    return ledger_episodes()


@pytest.fixture(scope="session")
def tokenizer(episodes: list[Episode]) -> object:
    """A tokenizer trained on them."""
    from adasr_trl.models.loading import load_tokenizer

    config = ModelConfig(init="scratch", scratch=SCRATCH)
    return load_tokenizer(config, STREAMING.markers, episodes)


@pytest.fixture(scope="module")
def parts(tokenizer: object) -> tuple[object, object, object]:
    """Codec, layout and settings of the interleaved layout."""
    from adasr_trl.layouts import build_layout
    from adasr_trl.layouts.codec import Codec

    codec = Codec(tokenizer, STREAMING.markers)
    return codec, build_layout(STREAMING, codec), STREAMING


@pytest.fixture
def model(tokenizer: object) -> object:
    """The same for every test."""
    return small_model(tokenizer)


@pytest.fixture(scope="session")
def taught_weights(tokenizer: object, episodes: list[Episode]) -> dict[str, object]:
    """Made once."""
    return teach(tokenizer, episodes)


@pytest.fixture
def taught(model: object, taught_weights: dict[str, object]) -> object:
    """The small model that ends thoughts, skips and answers."""
    model.load_state_dict(taught_weights)
    return model.eval()
