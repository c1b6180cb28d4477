"""Files of a trained model: uploaded by ``push``, downloaded from the Hub by every loader.

>>> located("me/streaming-qwen3")      # downloaded into the cache, or taken from it
PosixPath('.../models--me--streaming-qwen3/snapshots/...')
>>> located("runs/tiny/hrpo")
PosixPath('runs/tiny/hrpo')
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError

from adasr_trl.artifacts.names import (
    ADAPTER_CONFIG,
    CONFIG_FILE,
    MODEL_CONFIG,
    ORIGIN_FILE,
    PROVENANCE_FILE,
    STREAMING_FILE,
    TOKENIZER_FILES,
    VERIFY_FILE,
    is_hub_id,
)
from adasr_trl.core.demo import run_directory
from adasr_trl.core.errors import UserError, first_line

ADAPTER_FILES = (
    ADAPTER_CONFIG,
    "adapter_model*.safetensors",
    "adapter_model.safetensors.index.json",
)
WEIGHT_FILES = (
    MODEL_CONFIG,
    "generation_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
)
OWN_FILES = (STREAMING_FILE, ORIGIN_FILE, PROVENANCE_FILE, VERIFY_FILE, CONFIG_FILE)
# Never any other file: transformers' training_args.bin is a pickle, and may hold a token.
MODEL_FILES = (*ADAPTER_FILES, *WEIGHT_FILES, *TOKENIZER_FILES, *OWN_FILES)


def located(path: str | Path, revision: str | None = None) -> Path:
    """A model's directory: ``path`` itself, ``demo``, or its files of the Hub, downloaded if they are not in the cache.

    Raises:
        UserError: ``path`` is neither, or the Hub cannot be reached.
    """
    if run_directory(path).is_dir():
        return run_directory(path)
    if not is_hub_id(path):
        raise UserError(f"{path}: no such directory, and no Hub id (OWNER/NAME); name one of them.")
    with hub_errors(f"{path}: cannot be loaded from the Hub"):
        return Path(snapshot_download(str(path), revision=revision, allow_patterns=[*MODEL_FILES]))


@contextmanager
def hub_errors(what: str) -> Iterator[None]:
    """One line for the user in place of the errors of the Hub's client."""
    try:
        yield
    except RepositoryNotFoundError as error:
        raise UserError(
            f"{what}: there is no such repository, or the token may not see it; check the name, and log in with "
            f"hf auth login or set HF_TOKEN."
        ) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        advice = " Log in with hf auth login or set HF_TOKEN." if status in (401, 403) else ""
        raise UserError(
            f"{what}: the Hub answered {status} ({first_line(error)}).{advice}"
        ) from error
    except (HFValidationError, httpx2.HTTPError, OSError) as error:
        raise UserError(f"{what}: {first_line(error)}") from error
    except ValueError as error:  # a card that the Hub refuses
        raise UserError(f"{what}: {' '.join(str(error).split())}") from error
    except RuntimeError as error:  # huggingface_hub's around a failed upload
        cause = error.__cause__
        if not isinstance(cause, (httpx2.HTTPError, OSError)):
            raise
        raise UserError(f"{what}: {first_line(error)} ({first_line(cause)})") from error
