"""A trained model as a run: what evaluation, report, verification and publishing need beside the weights.

>>> trainer.save_model("runs/mine")     # weights, tokenizer, streaming.json, origin.json, and from here
...                                     # verify.logits, config.yaml, provenance.json, run.json
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from adasr_trl import __version__
from adasr_trl.artifacts import directory
from adasr_trl.artifacts.digests import weights_digest
from adasr_trl.artifacts.names import CONFIG_FILE
from adasr_trl.artifacts.provenance import PYTHON, save_provenance
from adasr_trl.config.keys import OBEYED
from adasr_trl.core.files import write_text
from adasr_trl.training.probe import save_probe

logger = logging.getLogger(__name__)


def save_logits(trainer: Any, folder: Path) -> None:
    """Save the trained model's logits, computed by every process: each has a part of the weights under ZeRO-3."""
    if trainer.is_fsdp_enabled:
        logger.info("%s: FSDP saves no logits, so adasr verify has nothing to compare", folder)
        return
    wrapped = vars(trainer.accelerator.unwrap_model(trainer.model))
    forwards = {name: wrapped[name] for name in ("forward", "_original_forward") if name in wrapped}
    # Without accelerate's mixed precision around a forward: whoever loads the model has none.
    trained = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    write = trainer.accelerator.is_main_process
    try:
        save_probe(folder, trained, trainer.processing_class, trainer.protocol, write=write)
    finally:
        wrapped.update(forwards)  # accelerate took them off the model; training may go on


def save_record(trainer: Any, folder: Path) -> None:
    """Write configuration, provenance and identity of a model that was trained from Python."""
    config = config_of(trainer)
    write_text(folder / CONFIG_FILE, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    script = Path(sys.argv[0]).name or "a session"
    origin = trainer.origin
    before = Path(origin.path) if origin and origin.path else None
    episodes = itertools.chain(trainer.data.train, trainer.data.held_out)
    save_provenance(folder, (PYTHON, script), episodes, before)
    steps = trainer.state.global_step
    identity = {
        "command": trainer.method,
        "version": __version__,
        "config": config,
        "weights": weights_digest(folder),
        "steps": steps,  # made when it was saved
    }
    if steps == 0:
        logger.warning(
            "%s: saved before the first step of training, so this is no finished run", folder
        )
    directory.write_record(folder, identity, complete=steps > 0)


def config_of(trainer: Any) -> dict[str, Any]:
    """A trainer's settings as a configuration file spells them; training arguments with their default are left out."""
    args, origin = trainer.args, trainer.origin
    defaults = {f.name: f.default for f in dataclasses.fields(args)}
    plain: Mapping[str, Any] = json.loads(args.to_json_string())
    changed = {
        key: plain[key]
        for key in sorted(OBEYED[trainer.method])
        if key in plain and vars(args)[key] != defaults.get(key) and plain[key] is not None
    }
    sections = {
        **({"model": dataclasses.asdict(origin)} if origin else {}),
        "streaming": dataclasses.asdict(trainer.protocol),
    }
    return {**json.loads(json.dumps(sections)), **trainer.sections, **changed}
