"""Builds episodes: ``python -m data_builders SOURCE --out DIR`` writes train.jsonl, test.jsonl and manifest.json.

    python -m data_builders ledger --train-count 20000 --out data/tiny
    python -m data_builders gsm8k --input train.jsonl --out data/gsm8k
    python -m data_builders --config configs/tiny/data.yaml

One file a source (``sources.base`` has the interface); ``pipeline`` is shared by all. Nothing here imports torch.
"""
