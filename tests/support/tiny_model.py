"""The tests' episodes and their random 2-layer Qwen3."""

from __future__ import annotations

import random

from adasr_trl.config.sections import ModelConfig
from adasr_trl.core.episode import AnswerType, Episode, Source
from support.settings import SCRATCH, STREAMING

PEOPLE, THINGS = ("Tom", "Ann", "Bob", "Eva", "Max", "Ida"), ("apples", "coins", "books", "cards")
GAINS, LOSSES = ("buys", "finds", "gets"), ("loses", "sells", "drops")
CHATTER = ("It rains a lot.", "Ann sings a song.", "The days are long.")


def ledger_episodes() -> list[Episode]:
    """60 stories like the ledger's in few words, so that a tiny model learns their protocol within seconds."""
    rng = random.Random(0)
    return [_story(rng, number) for number in range(60)]


def _story(rng: random.Random, number: int) -> Episode:
    person, things, count = rng.choice(PEOPLE), rng.choice(THINGS), rng.randint(2, 9)
    told = [(f"{person} has {count} {things}.", f"{person} {count}")]
    for is_event in rng.choices((True, False), (3, 2), k=rng.randint(5, 10)):
        if not is_event:
            told.append((rng.choice(CHATTER), ""))
            continue
        change = rng.choice([n for n in range(-6, 7) if n and 0 <= count + n <= 20])
        verb, sign = rng.choice(GAINS if change > 0 else LOSSES), "+" if change > 0 else "-"
        step = f"{person} {count} {sign} {abs(change)} = {count + change}"
        told.append((f"{person} {verb} {abs(change)} {things}.", step))
        count += change
    deep = ""
    if rng.random() < 0.4:
        told.append((f"How many {things} would {person} have now with 2 more?", ""))
        deep, count = f"{person} {count} + 2 = {count + 2}", count + 2
    elif rng.random() < 0.5:
        deep = " , ".join(step for _, step in told if step)
    return Episode(
        id=f"ledger-train-{number}",
        group=f"ledger-train-{number}",
        question=f"How many {things} does {person} have at the end?",
        chunks=tuple(text if n == 0 else f" {text}" for n, (text, _) in enumerate(told)),
        answer=str(count),
        answer_type=AnswerType.NUMBER,
        source=Source("ledger", "1", "Apache-2.0", "train"),
        thoughts=tuple(thought for _, thought in told),
        deep=deep,
        tags=("deep",) if deep else ("shallow",),
    )


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
