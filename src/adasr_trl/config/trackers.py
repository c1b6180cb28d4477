"""Trackers of a run's numbers (``report_to``), checked before anything is loaded.

    report_to: [tensorboard]        # then: tensorboard --logdir RUN

transformers finds a missing package only once the model is loaded, and with a traceback.
"""

from __future__ import annotations

from importlib.util import find_spec

from adasr_trl.config.loading import LoadedConfig
from adasr_trl.config.values import ConfigError

_PACKAGES = {
    "tensorboard": ("tensorboard", "tensorboardX"),
    "trackio": ("trackio",),
    "wandb": ("wandb",),
}


def check_reporters(loaded: LoadedConfig) -> None:
    """Refuse a name that transformers does not know, and one whose package is not installed (ConfigError)."""
    asked = loaded.flat.get("report_to")
    for name in asked if isinstance(asked, list) else [asked]:
        if name in (None, "none", "all"):
            continue
        where = f"{loaded.line_of('report_to')}: report_to"
        packages = _PACKAGES.get(str(name))
        if packages is None:
            _refuse_unknown(str(name), where)
        elif not any(find_spec(package) for package in packages):
            raise ConfigError(
                f"{where}: got {name}, but the package {packages[0]} is not installed; "
                f"pip install {packages[0]}, or set report_to: none."
            )


def _refuse_unknown(name: str, where: str) -> None:
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    if name not in INTEGRATION_TO_CALLBACK:
        raise ConfigError(
            f"{where}: got {name!r}; expected none, {', '.join(_PACKAGES)}, or another of transformers' "
            f"({', '.join(sorted(set(INTEGRATION_TO_CALLBACK) - set(_PACKAGES)))})."
        )
