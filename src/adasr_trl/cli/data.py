"""``adasr data``: the command line of ``data_builders``.

    adasr data custom --input rows.jsonl ... --out data/mine
    adasr data inspect data/mine

The package never imports the builders, which have a command line of their own: it is called by its name.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Sequence
from typing import cast

BUILDERS = "data_builders.__main__"


def builders(arguments: Sequence[str]) -> int:
    """Run the builders with these arguments; return the exit status."""
    run = vars(importlib.import_module(BUILDERS))["main"]
    return cast(Callable[[Sequence[str]], int], run)(arguments)


def add_data(parser: argparse.ArgumentParser) -> None:
    """No arguments: the builders parse their own."""
    del parser
