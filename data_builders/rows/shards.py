"""The files of an input: one, or several that form one input in their natural order (2 before 10).

    --input "data/train-*.parquet"      a pattern, for the shell or for us
    --input a.jsonl b.jsonl             several, in the given order
    --input gsm8k                       a folder as a clone of the Hub has it: the files of --split

A folder's splits and subsets are found as ``datasets`` finds them: by ``data_files`` in its README.md, else by the names of
its files. A file that is named twice is refused, and so is a shard that its siblings (``-of-00003``) say is missing.
"""

from __future__ import annotations

import argparse
import glob
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from adasr_trl.core.errors import first_line
from data_builders.errors import BuildError

logger = logging.getLogger(__name__)

TRAIN = "train"  # the split where none is named
LINES = (".jsonl", ".ndjson")
# Suffixes of files with rows.
OF_ROWS = frozenset({".json", ".csv", ".tsv", ".parquet", ".arrow", ".feather", *LINES})
_SAVED = ({"state.json", "dataset_info.json"}, {"dataset_dict.json"})  # files of ``save_to_disk``
# Files beside a data set's rows, as ``datasets`` leaves them out.
_ABOUT = frozenset({"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "config.json"})
# A mark of each shard's content may follow.
_SHARD = re.compile(r"(.*-)(\d+)-of-(\d+)(?!\d)", re.DOTALL)
_MAGIC = re.compile(r"[*?[]")
_FIRST = 64  # bytes of a document that tell a list from an object


class EmptyInputError(BuildError):
    """A file without a row; one of several shards may be."""


def input_files(options: argparse.Namespace) -> list[Path]:
    """The files that ``--input`` names, or a folder that is read as one.

    Raises:
        BuildError: A pattern without a match, a folder without rows, a file named twice, a missing shard.
    """
    named: Sequence[Path] = options.input
    for name in ("split", "subset"):
        if name in options and vars(options)[name] and not any(map(Path.is_dir, named)):
            raise BuildError(
                f"--{name}: has no effect on files; drop it, or name the files of that {name}."
            )
    files = [file for path in named for file in _files_of(path, options)]
    seen: set[Path] = set()
    for file in files:
        if (real := file.resolve()) in seen:
            raise BuildError(f"--input: {file} is named twice; name it once.")
        seen.add(real)
    _refuse_missing(files, is_one=len(named) == 1 and files == list(named))
    return files


def _files_of(path: Path, options: argparse.Namespace) -> list[Path]:
    if path.is_dir():
        return _files_in(path, options)
    if str(path) == "-" or (path.exists() and not path.is_file()):
        raise BuildError(
            f"--input {path}: a pipe or device, which can be read only once; write the rows to a file, and name that."
        )
    if path.exists() or not _MAGIC.search(str(path)) or ":/" in str(path):
        return [path]
    base = next(parent for parent in path.parents if parent.is_dir())  # its name may hold marks
    pattern = f"{glob.escape(str(base))}/{path.relative_to(base)}"
    matches = glob.glob(pattern, recursive=True)  # noqa: PTH207 - that of Path takes hidden files too
    found = sorted(map(Path, matches), key=_natural)
    if folder := next((f for f in found if "**" not in str(path) and f.is_dir()), None):
        raise BuildError(
            f"--input {path}: takes in the folder {folder}; say {folder}/*, or name files."
        )
    files = [file for file in found if file.is_file()]
    if not files:
        raise BuildError(f"{path}: no such file, and none that fits the pattern; name one file.")
    return files


def _natural(path: Path) -> list[tuple[str, int, str]]:
    """Numbers in a path by their size, whatever their zeros."""
    parts = re.split(r"(\d+)", str(path))
    return [
        (text, int(number or 0), number)
        for text, number in zip(parts[::2], [*parts[1::2], ""], strict=True)
    ]


def _refuse_missing(files: Sequence[Path], *, is_one: bool) -> None:
    """Refuse shards whose siblings are not there; of a single file that was named it is only said."""
    for file in files:
        if not (shard := _SHARD.match(file.name)):
            continue
        before, number, count = shard.groups()
        beside = (_SHARD.match(f.name) for f in file.parent.glob(f"*-of-{count}*{file.suffix}"))
        held = {int(m[2]) for m in beside if m and (m[1], m[3]) == (before, count)}
        total = int(count)
        first = int(total in held and 0 not in held)  # numbers begin with 0 or with 1
        missing = sorted(set(range(first, total + first)) - held)
        if not missing:
            continue
        name = f"{before}{missing[0]:0{len(number)}}-of-{count}"
        said = (
            f"{file.parent / name}{file.suffix} is missing ({len(missing)} of {total} shards are)"
        )
        if not is_one:
            raise BuildError(f"{said}; fetch it, or name one file.")
        logger.warning("%s; only %s is read", said, file.name)


# ---- folders


def documents(folder: Path) -> list[Path]:
    """JSON files in a folder, without hidden ones and those about the set."""
    found = (f for f in folder.glob("[!.]*") if f.suffix.lower() == ".json")
    return sorted(file for file in found if file.name not in _ABOUT)


def is_saved(path: Path) -> bool:
    """Whether a folder is one of ``save_to_disk``."""
    names = {file.name for file in path.iterdir()}
    return any(saved <= names for saved in _SAVED)


def _files_in(folder: Path, options: argparse.Namespace) -> list[Path]:
    """The files of a folder's split; the folder itself where it is read as one."""
    split: str | None = options.split if "split" in options else None
    if is_saved(folder):
        inner = folder / (split or "")
        return [inner if inner.is_dir() and is_saved(inner) else folder]
    subset: str | None = options.subset if "subset" in options else None
    base, patterns = _declared(folder, subset)
    if patterns:
        return _of_split(
            folder, {n: _resolved(base, p) for n, p in patterns.items()}, split or TRAIN
        )
    nested = "rows" in options and options.rows is not None
    if not nested and base == folder and _holds_a_row_each(folder):
        return [folder]
    splits = {n: _of_rows(_resolved(base, p)) for n, p in _found_patterns(base).items()}
    return _of_split(folder, splits, split or TRAIN)


def _holds_a_row_each(folder: Path) -> bool:
    """Whether a folder's JSON files are one row each, not shards or documents of rows."""
    files = documents(folder)
    if not files or any(_SHARD.match(file.name) for file in files):
        return False
    with files[0].open("rb") as file:
        return not file.read(_FIRST).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")


def _declared(folder: Path, subset: str | None) -> tuple[Path, dict[str, list[str]]]:
    """The folder of a subset and the patterns of its splits, as README.md has them; none where it says nothing."""
    configs = _configs(folder / "README.md")
    if not configs:
        if subset:
            raise BuildError(
                f"--subset {subset}: {folder} has no README.md that names subsets; drop it."
            )
        return folder, {}
    only = next(iter(configs)) if len(configs) == 1 else configs.get_default_config_name()
    name = subset or only
    if name not in configs:
        got = f"has no subset {subset}" if subset else "holds several subsets"
        raise BuildError(f"{folder}: {got}; say --subset with one of {', '.join(configs)}.")
    from datasets.data_files import sanitize_patterns

    config = configs[name]
    base = folder / str(config.get("data_dir") or "")
    given = config.get("data_files")
    return base, sanitize_patterns(given) if given else {}


def _configs(readme: Path) -> Any:
    if not readme.is_file():
        return None
    import yaml
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCardData
    from huggingface_hub.repocard import metadata_load

    try:
        return MetadataConfigs.from_dataset_card_data(
            DatasetCardData(**(metadata_load(readme) or {}))
        )
    except (ValueError, TypeError, yaml.YAMLError) as error:
        raise BuildError(f"{readme}: its head cannot be read: {first_line(error)}") from error


def _found_patterns(folder: Path) -> Mapping[str, list[str]]:
    from datasets.data_files import EmptyDatasetError, get_data_patterns

    try:
        return {str(name): given for name, given in get_data_patterns(_as_base(folder)).items()}
    except EmptyDatasetError:
        return {}


def _as_base(folder: Path) -> str:
    """A folder for ``datasets``, which takes its name for a part of the pattern."""
    return glob.escape(str(folder.resolve()))


def _resolved(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """The files of patterns, with the folder as it was named."""
    from datasets.data_files import resolve_pattern

    found: dict[Path, None] = {}
    for pattern in patterns:
        if "://" in pattern:
            raise BuildError(
                f"{folder}/README.md: names the address {pattern}; download it, and name the file."
            )
        with suppress(FileNotFoundError):
            found |= dict.fromkeys(map(Path, resolve_pattern(pattern, _as_base(folder))))
        if not found and not _MAGIC.search(pattern):
            raise BuildError(f"{folder / pattern}: no such file, but README.md names it; fetch it.")
    root = folder.resolve()
    return [folder / f.relative_to(root) if f.is_relative_to(root) else f for f in found]


def _of_rows(files: Iterable[Path]) -> list[Path]:
    return [
        f
        for f in files
        if OF_ROWS.intersection(map(str.lower, f.suffixes)) and f.name not in _ABOUT
    ]


def _of_split(folder: Path, splits: Mapping[str, Sequence[Path]], split: str) -> list[Path]:
    held = [name for name, files in splits.items() if files]
    if not held:
        names = min((file.name for file in folder.iterdir()), default="nothing")
        raise BuildError(
            f"{folder}: a folder without .json files or other files of rows (it holds {names}); name one file."
        )
    if split not in held:
        raise BuildError(
            f"{folder}: holds no split {split}; say --split with one of {', '.join(held)}."
        )
    files = sorted(splits[split], key=_natural)
    kinds = {
        next((s for s in map(str.lower, f.suffixes) if s in OF_ROWS), f.suffix): f for f in files
    }
    if len(kinds) > 1:
        one, other = list(kinds.values())[:2]
        raise BuildError(
            f"{folder}: the split {split} holds files of several kinds, such as {one.name} and {other.name}; name those of one "
            f"kind, such as {one.parent}/*{one.suffix}."
        )
    others = (
        f"; it also holds {', '.join(name for name in held if name != split)}" if held[1:] else ""
    )
    logger.info("%s: the split %s in %d file(s)%s", folder, split, len(files), others)
    return files
