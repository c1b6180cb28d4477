"""Builds episodes: ``adasr data SOURCE --out DIR`` writes train.jsonl, test.jsonl and manifest.json.

    adasr data ledger --train-count 20000 --out data/tiny
    adasr data gsm8k --input train.jsonl --out data/gsm8k
    adasr data --config configs/tiny/data.yaml

One file a source (``sources.base`` has the interface); ``pipeline`` is shared by all. Nothing here imports torch.
"""
