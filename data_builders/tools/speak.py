"""Spoken episodes: the texts of a build spoken, recognised as they sound, and written with what was heard and when.

    adasr data speak data/tiny --out data/tiny-spoken --recogniser tiny.en --workers 2
    adasr data speak data/tiny --out data/tiny-spoken --recogniser models/tiny.en --voice en_US-joe-medium.onnx

Chunks are the recognised sentences, ``arrival_seconds`` when a listener would have had them. The question stays as typed:
it is known before. A trace goes along where nothing that it depends on was misheard (``heard``); under --keep-misheard-words
it may name what was said, for a model to learn. Train episodes that lose theirs are left out unless --keep-untraced is given;
test episodes all stay, as errors of recognition are what a test is for.
What was heard is cached (--cache), so an interrupted run goes on where it was. English only.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from adasr_trl.core.episode import Episode, EpisodeError, from_json, to_json
from adasr_trl.core.files import atomic_writer, remove_partials, write_text
from data_builders.errors import BuildError
from data_builders.pipeline import manifest as manifests
from data_builders.pipeline import quality
from data_builders.pipeline.quality import RejectedTrace, bounds_of, to_line
from data_builders.pipeline.run import TRACES_FILE
from data_builders.pipeline.tally import Tally
from data_builders.rows.options import add_number, add_switch, check_number, path_of
from data_builders.rows.row import Rejected
from data_builders.text.draft import Trace
from data_builders.tools.heard import Comparison, compare, misheard_word, trace_of
from data_builders.tools.listeners import Listeners, Result, Row
from data_builders.tools.spoken import Heard, Speaking, Studio, recogniser_of, settings_of

NAME = "speak"
CACHE, SOUNDS = "heard", "sound"
SPOKEN, MISHEARD = "spoken", "misheard"  # tags


@dataclass
class Spoken:
    """Result of a run."""

    total: int  # episodes to go through
    done: int = 0
    cached: int = 0
    seconds: float = 0.0  # of sound
    files: Counter[str] = field(default_factory=Counter)  # episodes of each file written
    words: Counter[str] = field(default_factory=Counter)  # typed, by voice
    errors: Counter[str] = field(default_factory=Counter)  # of recognition, by voice
    licences: dict[str, str] = field(default_factory=dict)  # of each voice
    # From the end of a chunk's sound to its arrival.
    waits: list[float] = field(default_factory=list)
    traces: Counter[str] = field(default_factory=Counter)
    tally: Tally = field(default_factory=Tally)


Progress = Callable[[Spoken], None]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The build, the voices and the recogniser."""
    parser.add_argument("directory", type=path_of, metavar="DIR", help="a build of any source")
    parser.add_argument("--out", type=path_of, required=True, metavar="DIR", help="where to write")
    what = "a Piper voice, FILE.onnx, or a voice of espeak-ng; may be repeated (default: several of espeak-ng)"
    parser.add_argument("--voice", action="append", default=[], metavar="VOICE", help=what)
    what = (
        "faster-whisper's model: a name, which is downloaded once, or a folder (default: tiny.en)"
    )
    parser.add_argument("--recogniser", default="tiny.en", metavar="MODEL", help=what)
    what = f"what was heard (default: {CACHE} in --out)"
    parser.add_argument("--cache", type=path_of, metavar="DIR", help=what)
    parser.add_argument(
        "--limit", type=int, metavar="N", help="only the first N episodes of each file"
    )
    add_number(parser, "workers", 1, "processes, each with a recogniser of one thread")
    add_number(parser, "seed", 0, "of voices, speeds and pauses")
    add_number(parser, "slowest", 0.85, "lowest speed; 1 is about 165 words a minute")
    add_number(parser, "fastest", 1.05, "highest speed")
    add_number(parser, "sentence-pause", 0.7, "mean seconds of silence between sentences")
    add_number(parser, "interval", 3.0, "seconds of sound between two hypotheses inside a sentence")
    add_number(parser, "pause", 0.5, "seconds of silence that commit everything")
    add_number(parser, "lag", 0.0, "seconds that recognition takes, added to every arrival")
    add_switch(parser, "without-question", "do not tell the recogniser the question")
    add_switch(parser, "keep-sound", f"write WAV files into {SOUNDS} in --out")
    what = "keep a trace that names misheard words, numbers and the like aside"
    add_switch(parser, "keep-misheard-words", what)
    add_switch(parser, "keep-untraced", "write train episodes without a trace, too")
    quality.add_options(parser)


def run(
    options: argparse.Namespace,
    progress: Progress = lambda _: None,
    studio: type[Studio] = Studio,
) -> Spoken:
    """Speak every episode and write ``options.out``; ``studio`` stands in for the models in tests."""
    files = manifests.built_files(options.directory)
    _check(options)
    old = manifests.read_manifest(options.out)
    is_foreign = old is not None and old["builder"] != NAME
    if is_foreign or options.out.resolve() == options.directory.resolve():
        raise BuildError(f"--out {options.out}: holds another build; choose another directory.")
    speaking = _speaking(options)
    rows = {path: list(islice(_rows(path), options.limit)) for path in files.values()}
    spoken = Spoken(sum(map(len, rows.values())))
    with ExitStack() as stack:
        listen = stack.enter_context(Listeners(studio, speaking, options.workers))
        rejected = stack.enter_context(atomic_writer(options.out / TRACES_FILE))
        for path in files.values():
            out = stack.enter_context(atomic_writer(options.out / path.name))
            is_test = path.stem == "test"
            for result in listen.all(rows[path]):
                episode, fault = _take(result, options, spoken, is_test=is_test)
                if fault:
                    rejected.write(to_line(fault))
                if episode and spoken.tally.add(episode):
                    out.write(to_json(episode) + "\n")
                    spoken.files[path.name] += 1
                progress(spoken)
            if not spoken.files[path.name]:
                raise BuildError(f"{path}: nothing of it is left: {_why_nothing(spoken)}.")
    manifest = json.dumps(_describe(options, speaking, spoken), indent=2, ensure_ascii=False)
    write_text(options.out / manifests.FILE_NAME, manifest + "\n")
    remove_partials(options.out)
    return spoken


def counts_of(spoken: Spoken) -> str:
    """What a run has so far, for a line of progress."""
    rate = _rate(spoken.errors.total(), spoken.words.total())
    errors = "" if rate is None else f", {rate:.1%} of the words misheard"
    return f"{spoken.done:,}/{spoken.total:,} episodes, {spoken.cached:,} from the cache{errors}"


def summary(out: Path, spoken: Spoken) -> str:
    """The result of a run in a few lines."""
    sizes = ", ".join(f"{count:,} in {name}" for name, count in spoken.files.items())
    waits = _quantiles(spoken.waits, 0.0) or {}
    lines = [
        f"{out}: {sizes}; {spoken.seconds / 3600:.2f} hours of sound, {spoken.cached:,} episodes from the cache",
        f"  word error rate {spoken.errors.total() / max(spoken.words.total(), 1):.1%} of {spoken.words.total():,} words; "
        f"a sentence is known {waits.get('median', 0.0):.1f} s after its end (median)",
    ]
    if spoken.traces:
        traces = ", ".join(f"{name}: {count:,}" for name, count in sorted(spoken.traces.items()))
        lines.append(f"  traces {traces}")
    if spoken.tally.reasons:
        lines.append(f"  {spoken.tally.reasons.total():,} episodes left out ({_reasons(spoken)})")
    return "\n".join(lines)


def _check(options: argparse.Namespace) -> None:
    for name in ("workers", "limit"):
        check_number(options, name, 1)
    for name, lowest, highest in (
        ("slowest", 0.5, 2.0),
        ("fastest", options.slowest, 2.0),
        ("sentence_pause", 0.0, 10.0),
        ("lag", 0.0, 60.0),
    ):
        value = vars(options)[name]
        if not lowest <= value <= highest:
            flag = f"--{name.replace('_', '-')}"
            raise BuildError(f"{flag}: got {value}; expected {lowest:g} to {highest:g}.")


def _speaking(options: argparse.Namespace) -> Speaking:
    speaking = Speaking(
        recogniser=options.recogniser,
        cache=options.cache or options.out / CACHE,
        voices=tuple(options.voice),
        seed=options.seed,
        slowest=options.slowest,
        fastest=options.fastest,
        sentence_pause=options.sentence_pause,
        interval=options.interval,
        pause=options.pause,
        knows_question=not options.without_question,
        sounds=options.out / SOUNDS if options.keep_sound else None,
    )
    settings_of(speaking)  # refuses times that cannot be met
    return speaking


def _rows(path: Path) -> Iterator[Row]:
    """The episodes of a file; a line that is none is a rejected row."""
    with path.open(encoding="utf-8", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                yield from_json(line)
            except EpisodeError as error:
                yield Rejected(f"{path}:{number}", "unreadable", str(error))


def _take(
    result: Result, options: argparse.Namespace, spoken: Spoken, *, is_test: bool
) -> tuple[Episode | None, RejectedTrace | None]:
    """The spoken episode, if it is to be written, and its trace, if that was dropped."""
    spoken.done += 1
    if isinstance(result, Rejected):
        spoken.tally.reject(result)
        return None, None
    row, heard = result
    compared = compare(row.chunks, heard.chunks)
    _count(row, heard, compared, spoken)
    episode = _episode(row, heard, compared, options.lag)
    if row.thoughts is None:
        spoken.traces["none"] += 1
        return episode, None
    keeps = options.keep_misheard_words
    bounds = bounds_of(options)
    trace = trace_of(row, heard.chunks, compared, bounds, keep_misheard_words=keeps)
    if isinstance(trace, Trace):
        spoken.traces[_kind_of(row, compared)] += 1
        return replace(episode, thoughts=trace.thoughts, deep=trace.deep), None
    spoken.traces["dropped"] += 1
    spoken.tally.trace_reasons[trace[0]] += 1
    is_kept = is_test or options.keep_untraced
    if not is_kept:
        spoken.tally.reject(Rejected(f"id {row.id}", *trace))
    fault = RejectedTrace(row.id, *trace, row.thoughts, row.deep or "")
    return (episode if is_kept else None), fault


def _kind_of(row: Episode, compared: Comparison) -> str:
    """The kind of a trace that goes along, in the manifest."""
    if misheard_word(row, compared):
        return "naming misheard words"
    return "on other words" if compared.errors else "on equal words"


def _count(row: Episode, heard: Heard, compared: Comparison, spoken: Spoken) -> None:
    spoken.cached += heard.is_cached
    spoken.seconds += heard.seconds
    spoken.words[heard.voice] += compared.words
    spoken.errors[heard.voice] += compared.errors
    spoken.licences[heard.voice] = heard.licence
    if len(heard.ends) == len(row.chunks):
        for end, chunk in zip(heard.ends, compared.completed_by, strict=True):
            spoken.waits.append(heard.arrival_seconds[chunk] - end)


def _episode(row: Episode, heard: Heard, compared: Comparison, lag: float) -> Episode:
    tags = (SPOKEN, MISHEARD) if compared.errors else (SPOKEN,)
    return replace(
        row,
        chunks=heard.chunks,
        arrival_seconds=tuple(round(seconds + lag, 3) for seconds in heard.arrival_seconds),
        thoughts=None,
        deep=None,
        tags=(*row.tags, *tags),
    )


def _reasons(spoken: Spoken) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(spoken.tally.reasons.items()))


def _why_nothing(spoken: Spoken) -> str:
    """All reasons, and the last row in full: no manifest will hold it."""
    if not spoken.tally.listed:
        return "it holds no episode"
    last = spoken.tally.listed[-1]
    return f"{_reasons(spoken)}; {last.row}: {last.detail.removesuffix('.')}"


def _describe(options: argparse.Namespace, speaking: Speaking, spoken: Spoken) -> dict[str, object]:
    return {
        "format": manifests.FORMAT,
        "builder": NAME,
        "from": manifests.read_manifest(options.directory),
        "speech": {
            "seed": options.seed,
            "speeds": [options.slowest, options.fastest],
            "sentence_pause_seconds": options.sentence_pause,
            "voices": {
                voice: {
                    "licence": spoken.licences[voice],
                    "words": spoken.words[voice],
                    "word_error_rate": _rate(spoken.errors[voice], spoken.words[voice]),
                }
                for voice in sorted(spoken.words)
            },
            "recogniser": recogniser_of(speaking.recogniser)
            | {"package": f"faster-whisper {version('faster-whisper')}"},
            "interval_seconds": options.interval,
            "pause_seconds": options.pause,
            "lag_seconds": options.lag,
            "knows_question": not options.without_question,
            "word_error_rate": _rate(spoken.errors.total(), spoken.words.total()),
            "seconds": round(spoken.seconds, 1),
            "lookahead_seconds": _quantiles(spoken.waits, options.lag),
            "traces": dict(sorted(spoken.traces.items())),
        },
        "files": {name: {"episodes": count} for name, count in sorted(spoken.files.items())},
        **spoken.tally.describe(),
    }


def _rate(errors: int, words: int) -> float | None:
    return round(errors / words, 4) if words else None


def _quantiles(waits: list[float], lag: float) -> dict[str, float] | None:
    """From the end of a typed chunk's sound to the arrival of its last words, in seconds."""
    if not waits:
        return None
    ordered = sorted(waits)
    at = {"median": 0.5, "p95": 0.95, "max": 1.0}
    last = len(ordered) - 1
    return {name: round(ordered[round(share * last)] + lag, 2) for name, share in at.items()}
