"""What SFT and RL runs share: the parts made from a config, callbacks, and saving.

>>> parts = load_parts(model_config, load_data(data_config), streaming, seed=0)
>>> trainer = SFTTrainer(parts.model, ..., callbacks=callbacks(run))
>>> train(trainer, run)
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import (
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerCallback,
)

from adasr_trl import rundir
from adasr_trl.codec import Codec
from adasr_trl.config_sections import DataConfig, LoraSection, ModelConfig, StreamingConfig
from adasr_trl.episode import Episode, EpisodeError, read_episodes
from adasr_trl.layouts import Layout, build_layout
from adasr_trl.metrics import check_answer
from adasr_trl.model import load_tokenizer
from adasr_trl.protocol import Mode
from adasr_trl.streaming_file import save_streaming

logger = logging.getLogger(__name__)

METRICS_FILE = "metrics.jsonl"


@dataclass(frozen=True)
class Data:
    """The episodes to train on, and those held out to evaluate while training."""

    train: Sequence[Episode]
    held_out: Sequence[Episode]


@dataclass(frozen=True)
class Texts:
    """The episodes, and what turns them into tokens."""

    data: Data
    tokenizer: PreTrainedTokenizerBase
    codec: Codec
    layout: Layout


def load_data(config: DataConfig) -> Data:
    """Read and check every episode, its gold answer included."""
    episodes = list(read_episodes(config.train, check_answer))
    if config.held_out >= len(episodes):
        raise EpisodeError(
            f"{config.train}: holds {len(episodes)} episodes; data.held_out = {config.held_out} leaves none to "
            f"train on."
        )
    cut = len(episodes) - config.held_out
    return Data(episodes[:cut][: config.max_train_episodes], episodes[cut:])


def load_texts(model: ModelConfig, data: Data, streaming: StreamingConfig) -> Texts:
    """Load (or train) the tokenizer, and check that every episode fits into the prompt.

    Raises:
        UserError: A chat template that cannot render a prompt, or an episode that is too long.
    """
    tokenizer = load_tokenizer(model, streaming.markers, data.train)
    codec = Codec(tokenizer, streaming.markers)
    layout = build_layout(streaming, codec)
    layout.turns(data.train[0], Mode.STREAMING)
    for episode in (*data.train, *data.held_out):
        most = len((episode.question + episode.text).encode()) + 16 * (len(episode.chunks) + 2)
        if most > streaming.max_prompt_tokens:  # else it fits even with a token a byte
            layout.turns(episode, Mode.STREAMING)
    return Texts(data, tokenizer, codec, layout)


def lora_config(section: LoraSection | None) -> Any:
    """PEFT's configuration of the ``lora`` section, or None."""
    if section is None:
        return None
    from peft import LoraConfig

    targets = section.target_modules
    return LoraConfig(
        r=section.r,
        lora_alpha=section.alpha,
        lora_dropout=section.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
    )


def train(trainer: Any, run: Path, streaming: StreamingConfig) -> None:
    """Train from the newest whole checkpoint, save all that reloading needs, and note that the run is complete."""
    trainer.remove_callback(PrinterCallback)  # ProgressLine says it in fewer words
    checkpoint = rundir.latest_checkpoint(run)
    if checkpoint:
        logger.info("resuming from %s", checkpoint)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    trainer.save_model(str(run))
    if trainer.accelerator.is_main_process:
        save_streaming(run, streaming)
        rundir.finish(run)


def callbacks(run: Path) -> list[TrainerCallback]:
    """The callbacks of every run."""
    return [CheckpointMark(), MetricsFile(run / METRICS_FILE), ProgressLine()]


class CheckpointMark(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Marks a checkpoint as whole once everything in it was written."""

    def on_save(self, args: Any, state: Any, control: Any, **_kwargs: Any) -> None:
        """Called by transformers behind the last file of a checkpoint."""
        del control
        if state.is_world_process_zero:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            os.sync()
            (folder / rundir.CHECKPOINT_MARK).touch()


class MetricsFile(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Appends every log to a JSON Lines file; a resumed run first drops what it is about to repeat."""

    def __init__(self, path: Path) -> None:
        """Log to ``path``."""
        self._path = path

    def on_train_begin(self, args: Any, state: Any, control: Any, **_kwargs: Any) -> None:
        """Keep only the lines of steps that the resumed run will not repeat."""
        del args, control
        if not state.is_world_process_zero or not self._path.is_file():
            return
        lines = self._path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if json.loads(line)["step"] <= state.global_step]
        self._path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_kw: Any
    ) -> None:
        """Append one line."""
        del args, control
        if state.is_world_process_zero and logs:
            with self._path.open("a", encoding="utf-8") as out:
                out.write(json.dumps({"step": state.global_step, **logs}) + "\n")


class ProgressLine(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """One line a log: step, time left, and the few numbers that say how it goes."""

    SHOWN = (
        ("loss", "loss"),
        ("eval_loss", "held-out loss"),
        ("rewards/accuracy_global/mean", "accuracy"),
        ("eval_rewards/accuracy_global/mean", "held-out accuracy"),
        ("streaming/tokens", "streaming tokens"),
        ("deep/tokens", "deep tokens"),
        ("streaming/skip_rate", "skips"),
        ("ending/answered", "answered"),
    )

    def __init__(self) -> None:
        """Start the clock."""
        self._started = time.monotonic()
        self._first_step = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_kwargs: Any) -> None:
        """Remember where this process began."""
        del args, control
        self._started, self._first_step = time.monotonic(), state.global_step

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_kw: Any
    ) -> None:
        """Log one line."""
        del args, control
        shown = [
            f"{label} {logs[key]:.3g}"
            for key, label in self.SHOWN
            if logs and logs.get(key) is not None
        ]
        if not state.is_world_process_zero or not shown:
            return
        done = state.global_step - self._first_step
        seconds = (time.monotonic() - self._started) / max(done, 1)
        left = int(seconds * (state.max_steps - state.global_step))
        rate = f", {seconds:.2f} s a step, {left // 60}:{left % 60:02} left" if done else ""
        logger.info("step %d/%d%s: %s", state.global_step, state.max_steps, rate, ", ".join(shown))
