"""The evaluation suite: runs and baselines on the same questions, by several clocks, and the table of it all.

    >>> evaluate({"sft": ModelConfig(path="runs/tiny/seed-0/sft")}, data, EvalConfig(), Existing.RESUME)

``planning`` checks everything before a model is loaded; ``evaluation`` makes the records; ``judging`` plays them by the
clocks; ``figures`` and ``pairs`` are the numbers, ``page`` shows them. Training seeds are pooled by ``ablate``, not here.
"""

from adasr_trl.evaluation.run import evaluate

__all__ = ["evaluate"]
