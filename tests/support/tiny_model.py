"""The tests' episodes and their random 2-layer Qwen3."""

from __future__ import annotations

import argparse

from adasr_trl.config.sections import ModelConfig
from adasr_trl.core.episode import Episode
from data_builders.sources import ledger
from support.settings import SCRATCH, STREAMING


def ledger_episodes() -> list[Episode]:
    """60 ledger episodes."""
    parser = argparse.ArgumentParser()
    ledger.add_options(parser)
    options = parser.parse_args(["--train-count", "60", "--test-count", "1"])
    return [episode for episode in ledger.build(options) if episode.source.split == "train"]


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
