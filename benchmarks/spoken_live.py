"""Spoken questions on the wall: answer latency after the end of the sound, beside the clock's.

    adasr data ledger --out data/ledger
    python -m benchmarks.spoken_live demo data/ledger/test.jsonl --recogniser tiny.en --voice en-us --count 20

The texts are spoken by the voices in turn, and end where their speech ends. Each sound is played at its own speed into
``adasr stream``'s source and session. The prediction knows only
the sound and the rates of this device, of the model (``device_rates``) and of the recogniser: seconds a hypothesis, by a
line in its words, fitted on other sounds. It lets the sound arrive on a clock of its own, in which a hypothesis takes that
time; the clock of ``core.clock`` does the rest. Nothing of the measurement enters it.

``--own-reasoning MODEL`` names a pretrained chat model that reasons afterwards, without training. It reads the same heard
text when the last words have come, and writes its whole reply; reading is part of its seconds. ``--read-then-think RUN`` is
a run of that mode, on the same heard text. All but the last sentence is read while the sound arrives.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from adasr_trl.config.eval_section import ZeroShotSection
from adasr_trl.config.sections import ModelConfig
from adasr_trl.core.clock import Clock, timeline
from adasr_trl.core.episode import Episode, read_episodes
from adasr_trl.core.protocol import Mode
from adasr_trl.engines import Engine, Request, Sampling
from adasr_trl.engines.registry import local_engine
from adasr_trl.evaluation.pretrained import Pretrained, policy_of
from adasr_trl.live.device_rates import clock_of, device_name, measure_reasoner
from adasr_trl.live.heard import BLOCK_SECONDS, HeardText, heard, played
from adasr_trl.live.reasoner import StreamingReasoner
from adasr_trl.live.session import Session
from adasr_trl.live.sources import InputPiece
from adasr_trl.live.stream import LiveStream
from adasr_trl.speech.listener import Hearing, Listener
from adasr_trl.speech.process import Recogniser, RecogniserProcess, load_recogniser
from adasr_trl.speech.voices import EspeakVoice, PiperVoice, Voice
from adasr_trl.speech.words import SAMPLE_RATE, Samples, Transcriber, VoiceDetector, Word

FITTED = 4  # sounds for the recogniser's rates
WITHIN = 0.2
QUIET = 0.003  # amplitude of silence
SENTENCE_PAUSE_SECONDS = 0.35
REPLY_TOKENS = 768  # cap on a pretrained model's reply


@dataclass
class TimedTranscriber:
    """A transcriber that notes how many words each hypothesis had, and its seconds."""

    inner: Transcriber
    runs: list[tuple[int, float]] = field(default_factory=list)

    def transcribe(self, samples: Samples, prompt: str = "") -> Sequence[Word]:
        """See ``Transcriber``."""
        began = time.perf_counter()
        words = self.inner.transcribe(samples, prompt)
        self.runs.append((len(words), time.perf_counter() - began))
        return words


@dataclass(frozen=True)
class RecogniserRates:
    """Seconds of a hypothesis: so many, and so many for each of its words."""

    seconds_per_run: float
    seconds_per_word: float

    def seconds(self, words: int) -> float:
        """Of one hypothesis."""
        return self.seconds_per_run + words * self.seconds_per_word


@dataclass(frozen=True)
class SpokenRow:
    """One question, in seconds after the end of its sound: the last words and the answer."""

    episode: str
    sound_seconds: float
    words_measured: float
    words_predicted: float
    answer_measured: float
    answer_predicted: float
    is_right: bool
    own_reasoning: float | None = None  # seconds until the end of the pretrained model's reply
    own_tokens: int | None = None  # of that reply
    read_then_think: float | None = None  # seconds until the answer of a run of that mode

    @property
    def is_within(self) -> bool:
        """Whether the prediction lies within 20 % of the measurement."""
        return abs(self.answer_measured - self.answer_predicted) <= WITHIN * self.answer_predicted


def fitted(recogniser: Recogniser, sounds: Sequence[Samples]) -> RecogniserRates:
    """The recogniser's rates on some sounds."""
    timed = TimedTranscriber(recogniser.transcriber)
    for sound in sounds:
        listener = Listener(timed, recogniser.new_voice(), recogniser.settings)
        for block in blocks(sound):
            listener.feed(block)
        listener.flush()
    words, seconds = (np.array(each, float) for each in zip(*timed.runs, strict=True))
    slope, start = np.polyfit(words, seconds, 1)
    return RecogniserRates(float(start), float(slope))


def blocks(sound: Samples) -> list[Samples]:
    """Pieces as they arrive."""
    size = int(BLOCK_SECONDS * SAMPLE_RATE)
    return [sound[start : start + size] for start in range(0, len(sound), size)]


def predicted_hearings(
    sound: Samples,
    transcriber: Transcriber,
    voice: VoiceDetector,
    rates: RecogniserRates,
    prompt: str,
) -> list[tuple[float, list[Hearing]]]:
    """What is heard, and when on the clock: a hypothesis takes its time while more sound arrives."""
    timed, now = TimedTranscriber(transcriber), 0.0
    listener = Listener(timed, voice, prompt=prompt)
    waiting, arrived, heard_so_far = blocks(sound), 0.0, []
    while waiting:
        now = max(now, arrived + len(waiting[0]) / SAMPLE_RATE)
        taken: list[Samples] = []
        while waiting and arrived + len(waiting[0]) / SAMPLE_RATE <= now + 1e-9:
            arrived += len(waiting[0]) / SAMPLE_RATE
            taken.append(waiting.pop(0))
        hearings = listener.feed(np.concatenate(taken))
        now += sum(rates.seconds(words) for words, _ in timed.runs)
        timed.runs.clear()
        heard_so_far.append((now, hearings))
    hearings = listener.flush()
    now += sum(rates.seconds(words) for words, _ in timed.runs)
    return [*heard_so_far, (now, hearings)]


def predicted_latency(
    reasoner: StreamingReasoner,
    question: str,
    hearings: Sequence[tuple[float, list[Hearing]]],
    clock: Clock,
) -> tuple[float, float]:
    """When the last words and the answer come, on the clock, in seconds since the start."""
    stream, text, arrivals, last = reasoner.start(question), HeardText(), list[float](), 0.0
    for at, news in hearings:
        for piece in filter(None, map(text.piece, news)):
            last = at if piece.text else last
            take(stream, piece)
            arrivals += [at] * (len(stream.chunks) - len(arrivals))
    stream.finish()
    end = hearings[-1][0]
    arrivals += [end] * (len(stream.chunks) - len(arrivals))
    line = timeline(stream.rollout, tuple(arrivals), clock)
    return last, max(arrivals[-1], end) + line.answer_latency_seconds


def take(stream: LiveStream, piece: InputPiece) -> None:
    """A piece, as a session takes it."""
    if piece.text:
        stream.feed(piece.text)
    if piece.cut:
        stream.cut()
    elif piece.pause:
        stream.pause()


def measured(
    reasoner: StreamingReasoner, process: RecogniserProcess, episode: Episode, sound: Samples
) -> tuple[float, float, str, Episode]:
    """Seconds after the sound's end: the last words, the answer; the answer; and the episode as heard."""
    source = heard(process, played([sound], 1.0), episode.id, episode.question)
    with Session(reasoner, episode.question, source) as session:
        for _ in session:
            pass
        summary = session.summary()
    if summary.answer_latency_seconds is None or summary.recogniser is None:
        raise SystemExit(f"{episode.id}: no answer ({summary.failure}).")
    answer = session.stream.rollout.answer or ""
    as_heard = replace(
        episode, chunks=tuple(session.stream.chunks), thoughts=None, deep=None, arrival_seconds=None
    )
    seconds = (summary.recogniser.last_seconds, summary.answer_latency_seconds)
    return *seconds, answer.strip(), as_heard


def reply(engine: Engine, episode: Episode) -> tuple[float, int]:
    """Seconds and tokens of a pretrained model's own reasoning, greedy."""
    began = time.perf_counter()
    (rollout,) = engine.rollout([Request(episode, 0, Mode.ZERO_SHOT)], Sampling(0.0))
    return time.perf_counter() - began, len(rollout.phases)


def chat_engine(model: str) -> Engine:
    """A pretrained chat model that is asked as ``adasr eval`` asks it in ``zero_shot``."""
    asked = ZeroShotSection(max_tokens=REPLY_TOKENS)
    return local_engine(policy_of(Pretrained(ModelConfig(path=model), Path(), asked)))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("episodes", type=Path)
    parser.add_argument("--recogniser", default="tiny.en")
    parser.add_argument("--voice", nargs="+", default=["en-us"])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--own-reasoning", metavar="MODEL")
    parser.add_argument("--read-then-think", metavar="RUN")
    options = parser.parse_args()

    voices = itertools.cycle(map(voice_of, options.voice))
    episodes = itertools.islice(read_episodes(options.episodes), options.count + FITTED)
    spoken = [(each, speech_of(each, voice)) for each, voice in zip(episodes, voices, strict=False)]
    reasoner = StreamingReasoner.from_pretrained(options.run, device="cpu")
    recogniser = load_recogniser(options.recogniser)
    rates = fitted(recogniser, [sound for _, sound in spoken[:FITTED]])
    profile = measure_reasoner(reasoner, device_name("cpu"))
    print(f"{profile}\n{rates}", flush=True)
    chat = chat_engine(options.own_reasoning) if options.own_reasoning else None
    run = options.read_then_think
    late = StreamingReasoner.from_pretrained(run, device="cpu") if run else None
    rows = []
    with RecogniserProcess(partial(load_recogniser, options.recogniser)) as process:
        for episode, sound in spoken[FITTED:]:
            parts = (recogniser.transcriber, recogniser.new_voice(), rates)
            hearings = predicted_hearings(sound, *parts, episode.question)
            clock = clock_of(profile, Clock())
            predicted = predicted_latency(reasoner, episode.question, hearings, clock)
            length = len(sound) / SAMPLE_RATE
            words, answer, said, as_heard = measured(reasoner, process, episode, sound)
            seconds, tokens = reply(chat, as_heard) if chat else (None, None)
            after = late.read_then_think(episode.question, as_heard.chunks) if late else None
            rows.append(
                SpokenRow(
                    episode.id,
                    length,
                    words,
                    max(predicted[0] - length, 0.0),
                    answer,
                    predicted[1] - length,
                    said == episode.answer,
                    None if seconds is None else words + seconds,
                    tokens,
                    None if after is None else words + after.seconds,
                )
            )
            print(rows[-1], flush=True)
    print(table(rows))


def speech_of(episode: Episode, voice: Voice) -> Samples:
    """The sound of an episode up to the end of its speech."""
    pause = np.zeros(int(SENTENCE_PAUSE_SECONDS * SAMPLE_RATE), np.float32)
    sound = np.concatenate([part for text in episode.chunks for part in (voice.speak(text), pause)])
    return sound[: int(np.flatnonzero(np.abs(sound) > QUIET)[-1]) + 1]


def voice_of(name: str) -> Voice:
    """A voice of espeak-ng, or a file of Piper's."""
    return PiperVoice(Path(name)) if name.endswith(".onnx") else EspeakVoice(name)


def table(rows: Sequence[SpokenRow]) -> str:
    """The medians."""
    median = statistics.median
    cells = (
        len(rows),
        *(
            f"{median(getattr(row, name) for row in rows):.2f}"
            for name in (
                *("sound_seconds", "words_measured", "words_predicted"),
                *("answer_measured", "answer_predicted"),
            )
        ),
        f"{sum(row.is_within for row in rows)} of {len(rows)}",
        f"{sum(row.is_right for row in rows)} of {len(rows)}",
    )
    head = (
        "| questions | sound, s | last words, s | predicted, s | answer, s | predicted, s "
        "| within 20 % | right |"
    )
    for name, title in (
        ("own_reasoning", "own reasoning, s"),
        ("read_then_think", "read-then-think, s"),
    ):
        if behind := [each for row in rows if (each := getattr(row, name)) is not None]:
            head += f" {title} |"
            cells = (*cells, f"{median(behind):.2f} (of {len(behind)})")
    line = " | ".join(map(str, cells))
    return f"{head}\n|{'---|' * len(cells)}\n| {line} |"


if __name__ == "__main__":
    main()
