"""The licence of a pretrained model, as its own card states it, for the card of the model made from it.

>>> base_licence(ModelConfig(path="Qwen/Qwen3-1.7B"), ask_hub=True)
Licence(licence='apache-2.0', name=None, link=None)

Without a stated licence the field is left out, and the author adds what applies.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import hf_hub_download, try_to_load_from_cache
from huggingface_hub.repocard import metadata_load

from adasr_trl.artifacts.names import is_hub_id
from adasr_trl.config.sections import ModelConfig
from adasr_trl.core.errors import UserError
from adasr_trl.models.files import hub_errors

_CARD = "README.md"


@dataclass(frozen=True)
class Licence:
    """The fields of a model card; name and link belong to a licence that the Hub has no id for (``other``)."""

    licence: str
    name: str | None = None
    link: str | None = None


def base_licence(origin: ModelConfig | None, *, ask_hub: bool) -> Licence | None:
    """The licence in the card of the model that a run started from.

    Args:
        origin: Source of its weights; None where they were made by the run.
        ask_hub: Whether a card that is not in the cache may be downloaded.
    """
    if origin is None or origin.path is None:
        return None
    card = _card_of(origin, ask_hub=ask_hub)
    return None if card is None else _read(card, origin.path)


def _card_of(origin: ModelConfig, *, ask_hub: bool) -> Path | None:
    repo = str(origin.path)
    if Path(repo).is_dir():
        return Path(repo) / _CARD if (Path(repo) / _CARD).is_file() else None
    if not is_hub_id(repo):
        return None
    if not ask_hub:
        cached = try_to_load_from_cache(repo, _CARD, revision=origin.revision)
        return Path(cached) if isinstance(cached, str) else None
    try:
        with hub_errors(repo):
            return Path(hf_hub_download(repo, _CARD, revision=origin.revision))
    except UserError:  # no card, or no connection: the push itself will say so
        return None


def _read(card: Path, repo: str) -> Licence | None:
    try:
        data: dict[str, Any] = metadata_load(card) or {}
    except (ValueError, yaml.YAMLError, UnicodeDecodeError):
        return None
    stated = data.get("license")
    if not isinstance(stated, str):
        return None
    name, link = data.get("license_name"), data.get("license_link")
    if isinstance(link, str) and "://" not in link:  # a file of the base's repository
        link = None if Path(repo).is_dir() else f"https://huggingface.co/{repo}/blob/main/{link}"
    return Licence(stated, _text(name), _text(link))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
