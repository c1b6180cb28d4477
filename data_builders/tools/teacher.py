"""Traces from a teacher model for the episodes of a build, those that pass the quality control.

    adasr data teach data/pubmedqa --endpoint http://localhost:8000/v1 --model qwen3-8b --out data/pubmedqa-taught

Episodes with a trace are passed on unless --replace is given. A reply is read line by line ("3: thought", "deep:",
"answer:"). It must have one thought a chunk, no fact from the future and the right answer, and stay within bounds. A
rejected one goes to rejected_traces.jsonl with its reason, and the model is asked again (--attempts). Replies are cached
by the content of their request (``endpoint``); the prompt is a file (--prompt, prompts/teacher.txt).
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
import string
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

from adasr_trl.core.answers import is_right
from adasr_trl.core.episode import AnswerType, Episode, read_episodes, to_json
from adasr_trl.core.files import atomic_writer, write_text
from data_builders.errors import BuildError
from data_builders.pipeline import manifest as manifests
from data_builders.pipeline import quality
from data_builders.pipeline.quality import Bounds, RejectedTrace, bounds_of, fault_of, to_line
from data_builders.pipeline.run import TRACES_FILE
from data_builders.rows.options import add_number, add_switch, check_number
from data_builders.tools.endpoint import Endpoint, EndpointSettings

PROMPT = Path(__file__).parent / "prompts" / "teacher.txt"
CACHE = "replies"
_LINE = re.compile(r"\s*[\[(*]*(\d+|deep|answer)[\])*]*\s*[:.]\s*(.*)", re.IGNORECASE)
_PLACEHOLDERS = {"question", "count", "chunks", "answer_form"}
_FORMS = {
    AnswerType.NUMBER: "the number alone",
    AnswerType.CHOICE: "the label alone",
    AnswerType.TEXT: "the answer in a few words",
}


@dataclass(frozen=True)
class ParsedReply:
    """A reply in its parts."""

    thoughts: tuple[str, ...]
    deep: str
    answer: str


@dataclass
class Taught:
    """Result of a run."""

    files: Counter[str] = field(default_factory=Counter)  # episodes of each file written
    traced: int = 0  # episodes with a trace
    reasons: Counter[str] = field(default_factory=Counter)  # rejected replies by reason
    spent: dict[str, Any] = field(default_factory=dict)  # requests, tokens and dollars


Progress = Callable[[Taught], None]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The build, the endpoint and its limits, and bounds of a trace."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="a build without traces")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write")
    what = "such as http://localhost:8000/v1"
    parser.add_argument("--endpoint", required=True, metavar="URL", help=what)
    parser.add_argument("--model", required=True, help="the endpoint's name of it")
    parser.add_argument("--prompt", type=Path, default=PROMPT, metavar="FILE", help="default: ours")
    what = f"replies (default: {CACHE} in --out)"
    parser.add_argument("--cache", type=Path, metavar="DIR", help=what)
    parser.add_argument("--key-variable", default="OPENAI_API_KEY", help="default: OPENAI_API_KEY")
    what = "only the first N episodes of each file"
    parser.add_argument("--limit", type=int, metavar="N", help=what)
    parser.add_argument("--max-cost", type=float, metavar="DOLLARS", help="stop when it is spent")
    add_number(parser, "attempts", 2, "replies an episode")
    add_number(parser, "max-tokens", 2048, "tokens of a reply")
    add_number(parser, "concurrency", 8, "requests at once")
    add_number(parser, "retries", 6, "retries of a request")
    add_number(parser, "temperature", 0.7, "sampling temperature")
    add_number(parser, "requests-per-minute", 0.0, "rate; 0 for no limit")
    add_number(parser, "input-price", 0.0, "dollars a million tokens of requests")
    add_number(parser, "output-price", 0.0, "dollars a million tokens of replies")
    add_switch(parser, "replace", "ask for all episodes")
    add_switch(parser, "keep-untraced", "write episodes without a trace, too")
    quality.add_options(parser)


def run(
    options: argparse.Namespace, progress: Progress = lambda _: None, transport: Any = None
) -> Taught:
    """Ask for every trace and write ``options.out``; ``transport`` stands in for the network in tests."""
    files = manifests.built_files(options.directory)
    old = manifests.read_manifest(options.out)
    is_foreign = old is not None and old["builder"] != "teach"
    if is_foreign or options.out.resolve() == options.directory.resolve():
        raise BuildError(f"--out {options.out}: holds another build; choose another directory.")
    endpoint = Endpoint(_settings(options), transport)
    teacher = _Teacher(endpoint, _read_prompt(options.prompt), options)
    return asyncio.run(_teach(teacher, files, progress))


def render_prompt(template: string.Template, episode: Episode) -> str:
    """The request for one episode."""
    pieces = (f"{i}: {' '.join(text.split())}" for i, text in enumerate(episode.chunks, start=1))
    return template.substitute(
        question=episode.question,
        count=len(episode.chunks),
        chunks="\n".join(pieces),
        answer_form=_FORMS[episode.answer_type],
    )


def read_reply(text: str) -> ParsedReply:
    """The parts of a reply; a line without a label continues the part before it."""
    thoughts: list[list[str]] = []
    parts: dict[str, list[str]] = {"deep": [], "answer": []}
    current: list[str] = []
    for line in text.splitlines():
        labelled = _LINE.match(line)
        label = labelled[1].lower() if labelled else ""
        # Thoughts count from 1 up to the deep part: other numbers belong to the text.
        is_thought = label == str(len(thoughts) + 1) and not parts["deep"]
        if is_thought:
            thoughts.append([])
        if labelled and (is_thought or label in parts):
            current = thoughts[-1] if is_thought else parts[label]
            line = labelled[2]
        current.append(line)
    deep, answer = _joined(parts["deep"]), _joined(parts["answer"])
    return ParsedReply(tuple(map(_joined, thoughts)), deep, answer)


def fault_of_reply(episode: Episode, reply: ParsedReply, bounds: Bounds) -> tuple[str, str] | None:
    """The first fault of a reply as a code and in words, or None."""
    if not is_right(reply.answer, episode.answer, episode.answer_type):
        return "wrong_answer", f"answered {reply.answer[:80]!r}, gold is {episode.answer!r}"
    source = episode.source.name
    return fault_of(episode.question, episode.chunks, reply.thoughts, reply.deep, bounds, source)


def _joined(lines: list[str]) -> str:
    text = " ".join(" ".join(lines).split())
    return "" if text.lower().strip("<>.") == "skip" else text


TaughtEpisode = tuple[Episode, list[RejectedTrace]]


@dataclass(frozen=True)
class _Teacher:
    """A model with its prompt."""

    endpoint: Endpoint
    template: string.Template
    options: argparse.Namespace

    async def teach(self, episode: Episode) -> TaughtEpisode:
        """The episode with its trace, and rejected ones."""
        if episode.thoughts is not None and not self.options.replace:
            return episode, []
        bare = replace(episode, thoughts=None, deep=None)
        faults: list[RejectedTrace] = []
        for attempt in range(self.options.attempts):
            reply = await self.endpoint.ask(render_prompt(self.template, episode), attempt)
            parsed = read_reply(reply.text)
            fault = fault_of_reply(episode, parsed, bounds_of(self.options))
            if not reply.is_whole:
                fault = ("cut_off", f"the reply was cut off at {self.options.max_tokens} tokens")
            if fault is None:
                return replace(bare, thoughts=parsed.thoughts, deep=parsed.deep), faults
            faults.append(RejectedTrace(episode.id, *fault, parsed.thoughts, parsed.deep))
        return bare, faults

    async def teach_file(self, path: Path) -> AsyncIterator[TaughtEpisode]:
        """Every episode of a file, in its order."""
        running: deque[asyncio.Task[TaughtEpisode]] = deque()
        try:
            for episode in islice(read_episodes(path), self.options.limit):
                running.append(asyncio.ensure_future(self.teach(episode)))
                # A slow first reply must not let the whole file wait in memory.
                if len(running) > 4 * self.options.concurrency:
                    yield await running.popleft()
            while running:
                yield await running.popleft()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def _teach(teacher: _Teacher, files: Mapping[str, Path], progress: Progress) -> Taught:
    options, taught = teacher.options, Taught()
    with ExitStack() as stack:
        rejected = stack.enter_context(atomic_writer(options.out / TRACES_FILE))
        async with teacher.endpoint:
            for split, path in files.items():
                out = stack.enter_context(atomic_writer(options.out / path.name))
                async for episode, faults in teacher.teach_file(path):
                    if episode.thoughts is not None or options.keep_untraced:
                        out.write(to_json(episode) + "\n")
                        taught.files[path.name] += 1
                    taught.traced += episode.thoughts is not None
                    taught.reasons.update(fault.reason for fault in faults)
                    rejected.writelines(to_line(fault) for fault in faults)
                    taught.spent = vars(teacher.endpoint.spent)
                    progress(taught)
                if not taught.files[path.name]:
                    reasons = dict(taught.reasons)
                    raise BuildError(f"{path}: no reply for {split} passed the checks: {reasons}.")
    manifest = json.dumps(_describe(options, taught), indent=2) + "\n"
    write_text(options.out / manifests.FILE_NAME, manifest)
    return taught


def _settings(options: argparse.Namespace) -> EndpointSettings:
    for name in ("attempts", "concurrency", "max_tokens", "limit"):
        check_number(options, name, 1)
    cache = options.cache or options.out / CACHE
    given = vars(options) | {"url": options.endpoint, "cache": cache}
    names = [setting.name for setting in fields(EndpointSettings)]
    return EndpointSettings(**{name: given[name] for name in names if name in given})


def _read_prompt(path: Path) -> string.Template:
    try:
        template = string.Template(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BuildError(f"--prompt {path}: cannot be read: {error.strerror}.") from None
    unknown = set(template.get_identifiers()) - _PLACEHOLDERS
    if unknown or not template.is_valid() or "chunks" not in template.get_identifiers():
        raise BuildError(
            f"--prompt {path}: expected $chunks, and optionally $question, $count and $answer_form"
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
