"""Preparation of distributed training, before anything else is built.

>>> begin_processes(loaded.flat)
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from adasr_trl.core.errors import UserError

# A launcher sets all of them.
_LAUNCHED = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_OF_ONE = {"RANK": "0", "WORLD_SIZE": "1"}  # what a process without others may have


def begin_processes(flat: Mapping[str, object]) -> None:
    """Prepare the sharding that the configuration's keys for TRL ask for, before TRL's arguments are built.

    Raises:
        UserError: This machine or launch does not allow it.
    """
    _refuse_half_a_launch()
    if asks_for_fsdp(flat, os.environ):
        _refuse_fsdp_on_cpu(use_cpu=bool(flat.get("use_cpu")))
        if "LOCAL_RANK" not in os.environ:
            raise UserError(
                "FSDP: no launcher started this process, so there are no others to share the weights with; start it with "
                "accelerate launch --config_file configs/accelerate/fsdp.yaml."
            )
    if flat.get("deepspeed"):
        _begin_deepspeed()
    elif _is_on("ACCELERATE_USE_DEEPSPEED", os.environ) and "LOCAL_RANK" not in os.environ:
        raise UserError(
            "ACCELERATE_USE_DEEPSPEED: got true from the environment, but no launcher started this process; unset it, or start "
            "it with accelerate launch."
        )


def _is_on(name: str, environment: Mapping[str, str]) -> bool:
    return environment.get(name, "").lower() == "true"


def _refuse_half_a_launch() -> None:
    """Refuse what a cluster's job says of its processes where no launcher says the rest: torch would wait for the others."""
    told = {name: os.environ[name] for name in _LAUNCHED[:3] if name in os.environ}
    others = [name for name, value in told.items() if value != _OF_ONE.get(name)]
    missing = [name for name in _LAUNCHED if name not in os.environ]
    if others and missing:
        raise UserError(
            f"{others[0]}: got {told[others[0]]!r} from the environment without {', '.join(missing)}, so no launcher started "
            f"this process; unset {', '.join(told)}, or start it with torchrun or accelerate launch."
        )


def asks_for_fsdp(flat: Mapping[str, object], environment: Mapping[str, str]) -> bool:
    """Whether a configuration, or accelerate's launcher by its environment, shards with FSDP."""
    return bool(flat.get("fsdp")) or _is_on("ACCELERATE_USE_FSDP", environment)


def _refuse_fsdp_on_cpu(*, use_cpu: bool) -> None:
    """Accelerate 1.15 would silently leave FSDP out: every process would hold all weights."""
    import torch

    use_cpu |= os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true")
    if use_cpu or not torch.accelerator.is_available():
        raise UserError(
            "FSDP: accelerate shards over GPUs only; on a CPU every process would train with all weights. Launch without "
            "FSDP, or shard with deepspeed: configs/deepspeed/zero3.yaml."
        )


def _begin_deepspeed() -> None:
    """Without a launcher this is the only process; without CUDA the backend is gloo.

    DeepSpeed does not choose gloo by itself: ZeRO-3 would take two processes for one.
    """
    import torch

    try:
        import deepspeed as library
    except ImportError as error:
        raise UserError(
            f"deepspeed: it is not installed ({error}); pip install 'adasr-trl[gpu]', or remove the setting."
        ) from error
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
    for name, value in {**alone, "MASTER_PORT": port}.items():
        os.environ.setdefault(name, value)
    scripts = str(Path(sys.executable).parent)  # ninja is there, also where no shell activated it
    if scripts not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join((scripts, os.environ["PATH"]))
    if not torch.cuda.is_available() and not torch.distributed.is_initialized():
        # The shared-memory transport would be compiled for a minute, and gloo serves as well.
        library.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        library.init_distributed(dist_backend="gloo", auto_mpi_discovery=False)
