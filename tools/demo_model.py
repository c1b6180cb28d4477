"""Packs a finished run as the model in the package (``src/adasr_trl/demo``), the last step of ``make demo``.

    python -m tools.demo_model runs/demo/hrpo

Weights are written in half precision, and the answers of both precisions to unseen questions are compared. The card
beside them names data, commands, seed and figures.
"""

from __future__ import annotations

import argparse
import shutil
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from adasr_trl.artifacts.names import EPISODES_FILE, STREAMING_FILE
from adasr_trl.config.sections import ModelConfig
from adasr_trl.core.answers import is_right
from adasr_trl.core.demo import FOLDER
from adasr_trl.core.episode import Episode, read_episodes, write_episodes
from adasr_trl.core.files import write_text
from adasr_trl.core.rollout import Rollout
from adasr_trl.engines import Request, Sampling
from adasr_trl.engines.registry import local_engine
from adasr_trl.models.loading import Policy, load_policy

SUMMARY = "Pack a finished run as the model in the package."
TEST = Path("data/demo/test.jsonl")
WEIGHTS = "model.safetensors"  # transformers' name
MAX_BYTES = 3_000_000
EPISODES = 20  # shipped, for adasr replay demo
FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    STREAMING_FILE,
)


def main() -> int:
    """Pack, compare, and write the card."""
    parser = argparse.ArgumentParser(description=SUMMARY)
    parser.add_argument("run", type=Path, help="the finished run")
    run: Path = parser.parse_args().run
    torch.set_num_threads(1)
    episodes = list(read_episodes(TEST))
    pack(run)
    write_episodes(FOLDER / EPISODES_FILE, islice(episodes, EPISODES))
    whole, packed = (
        answers(load_policy(ModelConfig(path=str(p))), episodes) for p in (run, FOLDER)
    )
    same = sum(a.answer == b.answer for a, b in zip(whole, packed, strict=True))
    size = sum(file.stat().st_size for file in FOLDER.rglob("*") if file.is_file())
    if size > MAX_BYTES:
        raise SystemExit(
            f"{FOLDER}: {size:,} bytes; expected at most {MAX_BYTES:,}. Train a smaller model."
        )
    parameters = sum(p.numel() for p in load_policy(ModelConfig(path=str(run))).model.parameters())
    write_text(
        FOLDER / "README.md", card(parameters, shares(packed, episodes), len(episodes), same)
    )
    print(f"{FOLDER}: {size:,} bytes; {same} of {len(episodes)} answers as in full precision")
    return 0


def pack(run: Path) -> None:
    """Copy what loading needs, with the weights in half precision."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    for name in FILES:
        shutil.copy2(run / name, FOLDER / name)
    model: Any = load_policy(ModelConfig(path=str(run))).model
    weights = {
        name: weight.to(torch.float16).contiguous() for name, weight in model.state_dict().items()
    }
    if model.config.tie_word_embeddings:
        del weights["lm_head.weight"]
    save_file(weights, FOLDER / WEIGHTS, metadata={"format": "pt"})
    (FOLDER / WEIGHTS).chmod(0o644)  # as all other files


def answers(policy: Policy, episodes: list[Episode]) -> list[Rollout]:
    """Greedy rollouts."""
    requests = [Request(episode, seed=0) for episode in episodes]
    return local_engine(policy).rollout(requests, Sampling(temperature=0.0))


def shares(rollouts: list[Rollout], episodes: list[Episode]) -> dict[str, tuple[float, int]]:
    """Share of right answers and number of questions, by tag and for all."""
    by_tag: dict[str, list[bool]] = {}
    for rollout, episode in zip(rollouts, episodes, strict=True):
        right = is_right(rollout.answer, episode.answer, episode.answer_type)
        for tag in ("all", *episode.tags):
            by_tag.setdefault(tag, []).append(right)
    return {tag: (sum(right) / len(right), len(right)) for tag, right in sorted(by_tag.items())}


def card(parameters: int, figures: dict[str, tuple[float, int]], count: int, same: int) -> str:
    """The card beside the model."""
    rows = "\n".join(
        f"| {tag} | {number} | {share:.0%} |" for tag, (share, number) in figures.items()
    )
    return f"""# The demo model

A Qwen3-architecture model of {parameters:,} parameters that thinks while a short English story arrives, and counts one
person's things at its end. `adasr stream demo` shows it; `StreamingReasoner.from_pretrained("demo")` loads it.

- Training: SFT, then HRPO, from scratch, on the generated stories of `data_builders/sources/ledger.py` alone. No other text
  was used. Names, things and verbs are word lists of that source; a share of the names is invented.
- Command: `make demo` (data, SFT, HRPO and packing; `configs/demo`, seed 0 throughout).
- Licence: Apache-2.0, like the code and the stories.
- Weights: half precision; {same} of {count} greedy answers equal those of the weights in full precision.
- Use: one person's things, up to 50, in sentences about gains, losses and corrections. A verb that it does not know or an
  amount such as "some" gives `unknown`. It knows no other task, and can be wrong on wordings that it never read.

Greedy answers to unseen stories of the same source (`new name`: a person whose name training never saw; `unknown`: stories
in which nobody can know the count):

| stories | number | right |
|---|---|---|
{rows}
"""


if __name__ == "__main__":
    raise SystemExit(main())
