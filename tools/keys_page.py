"""Writer of docs/KEYS.md: the keys of each command, and the arguments that are refused.

    python -m tools.keys_page docs/KEYS.md

Words on TRL's and transformers' arguments are left to their own pages, and to ``adasr keys``, which reads them from the
installed packages.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from adasr_trl.cli.keys import Key, keys_of
from adasr_trl.config.keys import INSTEAD
from adasr_trl.core.files import write_text
from adasr_trl.evaluation.tables import Table

TITLES = {"sft": "`adasr sft`", "hrpo": "`adasr hrpo` and `adasr grpo`", "eval": "`adasr eval`"}
OPENING = """# Keys

Each key of a configuration file can be given on the command line, too (`--streaming.max_thought_tokens 32`); a flag without
a value is true. `adasr keys COMMAND` lists the same with a sentence on each argument of TRL and transformers. This page is
written by `python -m tools.keys_page docs/KEYS.md`."""


def page() -> str:
    """The whole page."""
    parts = [OPENING]
    for command, title in TITLES.items():
        keys = list(keys_of(command))
        own, others = [k for k in keys if k.is_own], [k for k in keys if not k.is_own]
        parts += [f"## {title}", _table(("key", "type", "default", "meaning"), map(_own_row, own))]
        if others:
            parts.append("Arguments of TRL and transformers that have an effect:")
            parts.append(_table(("argument", "type", "default"), map(_row, others)))
    refused = [(f"`{name}`", instead) for name, instead in sorted(INSTEAD.items())]
    parts += ["## Refused", _table(("argument", "in its place"), refused)]
    return "\n\n".join(parts) + "\n"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    escaped = (tuple(cell.replace("|", "\\|") for cell in row) for row in rows)
    return Table(header, tuple(escaped)).markdown()


def _own_row(key: Key) -> tuple[str, ...]:
    return (*_row(key), key.summary)


def _row(key: Key) -> tuple[str, ...]:
    return (f"`{key.name}`", key.type, key.default)


if __name__ == "__main__":
    write_text(Path(sys.argv[1]), page())
