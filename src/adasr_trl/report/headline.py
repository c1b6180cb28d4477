"""The head of the page: the verdict in one sentence, and the model, data and date that it holds for.

>>> verdict(methods, reference)
('HRPO: 80 % right, 0.28 s after the last sentence', 'Read-then-think: 5 %, 1.84 s. SFT: 71 %, 0.71 s.')
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from adasr_trl.artifacts.names import EPISODES_FILE, RUN_FILE
from adasr_trl.artifacts.saved_config import load_origin, load_streaming
from adasr_trl.core.episode import read_episodes
from adasr_trl.core.files import read_object
from adasr_trl.core.safe_text import visible
from adasr_trl.evaluation.clocks import rates
from adasr_trl.report.gathering import Method

NAMES = {"read-then-think": "Read-then-think", "sft": "SFT", "grpo": "GRPO", "hrpo": "HRPO"}
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
MODEL_CONFIG = "config.json"  # of transformers


def verdict(methods: Sequence[Method]) -> tuple[str, str]:
    """The last method's accuracy and mean answer latency; those of the others, shorter."""
    *others, last = methods
    accuracy, seconds = _measures(last)
    first = f"{_name(last)}: {accuracy} right, {seconds} after the last sentence"
    rest = [f"{_name(method)}: {', '.join(_measures(method))}." for method in others]
    return first, " ".join(rest)


def facts(methods: Sequence[Method]) -> list[tuple[str, str]]:
    """What the numbers hold for: a term and its words each."""
    seeds = sorted({len(method.runs) for method in methods})
    counts = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}"
    plural = "" if seeds == [1] else "s"
    return [
        ("Model", "; ".join(_groups(methods, _model))),
        ("Data", f"{methods[0].summary.questions:,} questions of {_data(methods[0])}"),
        ("Runs", f"{counts} seed{plural} a method, evaluated {_date(methods)}"),
        ("Mode", "; ".join(_groups(methods, _asked))),
        ("Answer latency", f"mean, by the clock: {'; '.join(_groups(methods, _clock))}"),
        ("Overlap", "share of the writing time that was hidden behind reading"),
    ]


def _name(method: Method) -> str:
    name, comma, setting = method.name.partition(",")
    return NAMES.get(name, name) + comma + setting


def _measures(method: Method) -> tuple[str, str]:
    summary = method.summary
    seconds = summary.latency.answer_latency_seconds.mean
    return f"{100 * summary.accuracy.mean:.0f} %", f"{seconds:.2f} s"


def _groups(methods: Sequence[Method], fact: Callable[[Method], str]) -> list[str]:
    """Each fact once, with the names of its methods where there is more than one fact."""
    named: dict[str, list[str]] = {}
    for method in methods:
        named.setdefault(fact(method), []).append(method.name)
    if len(named) == 1:
        return list(named)
    return [f"{text} ({' / '.join(names)})" for text, names in named.items()]


def _model(method: Method) -> str:
    """The pretrained model's name, or the architecture of one trained from scratch."""
    run = method.runs[0]
    origin = load_origin(run)
    path = origin.path if origin and origin.path else ""
    is_run = (Path(path) / RUN_FILE).is_file()
    if path and not is_run and (Path(path).is_dir() or HUB_ID.fullmatch(path)):
        return visible(Path(path).name)
    file = run / MODEL_CONFIG
    if not file.is_file():
        return "not recorded"
    config = read_object(file, "restore it, or train the run again")
    layers, width = config.get("num_hidden_layers", "?"), config.get("hidden_size", "?")
    kind = visible(str(config.get("model_type", "model")))
    return f"{kind} architecture, {layers} layers of width {width}, trained from scratch"


def _data(method: Method) -> str:
    episodes = read_episodes(method.runs[0] / method.folder / EPISODES_FILE)
    sources = sorted({f"{episode.source.name} ({episode.source.split})" for episode in episodes})
    return visible(", ".join(sources))


def _date(methods: Sequence[Method]) -> str:
    """Day of the newest records, by their file."""
    files = [run / m.folder / m.setting.file for m in methods for run in m.runs]
    newest = max(file.stat().st_mtime for file in files)
    return datetime.fromtimestamp(newest, tz=UTC).strftime("%Y-%m-%d")


def _asked(method: Method) -> str:
    return f"{method.setting.mode_words}, {method.setting.decoding}"


def _clock(method: Method) -> str:
    clock = load_streaming(method.runs[0]).clock
    return f"the input at {clock.words_per_minute:g} words a minute, {rates(clock)}"
