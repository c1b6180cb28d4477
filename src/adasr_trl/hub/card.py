"""The model card of a finished run, written by us: base, data and licences, protocol, measurements, how it was made.

    >>> print(write_card(run, Described("me/streaming-qwen3", "Qwen/Qwen3-1.7B", adapter=True)))

Every figure is computed from the evaluation's records when the card is written. TRL's own card is not used: it knows
neither the data nor the protocol.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import ModelCardData

from adasr_trl.artifacts.directory import identity_of, is_complete
from adasr_trl.artifacts.names import EVAL_FOLDER
from adasr_trl.artifacts.provenance import DataUsed, load_provenance
from adasr_trl.artifacts.saved_config import load_origin, load_streaming
from adasr_trl.config.sections import ModelConfig, StreamingConfig
from adasr_trl.evaluation import tables as columns
from adasr_trl.evaluation.clocks import rates
from adasr_trl.evaluation.records import load_outcomes
from adasr_trl.evaluation.settings import recorded_settings
from adasr_trl.evaluation.summary import summarise_seeds
from adasr_trl.evaluation.tables import Table, table
from adasr_trl.hub.licence import Licence

TAGS = ("adasr", "streaming-reasoning", "hrpo", "trl", "peft")
COLUMNS = (
    *(columns.QUESTIONS, columns.ACCURACY, *columns.TOKENS, columns.SKIP_RATE),
    *(columns.ANSWERED, columns.LATENCY, columns.LATENCY_P95),
)
_METHODS = {
    "sft": "supervised fine-tuning on traces of streaming thought",
    "grpo": "GRPO with one flat advantage, the baseline of HRPO (hierarchical relative policy optimization)",
    "hrpo": "HRPO (hierarchical relative policy optimization)",
}


@dataclass(frozen=True)
class Described:
    """What is published.

    Attributes:
        repo: Its Hub id.
        base: The Hub id of the pretrained model, or None where all weights were made by these runs.
        adapter: Whether only an adapter is published.
        records: Whether the evaluation's records are, with their questions.
        licence: The base's, where its card states one.
    """

    repo: str
    base: str | None
    adapter: bool
    records: bool = False
    licence: Licence | None = None


def evaluations(run: Path) -> list[Path]:
    """The finished evaluations of a run, its main one first."""
    return [path for path in sorted(run.glob(f"{EVAL_FOLDER}*")) if is_complete(path)]


def write_card(run: Path, described: Described) -> str:
    """The whole README.md, front matter included."""
    provenance = load_provenance(run)
    streaming = load_streaming(run)
    kind = str(identity_of(run)["command"])
    licence = described.licence
    data = ModelCardData(
        license=licence.licence if licence else None,  # left out where it is not known
        license_name=licence.name if licence else None,
        license_link=licence.link if licence else None,
        library_name="peft" if described.adapter else "transformers",
        pipeline_tag="text-generation",
        base_model=described.base,
        tags=list(TAGS),
    )
    sections = [
        f"---\n{data.to_yaml()}\n---",
        f"# {described.repo.rpartition('/')[2]}",
        _opening(described, kind),
        "## Use\n\n" + _use(described, streaming, load_origin(run)),
        "## Data\n\n" + _data(provenance.data, described),
        "## Protocol\n\n" + _protocol(streaming),
        "## Evaluation\n\n" + _evaluation(run),
        "## How it was made\n\n" + _made(provenance.command, provenance.versions),
    ]
    return "\n\n".join(sections) + "\n"


def _opening(described: Described, kind: str) -> str:
    what = "A LoRA adapter" if described.adapter else "A language model"
    on = (
        f" on [{described.base}](https://huggingface.co/{described.base})" if described.base else ""
    )
    return (
        f"{what}{on} that reasons while its input is still arriving: it reads sentence by sentence, writes a short "
        f"thought after each one or skips it, and answers soon after the last. Trained with adasr-trl, by "
        f"{_METHODS[kind]} on TRL; the method is AdaSR's (arXiv 2606.14694)."
    )


def _use(described: Described, streaming: StreamingConfig, origin: ModelConfig | None) -> str:
    lines = [
        "```python",
        "from adasr_trl import StreamingReasoner",
        "",
        f'reasoner = StreamingReasoner.from_pretrained("{described.repo}")',
        'stream = reasoner.start("How many coins does Tom have?")',
        'for event in stream.feed("Tom has 5 coins. Tom finds 3 more coins."):',
        "    print(event.kind.value, event.text)",
        "print(stream.finish()[-1].text)",
        "```",
        "",
        f"`adasr verify {described.repo}` compares the logits of what was downloaded with those at training's end.",
    ]
    if described.adapter:
        lines.append("`peft.PeftModel.from_pretrained(base, ...)` loads the adapter as well.")
        if origin and origin.is_quantized:
            lines.append("Its base is loaded in 4 bits, as it was trained (bitsandbytes).")
    elif streaming.layout == "interleaved":
        lines.append(
            "Any OpenAI-compatible completion server can serve it (`StreamingReasoner.from_server`)."
        )
    return "\n".join(lines)


def data_table(data: Sequence[DataUsed]) -> str:
    """Sources with their licences, in Markdown."""
    rows = tuple(
        (
            *map(_cell, (source.name, source.revision, source.licence, source.split)),
            f"{source.episodes:,}",
        )
        for source in data
    )
    return Table(("source", "revision", "licence", "split", "episodes"), rows).markdown()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _data(data: Sequence[DataUsed], described: Described) -> str:
    rows_here = (
        "`eval` holds the questions of the evaluation" if described.records else "No row is in here"
    )
    return f"{data_table(data)}\n\n{_licences(described)} {rows_here}."


def _licences(described: Described) -> str:
    if described.licence:
        name = described.licence.name or described.licence.licence
        return f"The licences of the data apply, and the base model's ({_cell(name)}, as its card states)."
    if described.base:
        return "The licences of the data and of the base model apply; the base's card states none."
    return "The licences of the data apply."


def _protocol(streaming: StreamingConfig) -> str:
    clock = streaming.clock
    markers = ", ".join(f"{role} `{text}`" for role, text in vars(streaming.markers).items())
    instruction = json.dumps(streaming.instruction) if streaming.instruction else "none"
    return "\n".join(
        [
            f"- Layout: {streaming.layout}" + _boundary(streaming) + ".",
            f"- Markers: {markers}.",
            f"- Caps: {streaming.max_thought_tokens} tokens a thought, {streaming.max_deep_tokens} for deep reasoning "
            f"and answer, {streaming.max_prompt_tokens} for question and input.",
            f"- Instruction before the question: {instruction}.{_thinking(streaming)}",
            f"- Clock: {clock.words_per_minute:g} words a minute, {rates(clock)}.",
        ]
    )


def _thinking(streaming: StreamingConfig) -> str:
    if streaming.thinking is None:
        return ""
    return f" The chat template's enable_thinking: {str(streaming.thinking).lower()}."


def _boundary(streaming: StreamingConfig) -> str:
    return f" (boundary: {streaming.boundary})" if streaming.layout == "parallel" else ""


def _evaluation(run: Path) -> str:
    parts = []
    for folder in evaluations(run):
        rows = [
            (
                (setting.mode_words, setting.decoding),
                summarise_seeds([load_outcomes(folder, setting)]),
            )
            for setting in recorded_settings(folder)
        ]
        name = folder.name.removeprefix(EVAL_FOLDER).removeprefix("-")
        parts += [f"Questions `{name}`:"] if name else []
        parts.append(table(("mode", "decoding"), rows, COLUMNS).markdown())
    if not parts:
        return "None: this model was published without an evaluation."
    note = (
        "Unseen questions; accuracy with its 95 % interval (Wilson). Tokens, skips and latency are means over all "
        "questions, wrong and unfinished ones included. Answer latency: from the input's end to the last token of the "
        "answer's value, by the clock."
    )
    return "\n\n".join([*parts, note])


def _made(command: Sequence[str], versions: Mapping[str, str]) -> str:
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"```\nadasr {shlex.join(command)}\n```\n\n{named}. All settings are in `config.yaml`."
