"""Figures of a server for Prometheus: streams, tokens, answer latency, cache, refusals.

>>> measures.answers.observe(0.21)
>>> measures.page()
b'# HELP adasr_answer_seconds ...'
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from adasr_trl.live.pool import StreamPool

LATENCIES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)


class Measures:
    """See the module.

    Attributes:
        answers: Seconds from a request for a response to the last token of its answer.
        refusals: Errors told to clients, by code.
        sessions: Connections so far.
    """

    def __init__(self, pool: StreamPool, open_sessions: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._pool, self._open_sessions = pool, open_sessions
        registry = self._registry
        self.answers = Histogram(
            "adasr_answer_seconds",
            "From the request for a response to its last token.",
            buckets=LATENCIES,
            registry=registry,
        )
        self.refusals = Counter(
            "adasr_refusals", "Errors told to clients.", ["code"], registry=registry
        )
        self.sessions = Counter("adasr_sessions", "Connections so far.", registry=registry)
        self._registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Figures of the pool at this moment; reading them from another thread is harmless."""
        counts, engine = self._pool.engine.counts, self._pool.engine
        for name, words, gauge in (
            ("adasr_streams", "Streams at hand.", len(self._pool)),
            ("adasr_streams_max", "Streams that are taken at most.", engine.max_streams),
            ("adasr_open_sessions", "Open connections.", self._open_sessions()),
            ("adasr_cache_bytes", "Memory of keys and values.", engine.cache_bytes),
        ):
            yield GaugeMetricFamily(name, words, value=gauge)
        for name, words, count in (
            ("adasr_steps", "Forwards, or requests to the server behind.", counts.steps),
            ("adasr_read_tokens", "Tokens read.", counts.read_tokens),
            ("adasr_written_tokens", "Tokens written.", counts.written_tokens),
        ):
            yield CounterMetricFamily(name, words, value=count)

    def page(self) -> bytes:
        """All figures in Prometheus' text form."""
        return generate_latest(self._registry)
