"""The command line of the builders: ``adasr data SOURCE [options]`` or ``--config FILE`` (or ``python -m data_builders``).

A configuration file holds the same options by name (``source: ledger``, ``out: data/tiny``, ``train_count: 20000``); the
command line wins. Every error is one line and exit status 2, and leaves nothing behind.
"""

from __future__ import annotations

import argparse
import difflib
import logging
import re
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from adasr_trl.config.values import ConfigError, Entry, read_yaml, unknown_key
from adasr_trl.core.errors import UserError, told
from adasr_trl.core.interrupts import INTERRUPTED, ignore_interrupts, unwound_ends
from adasr_trl.core.piped import run_piped
from adasr_trl.core.startup import begin
from data_builders.errors import BuildError
from data_builders.pipeline import run
from data_builders.rows.options import flag_of
from data_builders.sources.base import load_source, sources

if TYPE_CHECKING:
    from data_builders.tools import teacher

PROGRAM = "adasr data"
USAGE = f"""usage: {PROGRAM} SOURCE --out DIR [options]
       {PROGRAM} --config FILE [options]
       {PROGRAM} inspect DIR        the quality report of a build
       {PROGRAM} teach DIR ...      ask a model for traces of its episodes
       {PROGRAM} speak DIR ...      speak its episodes and recognise what is heard

Builds train.jsonl, test.jsonl and manifest.json. Sources:
{{sources}}

{PROGRAM} SOURCE --help lists the options of a source."""


logger = logging.getLogger(__name__)

_EVERY_SECONDS = 10.0  # between lines of progress that no terminal replaces
_WINDOW_SECONDS = 60.0  # of the rate that a line of progress shows
_FEW = 20  # test episodes below which it is said
_MANY = 0.5  # share of episodes with one chunk from which on it is said


class _Parser(argparse.ArgumentParser):
    """Raises a BuildError instead of printing its usage."""

    def __init__(self, command: str, description: str | None) -> None:
        program = f"{PROGRAM} {command}".strip()
        super().__init__(program, description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        if "expected one argument" in message or "expected at least one argument" in message:
            message += "; join a value that begins with a dash by =, as in --name=-x"
        message = message.replace("ignored explicit argument", "takes no value, got")
        raise BuildError(message)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one build; return the exit status."""
    status = run_piped(lambda: _main(argv))
    if argv is None and status == INTERRUPTED:
        ignore_interrupts()  # a second one would write a traceback while Python ends
    return status


def _main(argv: Sequence[str] | None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        lines = (f"  {name:16} {summary}" for name, summary in sources().items())
        print(USAGE.format(sources="\n".join(lines)))
        return 0 if arguments else 2
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    begin(PROGRAM)
    try:
        with unwound_ends():
            if arguments[0] in TOOLS:
                return TOOLS[arguments[0]](arguments[1:])
            return _build(arguments)
    except BrokenPipeError:
        raise  # the reader of our output has gone: run_piped handles it
    except OSError as error:
        print(f"error: {told(error)}", file=sys.stderr)
        return 2
    except (UserError, ConfigError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("error: interrupted; run the same command again.", file=sys.stderr)
        return INTERRUPTED


def _build(arguments: list[str]) -> int:
    end = arguments.index("--") if "--" in arguments else len(arguments)
    arguments, command = arguments[:end], arguments[end + 1 :]
    builder, options = _parse(arguments)
    if options.ephemeral:
        return _run_ephemeral(builder, options, command)
    if command:
        raise BuildError(f"-- {command[0]}: a command needs --ephemeral in place of --out.")
    logger.info("%s: episodes for %s", builder, options.out)
    result = run.run(builder, options, _progress())
    if result.was_current:
        print(f"{options.out}: up to date")
    else:
        print(_summary(options.out, result.manifest))
    return 0


def _inspect(arguments: list[str]) -> int:
    from data_builders.tools import quality_report

    options = _parse_tool("inspect", quality_report, arguments)
    report = quality_report.inspect(options.directory, episodes=options.episodes, seed=options.seed)
    print(quality_report.render(report, str(options.directory)))
    return 0


def _teach(arguments: list[str]) -> int:
    from data_builders.tools import teacher

    options = _parse_tool("teach", teacher, arguments)
    logger.info("traces for %s from %s", options.directory, options.model or options.local_model)
    taught = teacher.run(options, _progress_of_teacher())
    files = ", ".join(f"{count:,} in {name}" for name, count in taught.files.items())
    print(f"{options.out}: {files}; {taught.traced:,} with a trace")
    if taught.reasons:
        print(f"  rejected replies: {_listed(taught.reasons)}")
    print(f"  {_spent(taught.spent)}")
    return 0


def _speak(arguments: list[str]) -> int:
    from data_builders.tools import speak

    options = _parse_tool("speak", speak, arguments)
    logger.info(
        "%s: spoken for %s, heard by %s", options.directory, options.out, options.recogniser
    )
    line = _ProgressLine()
    spoken = speak.run(
        options, lambda now: line.show(now.done, now.total, now.done, speak.counts_of(now))
    )
    print(speak.summary(options.out, spoken))
    return 0


def _parse_tool(name: str, tool: Any, arguments: list[str]) -> argparse.Namespace:
    parser = _Parser(name, tool.__doc__)
    tool.add_options(parser)
    return parser.parse_args(arguments)


TOOLS: dict[str, Callable[[list[str]], int]] = {
    "inspect": _inspect,
    "teach": _teach,
    "speak": _speak,
}


def _run_ephemeral(builder: str, options: argparse.Namespace, command: list[str]) -> int:
    """Build into a private folder, run the command on it, remove the folder; the command's exit status."""
    if not any("{out}" in part for part in command):
        raise BuildError(
            "--ephemeral: needs a command that uses what is built, such as -- adasr eval --data.test {out}/test.jsonl."
        )
    with tempfile.TemporaryDirectory(prefix="ephemeral-") as folder:
        options.out = Path(folder) / "data"
        print(_summary(options.out, run.run(builder, options, _progress()).manifest))
        filled = [part.replace("{out}", str(options.out)) for part in command]
        return subprocess.run(filled, check=False).returncode


def _parse(arguments: list[str]) -> tuple[str, argparse.Namespace]:
    """The source and its options, those of a configuration file included."""
    if not arguments[0].startswith("-"):
        builder, *rest = arguments
        return builder, parse_options(builder, rest)
    first = _Parser("", None)
    first.add_argument("--config", type=Path, required=True)
    config, rest = first.parse_known_args(arguments)
    settings = _read_config(config.config)
    builder = str(settings.pop("source").value)
    over = {_key_of(argument) for argument in rest}
    settings = {key: entry for key, entry in settings.items() if _key_of(flag_of(key)) not in over}
    try:
        return builder, parse_options(builder, [*_as_arguments(settings), *rest])
    except BuildError as error:
        raise BuildError(_located(str(error), settings)) from error


def _key_of(argument: str) -> str:
    """The option that a flag sets, in either spelling and with either value; "" for a value."""
    flag = re.match(r"--(?:no-)?([\w-]+)", argument.replace("_", "-"))
    return flag[1] if flag else ""


def parse_options(builder: str, arguments: list[str]) -> argparse.Namespace:
    """The options of one source; an unknown one is refused with the nearest known name."""
    parser = _Parser(builder, sources().get(builder))
    run.add_options(parser)
    load_source(builder).add_options(parser)
    spelled = [re.sub(r"^--[\w-]+", lambda m: m[0].replace("_", "-"), a) for a in arguments]
    options, unknown = parser.parse_known_args(spelled)
    if unknown:
        flag = unknown[0].partition("=")[0]
        names = [flag_of(name) for name in vars(options)]
        close = difflib.get_close_matches(flag, names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"{parser.prog} --help lists the known."
        raise BuildError(f"unknown argument {flag} of the source {builder}; {hint}")
    return options


def _read_config(path: Path) -> dict[str, Entry]:
    root = read_yaml(path)
    settings = dict(root.value) if isinstance(root.value, dict) else {}
    source, known = settings.get("source"), ", ".join(sources())
    if source is None:
        raise BuildError(f"{path}: source is missing; expected one of {known}.")
    if source.value not in sources():
        raise BuildError(f"{source.where}: unknown source {source.value!r}; known are {known}.")
    return settings


def _as_arguments(settings: dict[str, Entry]) -> list[str]:
    """Settings as flags; a file describes its output, so an older build of it is replaced."""
    arguments = ["--refresh"]
    for key, entry in settings.items():
        flag = flag_of(key)
        if isinstance(entry.value, bool):
            arguments.append(flag if entry.value else f"--no-{flag[2:]}")
        elif isinstance(entry.value, str | int | float):
            arguments.append(f"{flag}={entry.value}")
        else:
            kind = "nothing" if entry.value is None else "a list or keys"
            raise BuildError(f"{entry.where}: {key}: got {kind}; expected one value.")
    return arguments


def _located(message: str, settings: dict[str, Entry]) -> str:
    """The message with the file and line of the key that it names."""
    named = re.match(r"(argument|unknown argument) (?:\S+/)?--(?:no-)?([\w-]+)", message)
    for key, entry in settings.items() if named else ():
        if named and flag_of(key)[2:] == named[2]:
            if named[1] == "unknown argument":
                return str(unknown_key(entry, key, ())).rstrip(".") + message[named.end() :]
            return f"{entry.where}: {message}"
    return message


@dataclass
class _ProgressLine:
    """A line with rate and time left on standard error, replaced on a terminal, else written every few seconds.

    Both go by the last minute: what an interrupted build left is there at once, and tells nothing of the rest.
    """

    shown: float = field(default_factory=time.monotonic)
    recent: deque[tuple[float, int, int]] = field(default_factory=deque)  # seconds, done, made

    def __post_init__(self) -> None:
        """The first mark is the start."""
        self.recent.append((self.shown, 0, 0))

    def show(self, done: int, total: int, made: int, counts: str) -> None:
        """After ``done`` of ``total``, which gave ``made`` episodes; ``counts`` says so."""
        now = time.monotonic()
        self.recent.append((now, done, made))
        while len(self.recent) > 2 and now - self.recent[0][0] > _WINDOW_SECONDS:
            self.recent.popleft()
        since, done_then, made_then = self.recent[0]
        seconds = max(now - since, 1e-9)
        left = int(seconds * (total - done) / max(done - done_then, 1))
        rate = (made - made_then) / seconds
        line = f"{counts}, {rate:,.1f}/s, {left // 60}:{left % 60:02} left"
        if sys.stderr.isatty():
            end = "" if done < total else "\n"
            print(f"\r{line}\033[K", end=end, file=sys.stderr, flush=True)
        elif now - self.shown >= _EVERY_SECONDS:
            self.shown = now
            print(line, file=sys.stderr, flush=True)


def _progress() -> run.Progress:
    line = _ProgressLine()
    return lambda done, rows, episodes: line.show(done, rows, episodes, f"{episodes:,} episodes")


def _progress_of_teacher() -> teacher.Progress:
    line = _ProgressLine()

    def show(taught: teacher.Taught) -> None:
        counts = f"{taught.done:,}/{taught.total:,} episodes, {taught.traced:,} with a trace"
        line.show(taught.done, taught.total, taught.done, f"{counts}; {_spent(taught.spent)}")

    return show


def _summary(out: Path, manifest: dict[str, Any]) -> str:
    files, statistics = manifest["files"], manifest["statistics"]
    sizes = {n: files[n]["episodes"] for n in ("train.jsonl", "test.jsonl") if n in files}
    chunks, seconds = statistics["chunks"]["mean"], statistics["stream_seconds"]["mean"]
    means = f"  {chunks} chunks and {seconds} s of stream on average"
    if statistics["skip_share"] is not None:
        means += f", {statistics['skip_share']:.0%} of the thoughts are skips"
    lines = [f"{out}: " + ", ".join(f"{n:,} in {name}" for name, n in sizes.items()), means]
    if manifest["counts"]:
        lines.append(f"  {_listed(manifest['counts'])}")
    if statistics["groups"] == 1 and "test.jsonl" not in sizes:
        lines.append("  all episodes are one group, so there is no test.jsonl")
    elif statistics["groups"] < sum(sizes.values()):
        lines.append(f"  {statistics['groups']:,} groups, each on one side of the split")
    if 0 < sizes.get("test.jsonl", 0) < _FEW:
        lines.append("  few test episodes to measure with; --test-count N sets their number")
    lines += _warnings(statistics)
    if read := manifest.get("input_files"):
        empty = [name for name, count in read.items() if not count]
        without = f"; without a row: {', '.join(empty)}" if empty else ""
        lines.append(f"  {sum(read.values()):,} rows in {len(read):,} input files{without}")
    rejected = manifest["rejected"]
    if rejected["total"]:
        reasons = _listed(rejected["by_reason"])
        rows = f"{rejected['total']:,} row{'s' if rejected['total'] > 1 else ''}"
        lines.append(f"  {rows} rejected ({reasons}); see manifest")
    if manifest["rejected_traces"]:
        reasons = _listed(manifest["rejected_traces"])
        lines.append(f"  rejected traces in {run.TRACES_FILE}: {reasons}")
    return "\n".join(lines)


def _warnings(statistics: Mapping[str, Any]) -> list[str]:
    """Properties of a set that training on it would stumble over."""
    lines, traced = [], statistics["trace_share"]
    if traced < 1:
        share = "no episode has" if not traced else f"{traced:.0%} of the episodes have"
        lines.append(
            f"  {share} a trace, which SFT needs (data.untraced: skip leaves the others out); make traces with "
            f"{PROGRAM} teach, or build with --rationale-column or --thoughts-column; RL needs none, but starts from a model "
            f"that was taught the format on another set (docs/OWN_DATA.md)"
        )
    single = statistics["chunks"]["one_chunk_share"]
    if single > _MANY:
        lines.append(
            f"  warning: {single:.0%} of the episodes are one chunk, so nothing arrives while the model thinks; its sentence "
            f"ends may be unknown: try --chunk word:8, clock:2 or paragraph"
        )
    lines += [
        f"  warning: {count:,} of the episodes hold {kind}, which the model reads as it stands; clean the rows first"
        for kind, count in statistics.get("residue", {}).items()
    ]
    return lines


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count:,}" for name, count in counts.items())


def _spent(spent: Mapping[str, Any]) -> str:
    tokens = f"{spent['input_tokens']:,} + {spent['output_tokens']:,} tokens"
    dollars = f", ${spent['dollars']:.2f}" if spent["dollars"] else ""
    return f"{spent['requests']:,} requests, {spent['cached']:,} from the cache, {tokens}{dollars}"


if __name__ == "__main__":
    sys.exit(main())
