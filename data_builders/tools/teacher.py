"""Traces from a teacher model for the episodes of a build, those that pass the quality control.

    adasr data teach data/pubmedqa --endpoint http://localhost:8000/v1 --model qwen3-8b --out data/pubmedqa-taught
    adasr data teach data/pubmedqa --local-model Qwen/Qwen3-1.7B --out data/pubmedqa-taught

Episodes with a trace are passed on unless --replace is given. A reply is read line by line ("3: thought", "deep:",
"answer:"). It must have one thought a chunk, no fact from the future and the right answer, and stay within bounds. A
rejected one goes to rejected_traces.jsonl with its reason, and the model is asked again (--attempts). Replies are cached
(``replies``); the prompt is a file (--prompt, prompts/teacher.txt).
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
from dataclasses import MISSING, dataclass, field, fields, replace
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
from data_builders.rows.options import add_number, add_switch, check_number, flag_of, path_of
from data_builders.tools.endpoint import Endpoint, EndpointSettings
from data_builders.tools.local_model import DTYPES, LocalModel, LocalSettings
from data_builders.tools.replies import PromptLengthError, TeacherModel

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

    total: int  # episodes to go through
    done: int = 0  # of them, those gone through
    files: Counter[str] = field(default_factory=Counter)  # episodes of each file written
    traced: int = 0  # episodes with a trace
    reasons: Counter[str] = field(default_factory=Counter)  # rejected replies by reason
    spent: dict[str, Any] = field(default_factory=dict)  # requests, tokens and dollars


Progress = Callable[[Taught], None]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The build, the model with its limits, and bounds of a trace."""
    parser.add_argument("directory", type=path_of, metavar="DIR", help="a build without traces")
    parser.add_argument("--out", type=path_of, required=True, metavar="DIR", help="where to write")
    parser.add_argument(
        "--prompt", type=path_of, default=PROMPT, metavar="FILE", help="default: ours"
    )
    what = f"replies (default: {CACHE} in --out)"
    parser.add_argument("--cache", type=path_of, metavar="DIR", help=what)
    what = "only the first N episodes of each file"
    parser.add_argument("--limit", type=int, metavar="N", help=what)
    add_number(parser, "attempts", 2, "replies an episode")
    add_number(parser, "max-tokens", 2048, "tokens of a reply")
    add_number(parser, "temperature", 0.7, "sampling temperature")
    add_switch(parser, "replace", "ask for all episodes")
    add_switch(parser, "keep-untraced", "write episodes without a trace, too")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--endpoint", metavar="URL", help="such as http://localhost:8000/v1")
    what = "a transformers model, by its directory or Hub id"
    kind.add_argument("--local-model", metavar="MODEL", help=what)
    _add_endpoint_options(parser.add_argument_group("with --endpoint"))
    _add_local_options(parser.add_argument_group("with --local-model"))
    quality.add_options(parser)


def _add_endpoint_options(group: Any) -> None:
    group.add_argument("--model", help="the endpoint's name of it (required)")
    group.add_argument("--key-variable", default="OPENAI_API_KEY", help="default: OPENAI_API_KEY")
    group.add_argument("--max-cost", type=float, metavar="DOLLARS", help="stop when it is spent")
    add_number(group, "concurrency", 8, "requests at once")
    add_number(group, "retries", 6, "retries of a request")
    add_number(group, "requests-per-minute", 0.0, "rate; 0 for no limit")
    add_number(group, "input-price", 0.0, "dollars a million tokens of requests")
    add_number(group, "output-price", 0.0, "dollars a million tokens of replies")


def _add_local_options(group: Any) -> None:
    group.add_argument("--model-revision", metavar="REV", help="of a Hub id")
    group.add_argument("--device", default="auto", help="such as cuda:1 (default: auto)")
    what = "of the weights; auto is float32 on a CPU, else the model's own (default: auto)"
    group.add_argument("--dtype", choices=DTYPES, default="auto", help=what)
    add_number(group, "batch-size", 8, "prompts at once")
    add_number(group, "seed", 0, "seed of sampled replies")


def run(
    options: argparse.Namespace, progress: Progress = lambda _: None, transport: Any = None
) -> Taught:
    """Ask for every trace and write ``options.out``; ``transport`` stands in for the network in tests."""
    files = manifests.built_files(options.directory)
    old = manifests.read_manifest(options.out)
    is_foreign = old is not None and old["builder"] != "teach"
    if is_foreign or options.out.resolve() == options.directory.resolve():
        raise BuildError(f"--out {options.out}: holds another build; choose another directory.")
    teacher = _Teacher(_model(options, transport), _read_prompt(options.prompt), options)
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
    gold, tolerance = episode.answer, episode.tolerance
    if not is_right(reply.answer, gold, episode.answer_type, tolerance):
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

    model: TeacherModel
    template: string.Template
    options: argparse.Namespace

    async def teach(self, episode: Episode) -> TaughtEpisode:
        """The episode with its trace, and rejected ones."""
        if episode.thoughts is not None and not self.options.replace:
            return episode, []
        bare = replace(episode, thoughts=None, deep=None)
        faults: list[RejectedTrace] = []
        for attempt in range(self.options.attempts):
            try:
                reply = await self.model.ask(render_prompt(self.template, episode), attempt)
            except PromptLengthError as error:
                faults.append(RejectedTrace(episode.id, "prompt_too_long", str(error), (), ""))
                break
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
                if len(running) > 4 * self.model.parallel:
                    yield await running.popleft()
            while running:
                yield await running.popleft()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def _teach(teacher: _Teacher, files: Mapping[str, Path], progress: Progress) -> Taught:
    options, taught = teacher.options, Taught(_count(teacher.options, files))
    with ExitStack() as stack:
        rejected = stack.enter_context(atomic_writer(options.out / TRACES_FILE))
        async with teacher.model:
            for split, path in files.items():
                out = stack.enter_context(atomic_writer(options.out / path.name))
                async for episode, faults in teacher.teach_file(path):
                    if episode.thoughts is not None or options.keep_untraced:
                        out.write(to_json(episode) + "\n")
                        taught.files[path.name] += 1
                    taught.done += 1
                    taught.traced += episode.thoughts is not None
                    taught.reasons.update(fault.reason for fault in faults)
                    rejected.writelines(to_line(fault) for fault in faults)
                    taught.spent = vars(teacher.model.spent)
                    progress(taught)
                if not taught.files[path.name]:
                    reasons = dict(taught.reasons)
                    raise BuildError(f"{path}: no reply for {split} passed the checks: {reasons}.")
    manifest = json.dumps(_describe(teacher, taught), indent=2) + "\n"
    write_text(options.out / manifests.FILE_NAME, manifest)
    return taught


def _count(options: argparse.Namespace, files: Mapping[str, Path]) -> int:
    """Episodes of the files, up to the limit of each."""
    return sum(sum(1 for _ in islice(read_episodes(p), options.limit)) for p in files.values())


def _model(options: argparse.Namespace, transport: Any) -> TeacherModel:
    for name in ("attempts", "concurrency", "batch_size", "max_tokens", "limit"):
        check_number(options, name, 1)
    check_number(options, "temperature", 0)
    if options.local_model is not None:
        _refuse_other(options, LocalSettings, EndpointSettings, "--local-model")
        return LocalModel(_settings(LocalSettings, options))
    _refuse_other(options, EndpointSettings, LocalSettings, "--endpoint")
    if options.model is None:
        raise BuildError("--model is missing; name the endpoint's model, as its /models lists it.")
    return Endpoint(_settings(EndpointSettings, options), transport)


def _refuse_other(options: argparse.Namespace, own: type[Any], other: type[Any], kind: str) -> None:
    """Refuse options of the other kind of model, which would have no effect."""
    names = {setting.name for setting in fields(own)}
    for setting in fields(other):
        default = None if setting.default is MISSING else setting.default
        if setting.name not in names and vars(options).get(setting.name, default) != default:
            raise BuildError(f"{flag_of(setting.name)}: has no effect with {kind}; remove it.")


def _settings(kind: type[Any], options: argparse.Namespace) -> Any:
    cache = options.cache or options.out / CACHE
    given = vars(options) | {"url": options.endpoint, "cache": cache}
    return kind(**{x.name: given[x.name] for x in fields(kind) if x.name in given})


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


def _describe(teacher: _Teacher, taught: Taught) -> dict[str, Any]:
    options = teacher.options
    return {
        "format": manifests.FORMAT,
        "builder": "teach",
        "from": manifests.read_manifest(options.directory),
        "teacher": {
            **teacher.model.describe(),
            "prompt_sha256": hashlib.sha256(options.prompt.read_bytes()).hexdigest(),
            "temperature": options.temperature,
            "attempts": options.attempts,
        },
        "files": {name: {"episodes": count} for name, count in sorted(taught.files.items())},
        "traced": taught.traced,
        "rejected_traces": dict(sorted(taught.reasons.items())),
        "spent": taught.spent,
    }
