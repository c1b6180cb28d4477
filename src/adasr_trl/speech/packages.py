"""Packages of the extra ``speech``, imported when they are needed."""

from __future__ import annotations

import importlib
from types import ModuleType

from adasr_trl.core.errors import UserError

EXTRA = "speech"


def load_package(name: str) -> ModuleType:
    """The module.

    Raises:
        UserError: It is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"speech needs the package {name} ({error}); pip install 'adasr-trl[{EXTRA}]'."
        ) from error
