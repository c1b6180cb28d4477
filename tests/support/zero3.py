"""Trains a tiny model with DeepSpeed's ZeRO-3, or without, and writes its generation batches.

    python tests/support/zero3.py OUT {zero3,plain}

Not a test: ``test_engine_kinds`` launches it both ways and compares. DeepSpeed stays in a process of its own, since it
leaks into trainers that are made later.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from support.two_processes import GenerationRecorder, parts_of, rewards_of

ZERO3 = {
    "zero_optimization": {
        "stage": 3,
        "stage3_param_persistence_threshold": 0,
        "stage3_gather_16bit_weights_on_model_save": True,  # in whatever they are: float32 here
    },
    "train_micro_batch_size_per_gpu": "auto",
    "gradient_accumulation_steps": "auto",
    "train_batch_size": "auto",
    "gradient_clipping": "auto",
    "zero_allow_untested_optimizer": True,
}


def begin_deepspeed():
    import deepspeed

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # else it compiles for a minute
    deepspeed.init_distributed(dist_backend="gloo", auto_mpi_discovery=False)


def main(out, kind):
    torch.set_num_threads(1)
    if kind == "zero3":
        begin_deepspeed()
    changes = {"deepspeed": ZERO3} if kind == "zero3" else {}
    changes |= {"num_generations": 4, "learning_rate": 1.0}
    model, tokenizer, episodes, args, streaming = parts_of(out / kind, **changes)
    trainer = GenerationRecorder(
        model,
        args=args,
        train_dataset=episodes,
        streaming=streaming,
        reward_funcs=rewards_of("whole"),
        processing_class=tokenizer,
    )
    trainer.train()
    torch.save(trainer.generations, out / f"{kind}.pt")
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
