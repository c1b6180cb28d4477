"""Tokenizers with the control tokens and chat templates of other model families, and a base model with one of them.

The templates are TRL's copies; the vocabulary is small.
"""

from __future__ import annotations

import copy

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
from trl import chat_template_utils as templates

from adasr_trl.config.sections import ModelConfig
from adasr_trl.models.loading import load_model
from support import workspace

SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}<|im_start|>system\n"
    "You are a helpful assistant<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CHATML = ("<|im_start|>", "<|im_end|>")
QWEN3 = (*CHATML, "<think>", "</think>")
LLAMA3 = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
GEMMA = ("<bos>", "<start_of_turn>", "<end_of_turn>")
NO_THINKING = "{% set enable_thinking = false %}" + templates.qwen3_chat_template
FAMILIES = {
    "qwen3, thinking": (templates.qwen3_chat_template, QWEN3, "<|im_start|>assistant\n"),
    "qwen3, not thinking": (NO_THINKING, QWEN3, "<think>\n\n</think>\n\n"),
    "llama3": (templates.llama3_chat_template, LLAMA3, "assistant<|end_header_id|>\n\n"),
    "smollm2": (SMOLLM2, CHATML, "<|im_start|>assistant\n"),
    "gemma": (templates.gemma_chat_template, GEMMA, "<start_of_turn>model\n"),
}


def small_tokenizer():
    """A byte-level tokenizer of 300 tokens without special ones; text stays as it is."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(["Tom has 5 coins. How many coins does Tom have?"] * 9, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=made)


def of_family(tokenizer, name):
    template, control, _ = FAMILIES[name]
    made = copy.deepcopy(tokenizer)
    made.add_tokens(list(control), special_tokens=False)
    made.add_special_tokens({"eos_token": control[1], "bos_token": control[0]})
    made.chat_template = template
    return made


def make_base(root, episodes):
    """A pretrained model of another family, whose tokenizer knows no marker of ours."""
    workspace.make(root, episodes)
    made = of_family(small_tokenizer(), "smollm2")
    model = load_model(ModelConfig(init="scratch"), made, seed=0)
    model.save_pretrained(root / "base")
    made.save_pretrained(root / "base")
    markers = {
        "chunk_end": "[next]", "thought_end": "[ok]", "skip": "[none]", "stream_end": "[all]", "reasoning_end": "[so]",
    }  # fmt: skip
    for name in ("sft", "hrpo"):
        config = workspace.load(root, name)
        streaming = {**config["streaming"], "markers": {**markers, "add_tokens": True}}
        changes = {"streaming": streaming, "max_steps": 2, "learning_rate": 0.01}
        workspace.save(root, name, config | changes)


def byte_fallback_tokenizer():
    """A tokenizer in the manner of SentencePiece: a mark for spaces, bytes for unknown characters, Llama 2's control tokens."""
    alphabet = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    letters = sorted(set("Tomhascoins.Hwmany?0123456789"))
    vocabulary = {token: n for n, token in enumerate((*alphabet, *letters))}
    made = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    wrapped = PreTrainedTokenizerFast(tokenizer_object=made)
    wrapped.add_special_tokens({"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"})
    wrapped.add_tokens(["[INST]", "[/INST]", "<<SYS>>"], special_tokens=False)
    return wrapped
