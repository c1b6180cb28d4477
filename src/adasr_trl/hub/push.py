"""Publishing a finished run on the Hub, in one commit that holds all or nothing.

    >>> push(Path("runs/qwen3-1.7b/seed-0/hrpo"), Push("me/streaming-qwen3"))
    'https://huggingface.co/me/streaming-qwen3'

Everything that can be refused is refused before the first byte goes out. If an upload breaks, nothing of it is visible,
and the same command goes on: files that arrived are not sent again. All calls are huggingface_hub's.
"""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

from adasr_trl.artifacts import directory
from adasr_trl.artifacts.bases import recorded_base
from adasr_trl.artifacts.names import (
    ADAPTER_CONFIG,
    EPISODES_FILE,
    EVAL_FOLDER,
    ORIGIN_FILE,
    TOKENIZER_FILES,
    is_hub_id,
)
from adasr_trl.artifacts.provenance import may_be_shared, used
from adasr_trl.artifacts.saved_config import load_origin
from adasr_trl.config.sections import ModelConfig
from adasr_trl.core.episode import read_episodes
from adasr_trl.core.errors import UserError
from adasr_trl.hub.card import Described, evaluations, write_card
from adasr_trl.hub.licence import base_licence
from adasr_trl.hub.secret_scan import find_secret
from adasr_trl.models.files import (
    ADAPTER_FILES,
    MODEL_FILES,
    OWN_FILES,
    WEIGHT_FILES,
    hub_errors,
)
from adasr_trl.training.probe import load_probe

logger = logging.getLogger(__name__)

CARD_FILE = "README.md"


@dataclass(frozen=True)
class Push:
    """Options of a publication."""

    repo: str  # Hub id, such as ``me/streaming-qwen3``
    private: bool = False  # whether a new repository is private; one that exists stays as it is
    merge: bool = False  # publish the base with the adapter merged into it
    without_eval: bool = False  # publish a run that was not evaluated
    with_records: bool = False  # publish the evaluation's records too, which hold its questions


@dataclass(frozen=True)
class Publication:
    """The files of a publication, by their names in the repository, and the card's text."""

    files: Mapping[str, Path]
    card: str


def push(run: Path, how: Push) -> str:
    """Publish a run; returns the repository's address."""
    with tempfile.TemporaryDirectory(prefix="adasr-push-") as folder:
        publication = prepare(run, how, Path(folder), ask_hub=True)
        return _upload(publication, how)


def preview(run: Path, how: Push) -> str:
    """The listing of the files and the card; nothing is asked of the Hub."""
    with tempfile.TemporaryDirectory(prefix="adasr-push-") as folder:
        publication = prepare(run, how, Path(folder), ask_hub=False)
        sizes = [(name, path.stat().st_size) for name, path in sorted(publication.files.items())]
        listing = "\n".join(f"{size:>12,}  {name}" for name, size in sizes)
        return f"would upload to {how.repo}:\n{listing}\n\n{publication.card}"


def prepare(run: Path, how: Push, folder: Path, *, ask_hub: bool) -> Publication:
    """Collect and check all files.

    Args:
        run: The finished run.
        how: The options.
        folder: Folder for files that are made now.
        ask_hub: Whether the base's card may be downloaded, for its licence; else it is taken from the cache.

    Raises:
        UserError: The files must not be published.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]{1,96}", how.repo, re.ASCII):
        raise UserError(
            f"--repo: got {how.repo!r}; expected OWNER/NAME of letters, digits, -, _ and dots."
        )
    if not directory.is_complete(run):
        raise UserError(f"{directory.why_no_run(run)}; finish it with --resume, then push it.")
    adapter = (run / ADAPTER_CONFIG).is_file()
    if how.merge and not adapter:
        raise UserError(f"{run}: holds a whole model, and no adapter to merge; leave out --merge.")
    base = _base(run, adapter=adapter and not how.merge)
    _check_evaluated(run, how)
    files = _model_files(run, adapter=adapter)
    if how.merge:
        files = _merged_files(run, files, folder)
    if how.with_records:
        files |= _records(run)
    licence = base_licence(_source(run), ask_hub=ask_hub)
    described = Described(how.repo, base, adapter and not how.merge, how.with_records, licence)
    card = write_card(run, described)
    (folder / CARD_FILE).write_text(card, encoding="utf-8")
    files[CARD_FILE] = folder / CARD_FILE
    _check_secrets(files)
    return Publication(files, card)


def _check_evaluated(run: Path, how: Push) -> None:
    folders = evaluations(run)
    if EVAL_FOLDER not in [folder.name for folder in folders]:
        if how.without_eval:
            return
        raise UserError(
            f"{run}: has no finished evaluation, so its card would show no figures; run adasr eval with "
            f"--model.path {run}, or insist with --without-eval."
        )
    for folder in folders:
        if not directory.evaluates(folder, run):
            raise UserError(
                f"{folder}: evaluates another run than the one that is there now; run adasr eval again with --overwrite."
            )


def _base(run: Path, *, adapter: bool) -> str | None:
    """The Hub id of the pretrained model; an adapter on a directory of this machine is of use to nobody else."""
    origin = load_origin(run)
    if origin is None or origin.path is None:
        return None
    recorded = recorded_base(run)
    is_local = bool(recorded and (recorded.was_directory or recorded.found))
    if is_hub_id(origin.path) and not is_local:
        return origin.path
    if adapter:
        raise UserError(
            f"{run / ORIGIN_FILE}: the adapter's base is {origin.path}, a directory that nobody else has; upload a whole "
            f"model with --merge, or train on a base from the Hub."
        )
    return None


def _source(run: Path) -> ModelConfig | None:
    """The source of a run's pretrained weights as it lies here; None where a directory is gone."""
    origin, recorded = load_origin(run), recorded_base(run)
    if origin is None or recorded is None or not (recorded.found or recorded.was_directory):
        return origin
    return replace(origin, path=str(recorded.found[0])) if recorded.found else None


def _model_files(run: Path, *, adapter: bool) -> dict[str, Path]:
    weights = ADAPTER_FILES if adapter else WEIGHT_FILES
    patterns = (*weights, *TOKENIZER_FILES, *OWN_FILES)
    return {path.name: path for path in sorted(run.iterdir()) if _matches(path.name, patterns)}


def _merged_files(run: Path, files: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    """The files of the merged model, whose logits must be the adapter's."""
    from adasr_trl.config.sections import ModelConfig
    from adasr_trl.hub.verify import judge, merged
    from adasr_trl.models.loading import load_policy

    probe = load_probe(run)
    config = ModelConfig(path=str(run), dtype=probe.dtype)  # type: ignore[arg-type]  # as saved
    model = merged(load_policy(config).model, run)
    verdict = judge(probe, model)
    logger.info("merged: %s", verdict)
    if not verdict.within:
        raise UserError(
            f"{run}: merging gave {verdict}; push the adapter instead, without --merge."
        )
    merged_folder = folder / "merged"
    model.save_pretrained(merged_folder)
    of_adapter = (*ADAPTER_FILES, ORIGIN_FILE)
    others = {name: path for name, path in files.items() if not _matches(name, of_adapter)}
    weights = [x for x in merged_folder.iterdir() if _matches(x.name, WEIGHT_FILES)]
    return others | {path.name: path for path in weights}


def _records(run: Path) -> dict[str, Path]:
    """The evaluations' files, unless a licence forbids passing on their questions."""
    files: dict[str, Path] = {}
    for folder in evaluations(run):
        for source in used(read_episodes(folder / EPISODES_FILE)):
            if not may_be_shared(source.licence):
                raise UserError(
                    f"{folder / EPISODES_FILE}: {source.episodes} rows of {source.name} have the licence "
                    f"{source.licence!r}, which is not known to let adapted rows be passed on; leave out --with-records."
                )
        files |= {f"{folder.name}/{path.name}": path for path in folder.glob("*.jsonl")}
    return files


def _check_secrets(files: Mapping[str, Path]) -> None:
    for name, path in files.items():
        secret = find_secret(path)
        if secret:
            where = f"line {secret.line}" if secret.line else "its header"
            shown = name if name == CARD_FILE else path
            raise UserError(
                f"{shown}: {where} looks like a secret ({secret.kind}), which would be published; remove it there, and "
                f"revoke it if it was real."
            )


def _upload(publication: Publication, how: Push) -> str:
    api = HfApi()
    failed = f"{how.repo}: not published, and nothing of it is visible; the same command goes on"
    with hub_errors(failed):
        url = api.create_repo(how.repo, private=how.private or None, exist_ok=True)
        # Of an earlier push only a model's files go: others, such as a picture, are its author's.
        earlier = set(api.list_repo_files(how.repo)) - set(publication.files)
        operations: list[Any] = [
            *(CommitOperationAdd(name, path) for name, path in sorted(publication.files.items())),
            *(CommitOperationDelete(x) for x in sorted(earlier) if _matches(x, MODEL_FILES)),
        ]
        api.create_commit(how.repo, operations, commit_message="Upload with adasr push")
    return str(url)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)
