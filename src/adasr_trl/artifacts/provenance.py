"""Provenance of a run: command, versions, and data with its licences, for the model card.

    >>> save_provenance(Path("runs/tiny/hrpo"), ["hrpo", "--config", "hrpo.yaml"], episodes, before=Path("runs/tiny/sft"))
    >>> load_provenance(Path("runs/tiny/hrpo")).data[0].licence
    'Apache-2.0'

The data of the run that this one continues counts too. A source of both is listed once, with the larger number of
episodes: their overlap is not known.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass, replace
from importlib import metadata
from pathlib import Path

from adasr_trl.artifacts.names import PROVENANCE_FILE, RUN_FILE
from adasr_trl.core.episode import Episode, Source
from adasr_trl.core.errors import UserError
from adasr_trl.core.files import read_object, write_text

PYTHON = "python"  # first word of the command of a run trained by a script
_PACKAGES = ("adasr-trl", "torch", "transformers", "trl", "peft", "accelerate", "bitsandbytes")
# Prefixes, in lower case with dashes, of licences that allow adapted rows to be passed on.
_SHAREABLE = (
    "apache", "mit", "bsd", "isc", "unlicense", "cc0", "cc-by", "pddl", "odc-by", "odbl", "cdla",
    "public-domain",
)  # fmt: skip


@dataclass(frozen=True)
class DataUsed:
    """One source, and the number of a run's episodes from it."""

    name: str
    revision: str
    licence: str
    split: str
    episodes: int


@dataclass(frozen=True)
class Provenance:
    """Origin of a run."""

    command: tuple[str, ...]  # arguments of ``adasr``, or ``python`` and a script's name
    versions: Mapping[str, str]  # package to version, of this package and those below it
    data: tuple[DataUsed, ...]  # training data, that of the continued run included


def save_provenance(
    run: Path, command: Sequence[str], episodes: Iterable[Episode], before: Path | None = None
) -> None:
    """Write the file into a run's directory; ``before`` is the model that it started from, a run or not."""
    is_run = before and ((before / PROVENANCE_FILE).is_file() or (before / RUN_FILE).is_file())
    earlier = load_provenance(before).data if before and is_run else ()
    record = {
        "command": list(command),
        "versions": _versions(),
        "data": [asdict(source) for source in joined(used(episodes), earlier)],
    }
    write_text(run / PROVENANCE_FILE, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def load_provenance(run: Path) -> Provenance:
    """Read the file of a run; a UserError if there is none, or it is damaged."""
    path = run / PROVENANCE_FILE
    if not path.is_file():
        raise UserError(
            f"{path}: no such file, so sources and licences of the run's data are unknown; train the run again."
        )
    record = read_object(path, "restore it, or train the run again")
    try:
        data = joined(DataUsed(**source) for source in record["data"])
        return Provenance(tuple(record["command"]), record["versions"], data)
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not as a run writes it ({type(error).__name__}: {error}); restore it, or train the run again."
        ) from None


def used(episodes: Iterable[Episode]) -> tuple[DataUsed, ...]:
    """The sources of some episodes."""
    counts: Counter[Source] = Counter(episode.source for episode in episodes)
    return joined(DataUsed(**asdict(source), episodes=n) for source, n in counts.items())


def joined(*runs: Iterable[DataUsed]) -> tuple[DataUsed, ...]:
    """Each source once, by name, with its largest number of episodes."""
    most: dict[DataUsed, int] = {}
    for used_source in itertools.chain.from_iterable(runs):
        source = replace(used_source, episodes=0)
        most[source] = max(used_source.episodes, most.get(source, 0))
    return tuple(sorted((replace(s, episodes=n) for s, n in most.items()), key=astuple))


def may_be_shared(licence: str) -> bool:
    """Whether a licence is known to let adapted rows be passed on."""
    words = licence.lower().replace("_", " ").replace("-", " ").split()
    if {"nd", "noderivatives", "noderivs"} & set(words):
        return False
    return "-".join(words).startswith(_SHAREABLE)


def _versions() -> dict[str, str]:
    versions = {}
    for package in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions
