"""Evaluated runs made up for the report's tests: records, episodes and metrics as the commands leave them."""

from __future__ import annotations

import json
import random
from pathlib import Path

from adasr_trl.artifacts import directory
from adasr_trl.artifacts.saved_config import save_streaming
from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.episode import AnswerType, Episode, Source, write_episodes
from adasr_trl.core.protocol import Ending, Phase
from adasr_trl.core.rollout import Rollout, to_record

UNTRUSTED = "</script><img src=x onerror=alert(1)> & \x1b[31m"


def episode(n: int, chunks: int = 3) -> Episode:
    return Episode(
        id=f"q-{n}",
        group=f"q-{n}",
        question=f"How many coins has Tom in case {n}?" if n else f"How many? {UNTRUSTED}",
        chunks=tuple(f"{' ' if k else ''}Tom finds {k + 1} coins." for k in range(chunks)),
        answer=str(n % 7),
        answer_type=AnswerType.NUMBER,
        source=Source("made up", "1", "CC0-1.0", "test"),
    )


def rollout(of: Episode, dice: random.Random, *, right: float) -> Rollout:
    """Thoughts of 1 (a skip) to 6 tokens, a deep part of 3 to 9 that ends in the answer."""
    parts, endings, thoughts = [(Phase.READ, -1)] * 4, [], []
    for k in range(len(of.chunks)):
        parts += [(Phase.READ, k)] * 6
        written = dice.choice((1, 4, 6))
        parts += [(Phase.STREAM, k)] * written
        endings.append(Ending.SKIP if written == 1 else Ending.THOUGHT)
        thoughts.append("" if written == 1 else f"so far {k}")
    deep = dice.randint(3, 9)
    parts += [(Phase.READ, len(of.chunks))] * 2 + [(Phase.DEEP, len(of.chunks))] * deep
    answered = dice.random() < 0.9
    return Rollout(
        episode_id=of.id,
        prompt_length=4,
        token_ids=tuple(range(len(parts))),
        phases=tuple(phase for phase, _ in parts),
        chunk_of_token=tuple(chunk for _, chunk in parts),
        thought_endings=tuple(endings),
        ending=Ending.ANSWERED if answered else Ending.OUT_OF_TOKENS,
        logprobs=None,
        thoughts=tuple(thoughts),
        deep=f"all in all {UNTRUSTED}" if of.id == "q-0" else "all in all",
        answer=(of.answer if dice.random() < right else "99") if answered else None,
        answer_tokens=deep - 1,
    )


def run(folder: Path, questions: int, seed: int, right: float, *, chunks: int = 3) -> Path:
    """A finished run with the records of greedy streaming, and with what it logged while it was trained."""
    dice = random.Random(seed)
    directory.take(folder, {"command": "made up", "seed": seed}, directory.Existing.REFUSE)
    directory.finish(folder)
    save_streaming(folder, StreamingConfig())
    episodes = [episode(n, chunks) for n in range(questions)]
    write_episodes(folder / "eval" / "episodes.jsonl", episodes)
    with (folder / "eval" / "streaming-temperature-0.jsonl").open("w") as out:
        for each in episodes:
            out.write(json.dumps(to_record(rollout(each, dice, right=right))) + "\n")
    with (folder / "metrics.jsonl").open("w") as out:
        for step in range(1, 11):
            out.write(
                json.dumps({"step": step, "accuracy": step / 10, "deep/tokens": 20 - step}) + "\n"
            )
    return folder


def comparison(root: Path, questions: int = 40) -> Path:
    """Two methods, two seeds each."""
    for seed in range(2):
        run(root / f"seed-{seed}" / "sft", questions, seed, 0.4)
        run(root / f"seed-{seed}" / "hrpo", questions, 10 + seed, 0.8)
    return root
