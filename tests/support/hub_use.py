"""``adasr push`` and huggingface_hub, directed to a Hub on 127.0.0.1."""

from __future__ import annotations

import huggingface_hub.constants as hub_constants
from huggingface_hub import hf_api

from adasr_trl.cli.main import main as adasr

# Everything about the Hub that huggingface_hub reads from the environment when it is imported.
AT_HUB = {"HF_HUB_OFFLINE": False, "HF_HUB_DISABLE_XET": True}


def use_hub(monkeypatch, hub, cache):
    for name, value in AT_HUB.items():
        monkeypatch.setattr(hub_constants, name, value)
    monkeypatch.setattr(hub_constants, "ENDPOINT", hub.url)
    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(hub_constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(hub_constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(hf_api.api, "endpoint", hub.url)
    monkeypatch.setenv("HF_TOKEN", "not-a-real-token")


def push(path, repo, *flags):
    return adasr(["push", str(path), "--repo", repo, *flags])
