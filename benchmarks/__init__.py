"""Benchmarks: each prints its table; ``python -m benchmarks`` makes docs/PERFORMANCE.md's anew."""
