"""What distributed training needs before anything else is built.

>>> begin_processes(loaded.flat.get("deepspeed"))
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from adasr_trl.files import UserError


def begin_processes(deepspeed: object) -> None:
    """What DeepSpeed needs before TRL's arguments are built; nothing where it is not asked for.

    Without a launcher this is the only process. Without CUDA the processes talk through gloo, which DeepSpeed does not
    choose by itself: ZeRO-3 would take two processes for one.
    """
    if not deepspeed:
        return
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
    if torch.cuda.is_available() or torch.distributed.is_initialized():
        return
    # The shared-memory transport would be compiled for a minute, and gloo serves as well.
    library.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    library.init_distributed(dist_backend="gloo", auto_mpi_discovery=False)
