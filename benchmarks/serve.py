"""Many live streams from one model: answer latency at reading speed, throughput, and tokens against throwing away.

    python -m benchmarks.serve runs/tiny/seed-0/hrpo --episodes data/tiny/test.jsonl --streams 1 4 16 32 64

Three tables. **Reading speed**: words arrive one by one, streams begin at different moments; the latency runs from a
stream's last word to its answer. **As fast as possible**: all text is there at once, and the pool is compared with the same
streams served one after another. **Tokens**: against a system that answers at each sentence's end for all text so far,
and throws that away when more arrives, as voice assistants do.

Seconds are CPU seconds of one thread: the words' clock moves on by the time that each step took, and jumps where there is
nothing to do. So the figures are those of a machine of its own, even on one that is busy.
"""

from __future__ import annotations

import argparse
import dataclasses
import heapq
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from adasr_trl.config.sections import ModelConfig
from adasr_trl.core.episode import Episode, read_episodes
from adasr_trl.core.protocol import Phase
from adasr_trl.core.rollout import Rollout
from adasr_trl.engines import HFEngine, Request, Sampling
from adasr_trl.engines.registry import local_engine
from adasr_trl.evaluation.speculation import beginnings
from adasr_trl.live.pool import StreamPool
from adasr_trl.live.reasoner import StreamingReasoner
from adasr_trl.live.stream import LiveStream
from adasr_trl.models.loading import load_policy


class Clock:
    """Seconds of a machine of one's own; see the module."""

    def __init__(self) -> None:
        self.now = self.busy = 0.0

    def step(self, pool: StreamPool) -> bool:
        """A step, and its time."""
        before = time.thread_time()
        moved = pool.step()
        spent = time.thread_time() - before
        self.now += spent
        self.busy += spent
        return moved


@dataclasses.dataclass
class Load:
    """What a run of streams took.

    Attributes:
        latencies: Seconds from the end of each stream's text to its answer.
        seconds: Time of all.
        written: Tokens written.
        steps: Forwards.
        busy: Share of the time in forwards.
    """

    latencies: list[float]
    seconds: float
    written: int
    steps: int
    busy: float = 1.0

    @property
    def tokens_per_second(self) -> float:
        """Written tokens a second."""
        return self.written / self.seconds

    def percentile(self, share: float) -> float:
        """Latency of the stream at this share of all."""
        ordered = sorted(self.latencies)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


class Timed:
    """A stream of a pool that notes when its text ended and when it was answered."""

    def __init__(self, pool: StreamPool, episode: Episode, clock: Clock) -> None:
        self.stream: LiveStream = pool.open(episode.question)
        self._clock = clock
        self.ended = self.answered = 0.0

    def finish(self) -> None:
        """End of the text."""
        self.ended = self._clock.now
        self.stream.finish()

    def look(self) -> bool:
        """Whether the stream is answered; called behind each step."""
        if self.stream.answered and not self.answered:
            self.answered = self._clock.now
        return bool(self.answered)


def at_reading_speed(
    reasoner: StreamingReasoner, episodes: Sequence[Episode], words_per_minute: float
) -> Load:
    """A stream for each episode, word by word; all begin within one sentence's time."""
    pool, clock = reasoner.pool(len(episodes)), Clock()
    pause = 60.0 / words_per_minute
    arrivals: list[tuple[float, int, list[str]]] = []  # time of the next word, stream, words left
    timed = []
    for number, episode in enumerate(episodes):
        timed.append(Timed(pool, episode, clock))
        words = "".join(episode.chunks).split(" ")[::-1]
        heapq.heappush(arrivals, (number * 10 * pause / len(episodes), number, words))
    while arrivals or not all(each.look() for each in timed):
        while arrivals and arrivals[0][0] <= clock.now:
            due, number, words = heapq.heappop(arrivals)
            timed[number].stream.feed(words.pop() + (" " if words else ""))
            if words:
                heapq.heappush(arrivals, (due + pause, number, words))
            else:
                timed[number].finish()
        if not clock.step(pool) and arrivals:
            clock.now = max(clock.now, arrivals[0][0])
        for each in timed:
            each.look()
    return _load(pool, timed, clock)


def at_once(reasoner: StreamingReasoner, episodes: Sequence[Episode], together: int) -> Load:
    """All text at once, ``together`` streams at a time."""
    pool, clock, timed = reasoner.pool(together), Clock(), list[Timed]()
    waiting, running = list(episodes)[::-1], list[Timed]()
    while waiting or running:
        while waiting and len(running) < together:
            episode = waiting.pop()
            one = Timed(pool, episode, clock)
            one.stream.feed("".join(episode.chunks))
            one.finish()
            running.append(one)
        clock.step(pool)
        for one in [each for each in running if each.look()]:
            running.remove(one)
            timed.append(one)
            pool.close(one.stream)
    return _load(pool, timed, clock)


def _load(pool: StreamPool, timed: Sequence[Timed], clock: Clock) -> Load:
    latencies = [each.answered - each.ended for each in timed]
    counts = pool.engine.counts
    share = clock.busy / clock.now
    return Load(latencies, clock.now, counts.written_tokens, counts.steps, share)


@dataclasses.dataclass
class Spent:
    """Tokens of all episodes: written ones, and those of the input that were computed."""

    written: int = 0
    read: int = 0

    def add(self, rollout: Rollout) -> None:
        """Count one rollout."""
        given = rollout.phases.count(Phase.READ)
        self.read += given
        self.written += len(rollout.phases) - given


def discarding(engine: HFEngine, episodes: Sequence[Episode]) -> tuple[Spent, Spent]:
    """Tokens of the streams, and of answering anew for every prefix of whole sentences."""
    prefixes = [beginning for episode in episodes for beginning in beginnings(episode)]
    rollouts = engine.rollout([Request(each, 0) for each in prefixes], Sampling(0.0))
    ours, theirs = Spent(), Spent()
    whole = {episode.id: len(episode.chunks) for episode in episodes}
    for prefix, rollout in zip(prefixes, rollouts, strict=True):
        theirs.add(rollout)
        if len(prefix.chunks) == whole[prefix.id]:
            ours.add(rollout)
    return ours, theirs


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="a finished run")
    parser.add_argument("--episodes", required=True, help="JSON Lines of episodes")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4, 16, 32, 64])
    parser.add_argument("--wpm", type=float, default=150.0, help="words a minute (150)")
    parser.add_argument("--count", type=int, default=64, help="episodes (64)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (1)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    policy = load_policy(ModelConfig(path=options.run))
    engine = local_engine(policy)
    reasoner = StreamingReasoner(engine, policy.layout)
    episodes = list(read_episodes(Path(options.episodes)))[: options.count]
    at_once(reasoner, episodes[:4], 4)  # the first forwards are slow
    _print_reading(reasoner, episodes, options)
    _print_throughput(reasoner, episodes, options.streams)
    _print_tokens(engine, episodes)


def _print_reading(
    reasoner: StreamingReasoner, episodes: Sequence[Episode], options: argparse.Namespace
) -> None:
    print(
        f"\n| streams at {options.wpm:g} words a minute | latency p50, s | p95, s | tokens/s | busy |"
    )
    print("|---|---|---|---|---|")
    for streams in options.streams:
        loads = [  # each row has all episodes, so that rows compare
            at_reading_speed(reasoner, episodes[first : first + streams], options.wpm)
            for first in range(0, len(episodes), streams)
        ]
        latencies = [second for load in loads for second in load.latencies]
        load = Load(latencies, sum(each.seconds for each in loads), 0, 0)
        rate = statistics.mean(each.tokens_per_second for each in loads)
        busy = statistics.mean(each.busy for each in loads)
        numbers = (f"{load.percentile(0.5):.3f}", f"{load.percentile(0.95):.3f}", f"{rate:.0f}")
        print(f"| {streams} | {' | '.join(numbers)} | {busy:.0%} |", flush=True)


def _print_throughput(
    reasoner: StreamingReasoner, episodes: Sequence[Episode], streams: Sequence[int]
) -> None:
    print(
        f"\n| {len(episodes)} streams, all text at once | seconds | tokens/s | to one after another |"
    )
    print("|---|---|---|---|")
    base = at_once(reasoner, episodes, 1)
    print(f"| one after another | {base.seconds:.1f} | {base.tokens_per_second:.0f} | 1.0 |")
    for together in (each for each in streams if each > 1):
        load = at_once(reasoner, episodes, together)
        ratio = load.tokens_per_second / base.tokens_per_second
        print(
            f"| {together} together | {load.seconds:.1f} | {load.tokens_per_second:.0f} | {ratio:.1f} |"
        )


def _print_tokens(engine: HFEngine, episodes: Sequence[Episode]) -> None:
    ours, theirs = discarding(engine, episodes)
    print(
        f"\n| tokens of {len(episodes)} streams | written | read | share written | share of all |"
    )
    print("|---|---|---|---|---|")
    everything = theirs.written + theirs.read
    share = (ours.written / theirs.written, (ours.written + ours.read) / everything)
    print(f"| kept thoughts | {ours.written} | {ours.read} | {share[0]:.2f} | {share[1]:.2f} |")
    print(f"| an answer at each sentence | {theirs.written} | {theirs.read} | 1 | 1 |")


if __name__ == "__main__":
    main()
