"""What SFT and RL runs share: the parts made from a config, callbacks, and saving.

>>> texts = load_texts(model_config, load_data(data_config), streaming)
>>> trainer = SFTTrainer(model, ..., callbacks=callbacks(run))
>>> train(trainer, run, streaming, model_config)
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import (
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerCallback,
    TrainerState,
)

from adasr_trl import rundir
from adasr_trl.codec import Codec
from adasr_trl.config_sections import DataConfig, LoraSection, ModelConfig, StreamingConfig
from adasr_trl.episode import Episode, EpisodeError, read_episodes
from adasr_trl.files import UserError, write_text
from adasr_trl.layouts import Layout, build_layout, check_trace
from adasr_trl.metrics import check_answer
from adasr_trl.mixture import mix, refuse_doubled
from adasr_trl.model import load_tokenizer
from adasr_trl.probe import save_probe
from adasr_trl.protocol import Markers, Mode
from adasr_trl.streaming_file import save_origin, save_streaming

logger = logging.getLogger(__name__)

METRICS_FILE = "metrics.jsonl"
TRAINER_STATE = "trainer_state.json"  # transformers' name


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
    streaming: StreamingConfig
    codec: Codec
    layout: Layout


def begin_processes(deepspeed: object) -> None:
    """What DeepSpeed needs before TRL's arguments are built; nothing where it is not asked for.

    Without a launcher this is the only process. Without CUDA the processes talk through gloo, which DeepSpeed does not
    choose by itself: ZeRO-3 would take two processes for one.
    """
    if not deepspeed:
        return
    import torch

    try:
        import deepspeed as library
    except ImportError as error:
        raise UserError(
            f"deepspeed: it is not installed ({error}); pip install 'adasr-trl[gpu]', or remove the setting."
        ) from error
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
    for name, value in {**alone, "MASTER_PORT": port}.items():
        os.environ.setdefault(name, value)
    scripts = str(Path(sys.executable).parent)  # ninja is there, also where no shell activated it
    if scripts not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join((scripts, os.environ["PATH"]))
    if torch.cuda.is_available() or torch.distributed.is_initialized():
        return
    # The shared-memory transport would be compiled for a minute, and gloo serves as well.
    library.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    library.init_distributed(dist_backend="gloo", auto_mpi_discovery=False)


def load_data(config: DataConfig, traced_with: Markers | None = None) -> Data:
    """Read and check every episode, its gold answer included; with markers also that it has a trace without them."""

    def check(episode: Episode) -> None:
        check_answer(episode)
        if traced_with:
            check_trace(episode, traced_with)

    episodes: Sequence[Episode]
    if config.mixture:
        episodes = mix(config.mixture, config.temperature, config.mixture_seed)
        for episode in refuse_doubled(episodes):
            try:
                check(episode)
            except ValueError as error:
                raise EpisodeError(f"data.mixture: episode {episode.id!r}: {error}") from None
    else:
        episodes = list(read_episodes(config.train, check))
    if config.held_out >= len(episodes):
        raise EpisodeError(
            f"{', '.join(config.files)}: holds {len(episodes)} episodes; data.held_out = {config.held_out} leaves none to "
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
    """Say which markers stand in the data: harmless to the engines, for which it is text, but the model may be misled."""
    first: dict[str, str] = {}
    counts = dict.fromkeys(markers.all(), 0)
    for episode in episodes:
        for marker in markers.all():
            if marker in episode.question or marker in episode.text:
                first.setdefault(marker, episode.id)
                counts[marker] += 1
    for marker, episode_id in first.items():
        logger.warning(
            "streaming.markers: %r stands in the question or input of %d episodes, such as %r; it is read as plain text "
            "there, but another string would be clearer to the model",
            marker,
            counts[marker],
            episode_id,
        )


def lora_config(section: LoraSection | None, codec: Codec) -> Any:
    """PEFT's configuration of the ``lora`` section, or None; rows of added markers are trained with the adapter."""
    if section is None:
        return None
    from peft import LoraConfig

    targets = section.target_modules
    rows = codec.added_marker_ids() if codec.markers.add_tokens else []
    if rows:
        logger.warning(
            "markers.add_tokens: the adapter carries %d rows of the embedding; vLLM and llama.cpp do not load such an "
            "adapter (merge it first), PEFT does once the tokenizer of the run is used",
            len(rows),
        )
    return LoraConfig(
        r=section.r,
        lora_alpha=section.alpha,
        lora_dropout=section.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
        trainable_token_indices=rows or None,
    )


def train(
    trainer: Any,
    run: Path,
    streaming: StreamingConfig,
    model: ModelConfig,
    stopped: Callable[[Sequence[Any]], str | None] = lambda _: None,
) -> None:
    """Train from the newest whole checkpoint, save all that reloading needs, and note that the run is complete.

    Raises:
        UserError: ``stopped``, given the log history, has a reason not to finish; the run stays unfinished.
    """
    _prepare_head(trainer.model)
    trainer.remove_callback(PrinterCallback)  # ProgressLine says it in fewer words
    checkpoint = rundir.latest_checkpoint(run)
    had_ended = checkpoint is not None and _trained(checkpoint)  # training deletes old ones
    if checkpoint and had_ended:
        history = _state_of(checkpoint).log_history
        _load_final(trainer, checkpoint)
    else:
        if checkpoint:
            logger.info("resuming from %s", checkpoint)
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        history = trainer.state.log_history
    reason = stopped(history)
    if reason:
        raise UserError(f"{run}: stopped: {reason}")
    if not (had_ended and trainer.is_deepspeed_enabled):  # else its files were copied
        trainer.save_model(str(run))
        _save_probe(trainer, run, streaming)
    if trainer.accelerator.is_main_process:
        save_streaming(run, streaming)
        save_origin(run, model)
        rundir.finish(run)


def _save_probe(trainer: Any, run: Path, streaming: StreamingConfig) -> None:
    """What the trained model says, computed by every process: ZeRO-3 has a part of the weights in each."""
    if trainer.is_fsdp_enabled:
        logger.info(
            "%s: no logits are saved under FSDP, so adasr verify has nothing to compare", run
        )
        return
    # Without the mixed precision that accelerate puts around a forward: whoever loads the model has none.
    trained = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    write = trainer.accelerator.is_main_process
    save_probe(run, trained, trainer.processing_class, streaming, write=write)


def _prepare_head(model: Any) -> None:
    """Let TRL's fused head work where rows of the embedding are trained with an adapter.

    It asks the head for a bias, which PEFT 0.21 does not pass on from a wrapped, tied head.

    Raises:
        UserError: The head is another matrix, whose rows PEFT would leave as they were drawn.
    """
    from peft.utils.other import TrainableTokensWrapper

    if not any(isinstance(module, TrainableTokensWrapper) for module in model.modules()):
        return
    head = model.get_output_embeddings()
    if not isinstance(head, TrainableTokensWrapper):
        raise UserError(
            "streaming.markers.add_tokens: this model's head is not tied to its embedding, so an adapter would not train "
            "its new rows; use markers that need no tokens, or train all weights (lora: null)."
        )
    head.bias = None


def _trained(checkpoint: Path) -> bool:
    """Whether a checkpoint is the last one: transformers would train one step more from it."""
    state = _state_of(checkpoint)
    return bool(state.global_step >= state.max_steps)


def _state_of(checkpoint: Path) -> TrainerState:
    return TrainerState.load_from_json(str(checkpoint / TRAINER_STATE))


def _load_final(trainer: Any, checkpoint: Path) -> None:
    """The weights that training ended with: the best checkpoint's, where that was asked for."""
    state = _state_of(checkpoint)
    best = state.best_model_checkpoint if trainer.args.load_best_model_at_end else None
    logger.info("training had ended; loading %s", best or checkpoint)
    if (
        trainer.is_deepspeed_enabled
    ):  # its weights are in no one process: take the checkpoint's files
        if trainer.accelerator.is_main_process:
            _copy_model(Path(best or checkpoint), Path(trainer.args.output_dir))
        return
    trainer._load_from_checkpoint(best or str(checkpoint))


def _copy_model(checkpoint: Path, run: Path) -> None:
    """Copy what ``save_model`` wrote into a checkpoint: model or adapter, their configuration, the tokenizer."""
    for file in checkpoint.iterdir():
        if file.suffix in (".safetensors", ".json", ".jinja", ".txt") and file.name not in (
            TRAINER_STATE,
            rundir.CHECKPOINT_MARK,
        ):
            shutil.copy2(file, run / file.name)


class KeepsAdapterPrecision:
    """A part of trainers: an adapter that is loaded from a checkpoint keeps its precision.

    PEFT 0.21 turns one of 16 bits, as TRL trains it on weights of 4 bits, into float32 when it is loaded again. The
    optimizer's state would follow, and the resumed run would train on in another precision than the one before.
    """

    model: Any

    def _load_from_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        before = {name: p.dtype for name, p in self.model.named_parameters() if p.requires_grad}
        super()._load_from_checkpoint(*args, **kwargs)  # type: ignore[misc]  # transformers' Trainer
        for name, parameter in self.model.named_parameters():  # they may be other objects now
            if name in before:
                parameter.data = parameter.data.to(before[name])


def callbacks(run: Path) -> list[TrainerCallback]:
    """The callbacks of every run."""
    return [CheckpointMark(), MetricsFile(run / METRICS_FILE), ProgressLine()]


class CheckpointMark(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Marks a checkpoint as whole once everything in it was written."""

    def on_save(self, args: Any, state: Any, control: Any, **_kwargs: Any) -> None:
        """Called by transformers behind the last file of a checkpoint."""
        del control
        PartialState().wait_for_everyone()  # every process has written its part
        if state.is_world_process_zero:
            rundir.mark_checkpoint(Path(args.output_dir) / f"checkpoint-{state.global_step}")


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
        kept = ""
        if state.global_step > 0:
            whole = self._path.read_text(encoding="utf-8").rpartition("\n")[0]  # a kill cuts a line
            lines = whole.splitlines()
            kept = "".join(f"{x}\n" for x in lines if json.loads(x)["step"] <= state.global_step)
        write_text(self._path, kept)

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
        ("accuracy", "accuracy"),
        ("eval_accuracy", "held-out accuracy"),
        ("streaming/tokens", "streaming tokens"),
        ("deep/tokens", "deep tokens"),
        ("streaming/skip_rate", "skips"),
        ("ending/answered", "answered"),
        ("groups/no_signal", "groups without signal"),
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
