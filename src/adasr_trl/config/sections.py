"""Sections of a configuration file, with defaults.

    streaming: {max_thought_tokens: 32, clock: {words_per_minute: 180}}
    model: {path: Qwen/Qwen3-1.7B, dtype: bfloat16}
    rewards:
      - {name: accuracy, scope: global}

Every other key at the top of a file belongs to TRL's own configuration class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from adasr_trl.core.clock import Clock
from adasr_trl.core.demo import DEMO, run_directory
from adasr_trl.core.protocol import Markers

LayoutName = Literal["interleaved", "parallel"]
DtypeName = Literal["float32", "bfloat16", "float16"]
MIN_TEMPERATURE = 1e-8  # of sampling; far below, a logit over it is infinite in float32


def refuse_below(section: str, minimum: float, **values: float | None) -> None:
    """Refuse a value of a section below ``minimum``, infinite or no number; None passes (ValueError)."""
    for name, value in values.items():
        if value is not None and not minimum <= value < math.inf:
            raise ValueError(f"{section}.{name}: got {value}; expected {minimum} or more.")


def refuse_not_positive(section: str, **values: float | None) -> None:
    """Refuse a value of a section that is not above 0, or infinite; None passes (ValueError)."""
    for name, value in values.items():
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"{section}.{name}: got {value:g}; expected above 0.")


def refuse_temperature(name: str, value: float) -> None:
    """Refuse a sampling temperature that logits cannot be divided by; 0 is greedy (ValueError)."""
    if value != 0 and not MIN_TEMPERATURE <= value < math.inf:
        raise ValueError(
            f"{name}: got {value:g}; expected 0 (greedy), or {MIN_TEMPERATURE:g} or more."
        )


@dataclass(frozen=True)
class StreamingConfig:
    """The protocol of SFT, RL, evaluation and live use; saved with the model as ``streaming.json``."""

    # One causal sequence (interleaved), or source and target streams with streaming attention (parallel).
    layout: LayoutName = "interleaved"
    # Parallel only: source visible to the token that ends a thought, up to the next chunk, which is read when that
    # token is fed (fed), or as its thought (written).
    boundary: Literal["fed", "written"] = "fed"
    markers: Markers = field(default_factory=Markers)  # string of each role
    clock: Clock = field(default_factory=Clock)  # rates of arrival, reading and writing
    max_prompt_tokens: int = 8192  # cap on all given tokens: question, chunks and forced ones
    max_thought_tokens: int = 48  # cap on one thought, its end marker included
    max_deep_tokens: int = 256  # cap on the deep part, its answer and end of sequence included
    # Whether reading goes on after a malformed thought.
    on_malformed: Literal["continue", "stop"] = "continue"
    # Cap on input tokens of one step over all requests, so that a long chunk delays nobody for long.
    read_block: int = 512
    decode_batch: int = 64  # cap on rollouts decoded together
    # Cap on their KV cache; beyond it fewer are decoded together.
    max_cache_gib: float | None = None
    instruction: str = ""  # text before the question in the prompt (our choice)
    # ``enable_thinking`` of the chat template (Qwen3's); None where the template has no such switch, or for its own
    # default.
    thinking: bool | None = None

    def __post_init__(self) -> None:
        """Refuse caps that leave no room for a token."""
        refuse_below(
            "streaming",
            1,
            max_prompt_tokens=self.max_prompt_tokens,
            max_thought_tokens=self.max_thought_tokens,
            max_deep_tokens=self.max_deep_tokens,
            read_block=self.read_block,
            decode_batch=self.decode_batch,
        )
        refuse_not_positive("streaming", max_cache_gib=self.max_cache_gib)


@dataclass(frozen=True)
class ScratchConfig:
    """Shape of a Qwen3-architecture model that is trained from nothing."""

    hidden_size: int = 128  # width of the residual stream
    intermediate_size: int = 384  # width of the feed-forward layers
    num_hidden_layers: int = 4  # depth
    num_attention_heads: int = 4  # query heads
    num_key_value_heads: int = 4  # key and value heads; divides the query heads
    head_dim: int = 32  # width of one head
    vocab_size: int = 1024  # size of the tokenizer trained on the episodes
    # Whether the tokenizer reads all text in lower case and all white space as one space: "Tom" and "tom" are one token.
    lower_case: bool = False
    max_position_embeddings: int = 1024  # longest sequence

    def __post_init__(self) -> None:
        """Refuse sizes below 1 and heads that cannot be shared."""
        sizes = {name: size for name, size in vars(self).items() if name != "lower_case"}
        refuse_below("model.scratch", 1, **sizes)
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"model.scratch.num_key_value_heads: got {self.num_key_value_heads}; expected a divisor "
                f"of num_attention_heads ({self.num_attention_heads})."
            )


@dataclass(frozen=True)
class QuantizationSection:
    """Weights in 4 bits (bitsandbytes) below an adapter: QLoRA (arXiv 2305.14314)."""

    # ``nf4`` (for normally distributed weights), ``fp4``, or ``none``: whole weights below an adapter that was
    # trained on 4 bits.
    kind: Literal["nf4", "fp4", "none"] = "nf4"
    double: bool = True  # quantised scales too; saves another 0.4 bits a weight
    # Precision of an unpacked weight.
    compute_dtype: DtypeName = "bfloat16"


@dataclass(frozen=True)
class ModelConfig:
    """The model that a run starts from."""

    # Hub id or directory (of a model or an adapter), or demo, the model in the package; none for ``init: scratch``.
    path: str | None = None
    # Weights of ``path``, or new ones of the shape ``scratch``.
    init: Literal["pretrained", "scratch"] = "pretrained"
    scratch: ScratchConfig = ScratchConfig()  # shape for ``init: scratch``
    # Precision of the weights; auto is bfloat16 where it is measured to be as fast as float32 (a resumed run keeps its
    # first choice), and in an evaluation the precision of the training.
    dtype: DtypeName | Literal["auto"] = "float32"
    # Attention in training; flex_attention (GPU) skips masked blocks. Rollouts use sdpa.
    attention: Literal["sdpa", "flex_attention"] = "sdpa"
    # Weights in 4 bits; None loads an adapter's base as the adapter was trained.
    quantization: QuantizationSection | None = None
    gguf_file: str | None = None  # file within ``path`` with weights in GGUF
    revision: str | None = None  # branch, tag or commit on the Hub
    trust_remote_code: bool = False  # whether to run code that comes with the model

    def __post_init__(self) -> None:
        """Refuse a pretrained model without a path, a new one with a path, and 4 bits without safetensors to load."""
        if self.path == DEMO:
            object.__setattr__(self, "path", str(run_directory(DEMO)))  # a frozen section
        if self.init == "pretrained" and not self.path:
            raise ValueError(
                "model.path: got none; expected a Hub id or a directory. Set it, or init: scratch."
            )
        if self.init == "scratch" and self.path is not None:
            raise ValueError(
                f"model.path: got {self.path!r} with init: scratch, which loads nothing; remove one of them."
            )
        if self.is_quantized and (self.init == "scratch" or self.gguf_file):
            reason = "init: scratch" if self.init == "scratch" else "gguf_file"
            raise ValueError(
                f"model.quantization: got one with {reason}; bitsandbytes quantises weights as they are loaded from "
                f"safetensors: save the model first, and name its directory."
            )

    @property
    def is_quantized(self) -> bool:
        """Whether 4 bits are asked for here; an adapter's base may have them anyway."""
        return self.quantization is not None and self.quantization.kind != "none"


@dataclass(frozen=True)
class MixturePart:
    """One file of a mixture (``training.mixture``)."""

    path: str  # JSON Lines file of training episodes
    weight: float = 1.0  # factor on its share
    cap: int | None = None  # cap on its number of episodes when shares are computed, or None

    def __post_init__(self) -> None:
        """Refuse a weight that is not above 0, and a cap below 1."""
        refuse_not_positive("data.mixture", weight=self.weight)
        refuse_below("data.mixture", 1, cap=self.cap)


@dataclass(frozen=True)
class DataConfig:
    """Episodes of a run (``core.episode``)."""

    train: str = ""  # JSON Lines file of the training episodes
    test: str | None = None  # JSON Lines file of unseen episodes, for evaluation alone, or None
    # Number of training episodes, the last ones, kept for evaluation while training and for the choice of the best
    # checkpoint.
    held_out: int = 0
    max_train_episodes: int | None = None  # cap on the training episodes, the first ones, or None
    # Several files in place of ``train``, mixed and read from disk.
    mixture: tuple[MixturePart, ...] = ()
    temperature: float = 1.0  # evening out of files of different sizes; 1 keeps their proportions
    mixture_seed: int = 0  # seed of the mixture's choice and order
    # Treatment of episodes without a trace in SFT: refuse them, or skip and count them.
    untraced: Literal["refuse", "skip"] = "refuse"
    # Treatment of episodes longer than the caps or the model's positions: refuse them, or skip and count them.
    too_long: Literal["refuse", "skip"] = "refuse"

    @property
    def files(self) -> tuple[str, ...]:
        """Every file of training episodes."""
        return (self.train,) if self.train else tuple(part.path for part in self.mixture)

    def __post_init__(self) -> None:
        """Refuse no training file or both forms, counts below 1, and a negative held-out set."""
        if bool(self.train) == bool(self.mixture):
            if self.train:
                raise ValueError(
                    "data.mixture: got files here and in data.train; remove one of them."
                )
            raise ValueError(
                "data.train is missing; name a file there, or several in data.mixture."
            )
        refuse_not_positive("data", temperature=self.temperature)
        refuse_below("data", 0, held_out=self.held_out)
        refuse_below("data", 1, max_train_episodes=self.max_train_episodes)


@dataclass(frozen=True)
class LoraSection:
    """A low-rank adapter; without this section all weights are trained."""

    r: int = 16  # rank
    alpha: int = 32  # scale; the update's factor is alpha / r
    dropout: float = 0.0  # dropout on the adapter's input
    # Names of the adapted layers, or PEFT's "all-linear".
    target_modules: str | tuple[str, ...] = "all-linear"

    def __post_init__(self) -> None:
        """Refuse a rank below 1 and a dropout that is no probability."""
        refuse_below("lora", 1, r=self.r, alpha=self.alpha)
        if not 0 <= self.dropout < 1:
            raise ValueError(f"lora.dropout: got {self.dropout}; expected 0 or more and below 1.")


@dataclass(frozen=True)
class RewardConfig:
    """One reward of a run."""

    name: str  # A built-in reward, or your own function as module:function
    scope: Literal["streaming", "deep", "global"]  # part of the rollout that it measures
    weight: float = 1.0  # factor in the sum of its scope
    # Arguments of the reward.
    settings: dict[str, float | int | str | bool] = field(default_factory=dict)


@dataclass(frozen=True)
class GroupFilter:
    """Dynamic sampling: groups without signal are drawn again (after DAPO, arXiv 2503.14476).

    A group has no signal if all answers are wrong, whatever their format earned, or if nothing in the advantages varies.
    """

    max_resamples: int = 3  # cap on the attempts; groups still without signal are kept
    # Another ``episode`` of the training set, or new ``rollouts`` of the same one.
    redraw: Literal["episode", "rollouts"] = "episode"
    # ``accuracy``, or ``reward``: groups of equal reward. The latter keeps all-wrong groups of unequal format or
    # length, and training on those has destroyed policies.
    criterion: Literal["accuracy", "reward"] = "accuracy"
    # All-right groups too (DAPO's form), although they can teach brevity at no risk.
    drop_all_right: bool = False

    def __post_init__(self) -> None:
        """Refuse a filter without attempts, and contradicting settings."""
        refuse_below("group_filter", 1, max_resamples=self.max_resamples)
        if self.criterion == "reward" and self.drop_all_right:
            raise ValueError(
                "group_filter.drop_all_right: got true with criterion: reward, which does not look at answers; "
                "remove one of them."
            )


@dataclass(frozen=True)
class AlarmConfig:
    """Alarms of a collapsing training (our choice), on means over ``patience`` steps against the first ones."""

    patience: int = 10  # steps that a condition must last
    stop: bool = False  # whether an alarm ends the run, or only warns
    drop: float = 0.1  # allowed fall of accuracy or format, as a share of the rollouts
    skip_edge: float = 0.01  # distance from 0 or 1 within which a skip rate counts as 0 or 1
    # Share of thoughts cut off at max_thought_tokens that counts as grown to the cap.
    capped: float = 0.25

    def __post_init__(self) -> None:
        """Refuse a patience below 1, and shares outside 0 to 1."""
        refuse_below("alarms", 1, patience=self.patience)
        for name in ("drop", "skip_edge", "capped"):
            value: float = vars(self)[name]
            if not 0.0 < value < 1.0:
                raise ValueError(f"alarms.{name}: got {value:g}; expected above 0 and below 1.")
