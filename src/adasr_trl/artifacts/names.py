"""Names of the files in a run directory, each written here alone."""

from __future__ import annotations

from pathlib import Path

RUN_FILE = "run.json"  # identity and state of the run
CONFIG_FILE = "config.yaml"  # the resolved configuration
STREAMING_FILE = "streaming.json"  # the protocol that the model was trained on
ORIGIN_FILE = "origin.json"  # the pretrained model below an adapter
BASE_FILE = "base.json"  # places and content of the directory below an adapter; never published
PROVENANCE_FILE = "provenance.json"  # command, versions and data
METRICS_FILE = "metrics.jsonl"  # logged numbers, one line a step
SAMPLES_FILE = "samples.jsonl"  # sample rollouts of the training
# Logits at training's end, in safetensors. vLLM and SGLang take every *.safetensors beside the weights for weights.
VERIFY_FILE = "verify.logits"
ADAPTER_CONFIG = "adapter_config.json"  # PEFT's name
MODEL_CONFIG = "config.json"  # transformers' name
CHECKPOINT_MARK = "whole.json"  # written into a checkpoint behind everything else
DEVICE_FILE = "device.json"  # measured rates of the model on one device
PREVIOUS = ".previous"  # end of the name that a run is moved aside to
LOCK_FILE = ".lock"  # held by the process that works on the run
# transformers' names, of all kinds of tokenizers.
TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja",
    "vocab.json", "merges.txt", "tokenizer.model",
)  # fmt: skip
EVAL_FOLDER = "eval"
EPISODES_FILE = "episodes.jsonl"  # the questions of an evaluation


def eval_folder(name: str = "") -> str:
    """Folder of an evaluation's records in a run; ``name`` is that of its questions, "" for the main ones."""
    return f"{EVAL_FOLDER}-{name}" if name else EVAL_FOLDER


def is_hub_id(path: str | Path) -> bool:
    """Whether a name that is no directory here may be a repository of the Hub (OWNER/NAME), not a missing run."""
    parts = Path(path).parts
    return len(parts) == 2 and parts[0] not in (".", "..", "/", "runs")
