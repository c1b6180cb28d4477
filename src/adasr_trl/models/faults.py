"""Models by others that cannot be loaded, or only in part: one line that names them, in place of a library's errors.

    >>> with one_line_of("models/mine"):
    ...     model, report = AutoModelForCausalLM.from_pretrained("models/mine", output_loading_info=True)
    >>> refuse_unfit("models/mine", report)

transformers draws weights that a file lacks at random and goes on, and PEFT does so for an adapter's. A model that was
loaded so would train and answer, but it is not the one that was named.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import GenerationConfig

from adasr_trl.artifacts.names import ADAPTER_CONFIG, MODEL_CONFIG
from adasr_trl.core.errors import UserError
from adasr_trl.core.files import read_object

logger = logging.getLogger(__name__)

_FOREIGN = (ValueError, TypeError, LookupError, ImportError, RuntimeError, AttributeError)
_LONGEST = 240  # characters of a library's message
_AGAIN = "copy all files of the model again, or name another model"
# PEFT's starts of an adapter that take a part out of the weights below: one found by chance, or in data that is gone.
_LOST_PART = re.compile(r"pissa_niter_\d+|corda|lora_ga")


@contextmanager
def one_line_of(path: str | None) -> Iterator[None]:
    """Turn an error of transformers or PEFT about a model into one line (UserError); those of memory and files pass."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        _refuse_damaged(Path(path or ""))
        is_files = isinstance(error, OSError) and error.errno is not None  # permission, disk
        if is_files or isinstance(error, torch.OutOfMemoryError):
            raise
        is_bare = type(error) is Exception  # as tokenizers raises them
        if not (is_bare or isinstance(error, (*_FOREIGN, OSError))):
            raise
        raise UserError(f"{path}: {_reason(error)}") from error


def refuse_unfit(path: str | None, report: Mapping[str, Any]) -> None:
    """Refuse weights that are not all there, or of another shape than the model (UserError).

    Args:
        path: The model.
        report: transformers' ``output_loading_info``.
    """
    if unequal := sorted(report["mismatched_keys"]):
        name, found, expected = unequal[0]
        raise UserError(
            f"{path}: {len(unequal)} weights do not have the shape that {MODEL_CONFIG} asks for, such as {name} with "
            f"{tuple(found)} for {tuple(expected)}; {_AGAIN}."
        )
    if missing := sorted(report["missing_keys"]):
        raise UserError(
            f"{path}: lacks {len(missing)} weights of a causal language model of its {MODEL_CONFIG}, such as {missing[0]}, "
            f"which would be random; {_AGAIN}."
        )


def refuse_unfit_adapter(path: str | None, report: Any) -> None:
    """Refuse an adapter that fits other layers than its base has (UserError).

    Args:
        path: The adapter.
        report: What PEFT's ``load_adapter`` returns.
    """
    unused = [name for name in report.unexpected_keys if "lora_" in name]
    if report.missing_keys or unused:
        name = sorted(report.missing_keys or unused)[0]
        raise UserError(
            f"{path}: its adapter and its base have different layers, such as {name}, so a part of it would be random or "
            f"left out; name the base that it was trained on in {ADAPTER_CONFIG}."
        )


def refuse_unknown_adapter(path: str) -> None:
    """Refuse an adapter without weights, or of a kind that is not trained on (UserError); PEFT would ask the Hub."""
    from peft import PEFT_TYPE_TO_CONFIG_MAPPING, PromptLearningConfig

    file = Path(path) / ADAPTER_CONFIG
    config = read_object(file, _AGAIN)
    kind = config.get("peft_type")
    if kind not in PEFT_TYPE_TO_CONFIG_MAPPING:
        raise UserError(
            f"{file}: got {kind!r} as peft_type, which this version of PEFT does not know; update peft, or name another model."
        )
    if issubclass(PEFT_TYPE_TO_CONFIG_MAPPING[kind], PromptLearningConfig):
        raise UserError(
            f"{file}: got {kind} as peft_type; rollouts need an adapter that acts on each token alone, such as LoRA."
        )
    refuse_lost_part(str(file), config.get("init_lora_weights"))
    if not any(file.parent.glob("adapter_model*")):
        raise UserError(f"{path}: holds no adapter_model.safetensors; {_AGAIN}.")


def refuse_lost_part(where: str, start: object) -> None:
    """Refuse a start of an adapter after which loading would put it on other weights than it was trained on (UserError)."""
    if isinstance(start, str) and _LOST_PART.fullmatch(start):
        raise UserError(
            f"{where}: got {start!r} as init_lora_weights, which takes a part out of the weights below that loading does not "
            f"find again; use 'pissa' or 'olora', or save it with path_initial_model_for_weight_conversion (PEFT)."
        )


def settle_generation(model: Any) -> None:
    """Drop settings of generation that contradict each other: transformers reads them, and refuses to save them later.

    Rollouts have a sampling of their own, so a training loses nothing.

    Raises:
        UserError: A setting that has no meaning at all.
    """
    config = model.generation_config
    if config is None:
        model.generation_config = GenerationConfig.from_model_config(model.config)
        return
    try:
        config.validate(strict=True)
    except ValueError as error:
        idle = re.findall(r"^- `(\w+)`:", str(error), re.MULTILINE)
        for name in idle:
            setattr(config, name, None)
        if not idle:
            raise UserError(
                f"generation_config.json of {model.config.name_or_path or 'the model'}: {_shortened(error)}; correct it, or "
                f"remove the file."
            ) from None
        logger.warning(
            "generation_config.json of %s: %s without effect there, and not saved with the run",
            *(model.config.name_or_path or "the model", ", ".join(idle)),
        )
        settle_generation(model)


def _reason(error: Exception) -> str:
    words = _shortened(error)
    if "trust_remote_code" in str(error):
        return (
            "holds Python code of its own; read it, and set model.trust_remote_code: true if you trust it, or name another "
            "model."
        )
    if found := re.match(r"Unrecognized configuration class <class '[\w.]*\.(\w+)'>", words):
        return (
            f"is no causal language model that transformers knows ({found[1]}); name one that writes text, such as "
            f"Qwen/Qwen3-0.6B."
        )
    return (
        f"cannot be loaded ({type(error).__name__}: {words}); correct that, or name another model."
    )


def _shortened(error: Exception) -> str:
    words = " ".join(str(error).split())
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]}..."


def _refuse_damaged(folder: Path) -> None:
    """Refuse a file of weights, an index of them or a configuration that cannot be read (UserError)."""
    for file in (*sorted(folder.glob("*.index.json")), *sorted(folder.glob(MODEL_CONFIG))):
        read_object(file, "copy it again")
    for file in (*sorted(folder.glob("*.safetensors")), *sorted(folder.glob("*_model*.bin"))):
        try:
            if file.suffix == ".bin":
                torch.load(file, map_location="meta", weights_only=True)
            else:
                safe_open(file, framework="pt")
        except Exception as error:
            if "unsupported global" in str(error).lower():
                raise UserError(
                    f"{file}: holds Python objects beside weights, whose loading could run code; ask for safetensors."
                ) from None
            raise UserError(
                f"{file}: is damaged or was cut short, and cannot be read as weights; copy it again, or train its model anew."
            ) from None
