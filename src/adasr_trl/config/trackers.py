"""Trackers of a run's numbers (``report_to``), checked before anything is loaded.

    report_to: [tensorboard]        # then: tensorboard --logdir RUN

transformers finds a missing package only once the model is loaded, and with a traceback.
"""

from __future__ import annotations

from importlib.util import find_spec

from adasr_trl.config.loading import LoadedConfig

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
        packages = _PACKAGES.get(str(name))
        if packages is None:
            _refuse_unknown(loaded, str(name))
        elif not any(find_spec(package) for package in packages):
            raise loaded.error(
                "report_to",
                f"got {name}, but the package {packages[0]} is not installed; pip install {packages[0]}, or set "
                f"report_to: none.",
            )


def _refuse_unknown(loaded: LoadedConfig, name: str) -> None:
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    if name not in INTEGRATION_TO_CALLBACK:
        others = ", ".join(sorted(set(INTEGRATION_TO_CALLBACK) - set(_PACKAGES)))
        raise loaded.error(
            "report_to",
            f"got {name!r}; expected none, {', '.join(_PACKAGES)}, or another of transformers' ({others}).",
        )
