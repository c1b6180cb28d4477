"""Models and tokenizers: loaded from a Hub id or a directory (adapters included), or made from scratch.

    >>> tokenizer = load_tokenizer(config, markers, episodes)
    >>> model = load_model(config, tokenizer, seed=0)

A run directory loads like any model; an adapter comes with its base and is trained on, never a second one on top.
Weights in 4 bits are bitsandbytes' (``model.quantization``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
    set_seed,
)
from transformers.integrations import is_deepspeed_zero3_enabled

from adasr_trl.artifacts.digests import trained_base
from adasr_trl.artifacts.directory import holds_records_alone
from adasr_trl.artifacts.saved_config import load_streaming, load_trained_dtype, named_base
from adasr_trl.config.sections import (
    LayoutName,
    ModelConfig,
    QuantizationSection,
    ScratchConfig,
    StreamingConfig,
)
from adasr_trl.core.episode import Episode
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Markers
from adasr_trl.layouts import Layout, build_layout
from adasr_trl.layouts.codec import Codec
from adasr_trl.models.faults import (
    one_line_of,
    refuse_unfit,
    refuse_unfit_adapter,
    refuse_unknown_adapter,
    settle_generation,
)
from adasr_trl.models.positions import longest_sequence
from adasr_trl.models.precision import choose_dtype

END, USER, ASSISTANT = "<end>", "<user>", "<assistant>"
_TEMPLATE = (
    "{% for message in messages %}{{ '<' + message['role'] + '>' + message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def load_tokenizer(
    config: ModelConfig, markers: Markers, episodes: Iterable[Episode]
) -> PreTrainedTokenizerBase:
    """The tokenizer of a pretrained model, or one trained on the episodes."""
    if config.init == "scratch":
        return train_tokenizer(_texts(episodes), config.scratch, markers)
    tokenizer = _pretrained_tokenizer(config)
    if markers.add_tokens:
        known = tokenizer.get_vocab()
        tokenizer.add_tokens([m for m in markers.all() if m not in known], special_tokens=True)
    return tokenizer


def _pretrained_tokenizer(config: ModelConfig) -> PreTrainedTokenizerBase:
    with one_line_of(config.path):
        try:
            tokenizer = AutoTokenizer.from_pretrained(config.path, **_source(config))
            # Without any file transformers may make one that knows no word.
            known = tokenizer.encode("a", add_special_tokens=False)
            reason = "" if known else "it has no vocabulary"
        except ValueError as error:  # some files are missing; several lines
            if "trust_remote_code" in str(error):
                raise
            reason = str(error).splitlines()[0].rstrip(": ")
    if reason:
        raise UserError(
            f"{config.path}: holds no tokenizer that can be loaded ({reason}); copy tokenizer.json and "
            f"tokenizer_config.json of the model into it."
        )
    return tokenizer


def positions_of(config: ModelConfig) -> int | None:
    """Longest sequence of a model, from its configuration alone; None where it names no limit."""
    if config.init == "scratch":
        return config.scratch.max_position_embeddings
    base = _base_of(config)
    with one_line_of(base.path):
        return longest_sequence(AutoConfig.from_pretrained(base.path, **_source(base)))


def load_model(
    config: ModelConfig, tokenizer: PreTrainedTokenizerBase, seed: int
) -> PreTrainedModel:
    """The model; a PeftModel with a trainable adapter where the path holds one."""
    set_seed(seed)
    if config.init == "scratch":
        return Qwen3ForCausalLM(_qwen3(config.scratch, tokenizer))
    base = _base_of(config)
    if base is config:
        return _with_rows(_pretrained(config), tokenizer)
    adapter = config.path or ""
    refuse_unknown_adapter(adapter)
    quantization = config.quantization or base.quantization
    base = dataclasses.replace(base, dtype=config.dtype, quantization=quantization)
    adapted = _adapted(_with_rows(_pretrained(base), tokenizer), adapter)
    if base.path and Path(base.path).is_dir():
        # PEFT would ask the Hub for its name when the adapter is saved.
        for section in adapted.peft_config.values():
            section.base_model_name_or_path = base.path
    if model_is_quantized(adapted):
        for parameter in adapted.parameters():
            if parameter.requires_grad:  # as TRL trains it, so that evaluation computes the same
                parameter.data = parameter.data.to(torch.bfloat16)
    return adapted


def _adapted(model: PreTrainedModel, path: str) -> PreTrainedModel:
    """The model with the adapter in ``path``, to be trained on: a PeftModel.

    The steps of ``PeftModel.from_pretrained``, which keeps the report of weights that fit no layer to itself.
    """
    from peft import MODEL_TYPE_TO_PEFT_MODEL_MAPPING, PeftConfig, PeftModel

    with one_line_of(path):
        section = PeftConfig.from_pretrained(path)
        section.inference_mode = False
        kind = MODEL_TYPE_TO_PEFT_MODEL_MAPPING.get(section.task_type, PeftModel)
        adapted = kind(model, section)
        report = adapted.load_adapter(path, "default", is_trainable=True)
    refuse_unfit_adapter(path, report)
    return adapted


@contextmanager
def whole_weights(model: PreTrainedModel) -> Iterator[None]:
    """All weights in this process for the time being, where ZeRO-3 spreads them."""
    if not is_deepspeed_zero3_enabled():
        yield
        return
    import deepspeed

    with deepspeed.zero.GatheredParameters(list(model.parameters()), modifier_rank=None):
        yield


def model_is_quantized(model: PreTrainedModel) -> bool:
    """Whether a loaded model has weights of bitsandbytes, in 4 bits or, as it was stored, in 8."""
    names = ("is_loaded_in_4bit", "is_loaded_in_8bit")  # set on quantised models only
    return any(getattr(model, name, False) for name in names)


@dataclass
class Policy:
    """A trained model with its protocol; the weights load on first use."""

    config: ModelConfig  # source and precision of the weights
    streaming: StreamingConfig  # protocol that the model was trained on
    tokenizer: PreTrainedTokenizerBase  # the model's own
    end_ids: frozenset[int] = frozenset()  # further ends of a chat model's turn

    @cached_property
    def codec(self) -> Codec:
        """Tokenizer with markers and chat template."""
        return Codec(self.tokenizer, self.streaming.markers, self.streaming.thinking, self.end_ids)

    @cached_property
    def layout(self) -> Layout:
        """Layout of episodes in the model's context."""
        return build_layout(self.streaming, self.codec)

    @cached_property
    def model(self) -> PreTrainedModel:
        """The weights, an adapter included; whether they obey the layout is checked by engines."""
        return load_model(self.config, self.tokenizer, seed=0)


def load_policy(config: ModelConfig, layout: LayoutName | None = None) -> Policy:
    """Load a run's directory ``config.path``, its tokenizer at once, its weights later; ``dtype: auto`` is its training's.

    Args:
        config: Source and precision of the weights.
        layout: Layout in place of the trained one.

    Raises:
        UserError: The directory is no finished run, or has the records of a pretrained model alone.
    """
    streaming = load_streaming(Path(config.path or ""))
    if holds_records_alone(Path(config.path or "")):
        raise UserError(
            f"{config.path}: holds records of a pretrained model (adasr eval, zero_shot) and no model that was trained "
            f"here; name a finished run."
        )
    if config.dtype == "auto" and (trained := load_trained_dtype(Path(config.path or ""))):
        config = dataclasses.replace(config, dtype=trained)
    streaming = dataclasses.replace(streaming, layout=layout or streaming.layout)
    return Policy(config, streaming, load_tokenizer(config, streaming.markers, ()))


def train_tokenizer(
    texts: Iterable[str], scratch: ScratchConfig, markers: Markers
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer for any text, which never merges over the borders of words and numbers.

    Text without a space at its start gets one, so that a word is the same token everywhere.
    """
    tokenizer = Tokenizer(models.BPE())
    spelling = [normalizers.Lowercase(), normalizers.Replace(Regex(r"\s+"), " ")]
    tokenizer.normalizer = normalizers.Sequence(
        [
            *(spelling if scratch.lower_case else []),
            normalizers.Prepend(" "),
            normalizers.Replace(Regex(r"\A  "), " "),
        ]
    )
    words = pre_tokenizers.Split(Regex(r" ?[A-Za-z]+| ?\d+| ?[^\sA-Za-z\d]+|\s+"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [END, USER, ASSISTANT, *markers.all()]
    trainer = trainers.BpeTrainer(
        vocab_size=scratch.vocab_size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=END,
        additional_special_tokens=special[1:],
        chat_template=_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def _texts(episodes: Iterable[Episode]) -> Iterator[str]:
    for episode in episodes:
        yield episode.question
        yield from episode.chunks
        yield from (" " + thought for thought in episode.thoughts or ())
        yield f" {episode.deep or ''} {episode.answer}"


def _base_of(config: ModelConfig) -> ModelConfig:
    """The source of the weights below an adapter, wherever they lie now; the same where there is none."""
    named = named_base(config)
    place = None if named is config else trained_base(Path(config.path or ""))
    return dataclasses.replace(named, path=str(place)) if place else named


def _qwen3(scratch: ScratchConfig, tokenizer: PreTrainedTokenizerBase) -> Qwen3Config:
    shape = dataclasses.asdict(scratch)
    del shape["lower_case"]  # the tokenizer's
    return Qwen3Config(
        **{**shape, "vocab_size": len(tokenizer)},
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _pretrained(config: ModelConfig) -> PreTrainedModel:
    is_spread = is_deepspeed_zero3_enabled()  # this process sees a part of each weight
    with one_line_of(config.path):
        model, report = AutoModelForCausalLM.from_pretrained(
            config.path,
            output_loading_info=True,
            ignore_mismatched_sizes=not is_spread,  # refused below, by name
            dtype=getattr(torch, choose_dtype() if config.dtype == "auto" else config.dtype),
            attn_implementation=config.attention,
            **_source(config),
            **_bits(config.quantization),
        )
    if not is_spread:
        refuse_unfit(config.path, report)
    settle_generation(model)
    if model_is_quantized(model):
        _keep_autograd(model)
    return model


def _with_rows(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """A row of the embedding for each token; most models have spare ones."""
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer))
    return model


def _bits(section: QuantizationSection | None) -> dict[str, object]:
    """Quantisation for from_pretrained."""
    if section is None or section.kind == "none":
        return {}
    try:
        import bitsandbytes  # noqa: F401  # transformers' own error names another package
    except ImportError as error:
        raise UserError(
            f"model.quantization: got {section.kind}, which needs bitsandbytes ({error}); "
            f"pip install 'adasr-trl[gpu]', or remove the section."
        ) from error
    from transformers import BitsAndBytesConfig

    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=section.kind,
        bnb_4bit_use_double_quant=section.double,
        bnb_4bit_compute_dtype=getattr(torch, section.compute_dtype),
    )
    return {"quantization_config": quantization}


def _keep_autograd(model: PreTrainedModel) -> None:
    """Never repack 4-bit weights on a CPU with avx512_bf16.

    bitsandbytes 0.50 does so at the first forward in evaluation mode, such as a rollout. The weight then has no autograd,
    and every later gradient is wrong, with a warning only.
    """
    from bitsandbytes.nn import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def _source(config: ModelConfig) -> dict[str, object]:
    optional = {"revision": config.revision, "gguf_file": config.gguf_file}
    set_ones = {name: value for name, value in optional.items() if value}
    return {"trust_remote_code": config.trust_remote_code, **set_ones}
