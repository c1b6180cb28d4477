"""Asks a model for the traces of a build's episodes, and keeps those that pass the quality control.

    python -m data_builders teach data/pubmedqa --endpoint http://localhost:8000/v1 --model qwen3-8b --out data/pubmedqa-taught

Episodes that have a trace are passed on unless --replace is given. A reply is read line by line ("3: thought", "deep:",
"answer:"); it must have one thought a chunk, no fact from the future and the right answer, and stay within bounds. One
that does not is kept in rejected_traces.jsonl with its reason, and asked for again (--attempts). Replies are cached by
the content of their request (``endpoint``); the prompt is a file (--prompt, prompts/teacher.txt).
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
import string
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from adasr_trl.core.answers import is_right
from adasr_trl.core.episode import AnswerType, Episode, read_episodes, to_json
from adasr_trl.core.files import atomic_writer, write_text
from data_builders.errors import BuildError
from data_builders.pipeline import manifest as manifests
from data_builders.pipeline import quality
from data_builders.pipeline.quality import Bounds, RejectedTrace, bounds_of, fault_of
from data_builders.pipeline.run import TRACES_FILE
from data_builders.sources.split import SPLITS
from data_builders.tools.endpoint import Endpoint, Settings

PROMPT = Path(__file__).parent / "prompts" / "teacher.txt"
CACHE = "replies"
_LINE = re.compile(r"\s*[\[(*]*(\d+|deep|answer)[\])*]*\s*[:.]\s*(.*)", re.IGNORECASE)
_FORMS = {
    AnswerType.NUMBER: "the number alone",
    AnswerType.CHOICE: "the label alone",
    AnswerType.TEXT: "the answer in a few words",
}


@dataclass(frozen=True)
class Written:
    """A reply in its parts."""

    thoughts: tuple[str, ...]
    deep: str
    answer: str


@dataclass
class Taught:
    """What a run did.

    Attributes:
        files: Episodes of each file written.
        traced: Episodes with a trace of this teacher.
        reasons: Rejected replies by reason.
        spent: Requests, tokens and dollars.
    """

    files: Counter[str] = field(default_factory=Counter)
    traced: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    spent: dict[str, Any] = field(default_factory=dict)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Whom to ask, how much, and what to accept."""
    switch = argparse.BooleanOptionalAction
    parser.add_argument("directory", type=Path, metavar="DIR", help="a build without traces")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write")
    parser.add_argument(
        "--endpoint", required=True, metavar="URL", help="such as http://localhost:8000/v1"
    )
    parser.add_argument("--model", required=True, help="as the endpoint calls it")
    parser.add_argument("--prompt", type=Path, default=PROMPT, metavar="FILE", help="default: ours")
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help=f"replies (default: {CACHE} in --out)"
    )
    parser.add_argument("--key-variable", default="OPENAI_API_KEY", help="default: OPENAI_API_KEY")
    parser.add_argument(
        "--attempts", type=int, default=2, metavar="N", help="replies an episode (default: 2)"
    )
    parser.add_argument(
        "--limit", type=int, metavar="N", help="only the first N episodes of each file"
    )
    for name, default, what in (
        ("temperature", 0.7, "of sampling"),
        ("requests-per-minute", 0.0, "0 for no limit"),
        ("input-price", 0.0, "dollars a million tokens of requests"),
        ("output-price", 0.0, "dollars a million tokens of replies"),
    ):
        parser.add_argument(
            f"--{name}", type=float, default=default, help=f"{what} (default: {default:g})"
        )
    parser.add_argument("--max-cost", type=float, metavar="DOLLARS", help="stop when it is spent")
    parser.add_argument("--max-tokens", type=int, default=2048, help="of a reply (default: 2048)")
    parser.add_argument("--concurrency", type=int, default=8, help="requests at once (default: 8)")
    parser.add_argument("--retries", type=int, default=6, help="of a request (default: 6)")
    parser.add_argument("--replace", action=switch, default=False, help="ask for all episodes")
    parser.add_argument(
        "--keep-untraced", action=switch, default=False, help="write episodes without a trace, too"
    )
    quality.add_options(parser)


def run(
    options: argparse.Namespace,
    progress: Callable[[Taught], None] = lambda _: None,
    transport: Any = None,
) -> Taught:
    """Ask for every trace and write ``options.out``; ``transport`` stands in for the network in tests."""
    files = {split: options.directory / f"{split}.jsonl" for split in SPLITS}
    files = {split: path for split, path in files.items() if path.is_file()}
    if not files:
        raise BuildError(
            f"{options.directory}: holds no train.jsonl or test.jsonl; build it first."
        )
    found = manifests.read_manifest(options.out)
    if options.out.resolve() == options.directory.resolve() or (
        found and found["builder"] != "teach"
    ):
        raise BuildError(f"--out {options.out}: holds another build; choose another directory.")
    template = _read_prompt(options.prompt)
    return asyncio.run(_teach(options, files, template, progress, transport))


def render_prompt(template: string.Template, episode: Episode) -> str:
    """The request for one episode."""
    pieces = (f"{i}: {' '.join(text.split())}" for i, text in enumerate(episode.chunks, start=1))
    return template.substitute(
        question=episode.question,
        count=len(episode.chunks),
        chunks="\n".join(pieces),
        answer_form=_FORMS[episode.answer_type],
    )


def read_reply(text: str) -> Written:
    """The thoughts, the deep part and the answer of a reply; a line without a label goes on with the one before."""
    thoughts: list[list[str]] = []
    parts: dict[str, list[str]] = {"deep": [], "answer": []}
    current: list[str] = []
    for line in text.splitlines():
        found = _LINE.match(line)
        label = found[1].lower() if found else ""
        if found and label in parts:
            current = parts[label]
            line = found[2]
        elif found and label == str(len(thoughts) + 1) and not parts["deep"]:
            current = []
            thoughts.append(current)
            line = found[2]
        current.append(line)
    return Written(tuple(map(_joined, thoughts)), _joined(parts["deep"]), _joined(parts["answer"]))


def fault_of_reply(episode: Episode, written: Written, bounds: Bounds) -> tuple[str, str] | None:
    """Why a reply may not be taught from; None if it may."""
    if not is_right(written.answer, episode.answer, episode.answer_type):
        return "wrong_answer", f"answered {written.answer[:80]!r}, gold is {episode.answer!r}"
    source = episode.source.name
    return fault_of(
        episode.question, episode.chunks, written.thoughts, written.deep, bounds, source
    )


def _joined(lines: list[str]) -> str:
    words = " ".join(" ".join(lines).split())
    return "" if words.lower().strip("<>.") == "skip" else words


async def _teach(
    options: argparse.Namespace,
    files: dict[str, Path],
    template: string.Template,
    progress: Callable[[Taught], None],
    transport: Any,
) -> Taught:
    taught = Taught()
    with ExitStack() as stack:
        rejected = stack.enter_context(atomic_writer(options.out / TRACES_FILE))
        async with Endpoint(_settings(options), transport) as endpoint:
            for split, path in files.items():
                out = stack.enter_context(atomic_writer(options.out / path.name))
                async for episode, faults in _in_order(endpoint, path, template, options):
                    _write(episode, faults, out, rejected, taught, options)
                    taught.files[path.name] += episode.thoughts is not None or options.keep_untraced
                    taught.spent = vars(endpoint.spent)
                    progress(taught)
                if not taught.files[path.name]:
                    raise BuildError(
                        f"{path}: no reply for {split} passed the quality control: {dict(taught.reasons)}."
                    )
    write_text(
        options.out / manifests.FILE_NAME, json.dumps(_describe(options, taught), indent=2) + "\n"
    )
    return taught


Result = tuple[Episode, list[RejectedTrace]]


async def _in_order(
    endpoint: Endpoint, path: Path, template: string.Template, options: argparse.Namespace
) -> AsyncIterator[Result]:
    """Every episode with its trace, in the order of the file; only a few requests are under way at a time."""
    running: deque[asyncio.Task[Result]] = deque()
    try:
        for number, episode in enumerate(read_episodes(path)):
            if options.limit is not None and number >= options.limit:
                break
            running.append(asyncio.ensure_future(_ask(endpoint, episode, template, options)))
            if len(running) > 4 * options.concurrency:
                yield await running.popleft()
        while running:
            yield await running.popleft()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _ask(
    endpoint: Endpoint, episode: Episode, template: string.Template, options: argparse.Namespace
) -> Result:
    if episode.thoughts is not None and not options.replace:
        return episode, []
    bare = replace(episode, thoughts=None, deep=None)
    faults: list[RejectedTrace] = []
    for attempt in range(options.attempts):
        reply = await endpoint.ask(render_prompt(template, episode), attempt)
        written = read_reply(reply.text)
        fault = fault_of_reply(episode, written, bounds_of(options))
        if not reply.is_whole:
            fault = ("cut_off", f"the reply was cut off at {options.max_tokens} tokens")
        if fault is None:
            return replace(bare, thoughts=written.thoughts, deep=written.deep), faults
        faults.append(RejectedTrace(episode.id, *fault, written.thoughts, written.deep))
    return bare, faults


def _write(
    episode: Episode,
    faults: list[RejectedTrace],
    out: IO[str],
    rejected: IO[str],
    taught: Taught,
    options: argparse.Namespace,
) -> None:
    if episode.thoughts is not None or options.keep_untraced:
        out.write(to_json(episode) + "\n")
    taught.traced += episode.thoughts is not None
    for fault in faults:
        taught.reasons[fault.reason] += 1
        rejected.write(json.dumps(asdict(fault), ensure_ascii=False) + "\n")


def _settings(options: argparse.Namespace) -> Settings:
    for name in ("attempts", "concurrency", "max_tokens"):
        if vars(options)[name] < 1:
            flag = name.replace("_", "-")
            raise BuildError(f"--{flag}: got {vars(options)[name]}; expected 1 or more.")
    names = {"temperature", "max_tokens", "concurrency", "retries", "requests_per_minute"}
    names |= {"input_price", "output_price", "max_cost", "key_variable"}
    kept = {name: value for name, value in vars(options).items() if name in names}
    return Settings(options.endpoint, options.model, options.cache or options.out / CACHE, **kept)


def _read_prompt(path: Path) -> string.Template:
    try:
        template = string.Template(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BuildError(f"--prompt {path}: cannot be read: {error.strerror}.") from None
    known = {"question", "count", "chunks", "answer_form"}
    unknown = set(template.get_identifiers()) - known
    if unknown or not template.is_valid() or "chunks" not in template.get_identifiers():
        raise BuildError(
            f"--prompt {path}: expected $chunks and of $question, $count and $answer_form what you like"
            f"{'; unknown is $' + min(unknown) if unknown else ''} (a dollar sign is written $$)."
        )
    return template


def _describe(options: argparse.Namespace, taught: Taught) -> dict[str, Any]:
    return {
        "format": manifests.FORMAT,
        "builder": "teach",
        "from": manifests.read_manifest(options.directory),
        "teacher": {
            "model": options.model,
            "prompt_sha256": hashlib.sha256(options.prompt.read_bytes()).hexdigest(),
            "temperature": options.temperature,
            "attempts": options.attempts,
        },
        "files": {name: {"episodes": count} for name, count in sorted(taught.files.items())},
        "traced": taught.traced,
        "rejected_traces": dict(sorted(taught.reasons.items())),
        "spent": taught.spent,
    }
