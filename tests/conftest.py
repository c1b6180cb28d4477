"""Everything tests train on is made in memory: ledger episodes, a byte-level tokenizer, a 2-layer Qwen3."""

from __future__ import annotations

import argparse
import os

os.environ.update(
    OMP_NUM_THREADS="1",
    HF_HUB_OFFLINE="1",
    TRL_EXPERIMENTAL_SILENCE="1",
    TOKENIZERS_PARALLELISM="false",
)

import hypothesis
import pytest

from adasr_trl.config.sections import ModelConfig, ScratchConfig, StreamingConfig
from adasr_trl.core.episode import Episode
from data_builders.sources import ledger

hypothesis.settings.register_profile("no deadline", deadline=None)  # a busy machine is no error
hypothesis.settings.load_profile("no deadline")

STREAMING = StreamingConfig(max_thought_tokens=12, max_deep_tokens=24, decode_batch=8, read_block=3)
SCRATCH = ScratchConfig(
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=1,
    head_dim=16,
    vocab_size=420,
    max_position_embeddings=512,
)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may read or write the user's home."""
    for name in ("HOME", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))


@pytest.fixture(scope="session")
def episodes() -> list[Episode]:
    """60 ledger episodes."""
    parser = argparse.ArgumentParser()
    ledger.add_options(parser)
    options = parser.parse_args(["--train-count", "60", "--test-count", "1"])
    return [episode for episode in ledger.build(options) if episode.source.split == "train"]


@pytest.fixture(scope="session")
def tokenizer(episodes: list[Episode]) -> object:
    """A tokenizer trained on them."""
    from adasr_trl.models.loading import load_tokenizer

    config = ModelConfig(init="scratch", scratch=SCRATCH)
    return load_tokenizer(config, STREAMING.markers, episodes)


def small_model(tokenizer: object) -> object:
    """A small random model; sharp enough that its samples differ."""
    import torch

    from adasr_trl.models.loading import load_model

    torch.set_num_threads(1)
    model = load_model(ModelConfig(init="scratch", scratch=SCRATCH), tokenizer, seed=0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(6.0)
    return model


@pytest.fixture
def model(tokenizer: object) -> object:
    """The same for every test."""
    return small_model(tokenizer)


def teach(tokenizer: object, episodes: list[Episode], steps: int = 60) -> dict[str, object]:
    """The small model's weights after quick steps on the traces of these 60 episodes."""
    import torch

    from adasr_trl.core.protocol import Mode, Phase
    from adasr_trl.layouts import build_layout
    from adasr_trl.layouts.codec import Codec

    layout = build_layout(STREAMING, Codec(tokenizer, STREAMING.markers))
    model = small_model(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(steps):
        batch = [layout.encode(e, Mode.STREAMING) for e in episodes[step % 15 * 4 :][:4]]
        width = max(len(each.token_ids) for each in batch)
        ids = torch.zeros(4, width, dtype=torch.long)
        labels = torch.full((4, width), -100)
        for row, each in enumerate(batch):
            n = len(each.token_ids)
            ids[row, :n] = torch.tensor(each.token_ids)
            written = torch.tensor(each.phases) != Phase.READ
            labels[row, :n][written] = ids[row, :n][written]
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.state_dict()


@pytest.fixture(scope="session")
def taught_weights(tokenizer: object, episodes: list[Episode]) -> dict[str, object]:
    """Made once."""
    return teach(tokenizer, episodes)


@pytest.fixture
def taught(model: object, taught_weights: dict[str, object]) -> object:
    """The small model that ends thoughts, skips and answers."""
    model.load_state_dict(taught_weights)
    return model.eval()
