"""What a run was made from: the command, the versions, and the data with its licences. The model card says it.

    >>> save_provenance(Path("runs/tiny/hrpo"), ["hrpo", "--config", "hrpo.yaml"], episodes, before=Path("runs/tiny/sft"))
    >>> load_provenance(Path("runs/tiny/hrpo")).data[0].licence
    'Apache-2.0'

The data of the run that this one went on from counts too. A source of both stands there once, with the larger number of
episodes: which of them the runs had in common is not kept.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from adasr_trl.artifacts import directory
from adasr_trl.artifacts.names import PROVENANCE_FILE, RUN_FILE
from adasr_trl.core.episode import Episode, Source, read_episodes
from adasr_trl.core.errors import UserError
from adasr_trl.core.files import write_text

_PACKAGES = ("adasr-trl", "torch", "transformers", "trl", "peft", "accelerate", "bitsandbytes")
# Beginnings, in lower case with dashes, of licences under which changed rows may be passed on.
_SHAREABLE = (
    "apache", "mit", "bsd", "isc", "unlicense", "cc0", "cc-by", "pddl", "odc-by", "odbl", "cdla",
    "public-domain",
)  # fmt: skip


@dataclass(frozen=True)
class DataUsed:
    """One source of episodes, and how many of a run's came from it."""

    name: str
    revision: str
    licence: str
    split: str
    episodes: int


@dataclass(frozen=True)
class Provenance:
    """How a run came about.

    Attributes:
        command: What was typed behind ``adasr``.
        versions: Of this package and those that it stands on.
        data: What it was trained on, that of the run before it included.
    """

    command: tuple[str, ...]
    versions: Mapping[str, str]
    data: tuple[DataUsed, ...]


def save_provenance(
    run: Path, command: Sequence[str], episodes: Iterable[Episode], before: Path | None = None
) -> None:
    """Write the file into a run's directory; ``before`` is the run whose model it started from, if any."""
    earlier = load_provenance(before).data if before and _is_run(before) else ()
    data = joined(used(episodes), earlier)
    found = {
        "command": list(command),
        "versions": _versions(),
        "data": [asdict(each) for each in data],
    }
    write_text(run / PROVENANCE_FILE, json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def load_provenance(run: Path) -> Provenance:
    """Read it back, or make it from what an older run holds.

    Raises:
        UserError: The run has none, and its training data is gone or has changed.
    """
    path = run / PROVENANCE_FILE
    if not path.is_file():
        return _reconstructed(run)
    found = json.loads(path.read_text(encoding="utf-8"))
    data = joined(DataUsed(**each) for each in found["data"])
    return Provenance(tuple(found["command"]), found["versions"], data)


def used(episodes: Iterable[Episode]) -> tuple[DataUsed, ...]:
    """The sources of some episodes."""
    counts: Counter[Source] = Counter(episode.source for episode in episodes)
    return joined(DataUsed(**asdict(source), episodes=n) for source, n in counts.items())


def joined(*runs: Iterable[DataUsed]) -> tuple[DataUsed, ...]:
    """Each source once, by name, with the most episodes that a run took from it."""
    most: dict[DataUsed, int] = {}
    for each in itertools.chain.from_iterable(runs):
        source = replace(each, episodes=0)
        most[source] = max(each.episodes, most.get(source, 0))
    found = (replace(source, episodes=n) for source, n in most.items())
    return tuple(sorted(found, key=astuple))


def may_be_shared(licence: str) -> bool:
    """Whether a licence is known to let adapted rows be passed on; one that is not known does not."""
    name = "-".join(licence.lower().replace("_", " ").replace("-", " ").split())
    words = name.split("-")
    if "nd" in words or "noderivatives" in words or "noderivs" in words:
        return False
    return name.startswith(_SHAREABLE)


def _is_run(path: Path) -> bool:
    return (path / PROVENANCE_FILE).is_file() or (path / RUN_FILE).is_file()


def _reconstructed(run: Path) -> Provenance:
    identity: dict[str, Any] = directory.identity_of(run)
    data = identity["config"]["data"]
    files = [data["train"]] if data["train"] else [part["path"] for part in data["mixture"]]
    digests = identity["train"] if isinstance(identity["train"], list) else [identity["train"]]
    for file, digest in zip(files, digests, strict=True):
        if not Path(file).is_file() or directory.file_digest(file) != digest:
            raise UserError(
                f"{run}: holds no {PROVENANCE_FILE}, and {file}, which it was trained on, is gone or has changed; put "
                f"the file back, so that its sources and licences can be named."
            )
    before = identity["config"]["model"].get("path")
    earlier = load_provenance(Path(before)).data if before and _is_run(Path(before)) else ()
    now = used(itertools.chain.from_iterable(read_episodes(file) for file in files))
    versions = {"adasr-trl": identity["version"]}
    return Provenance((identity["command"],), versions, joined(now, earlier))


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
