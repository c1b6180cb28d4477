"""The model card of a finished run: base, data and licences, protocol, measurements, provenance.

    >>> print(write_card(run, Described("me/streaming-qwen3", "Qwen/Qwen3-1.7B", adapter=True)))

Every figure is computed from the evaluation's records when the card is written. TRL's own card is not used: it knows
neither the data nor the protocol.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import ModelCardData

from adasr_trl.artifacts.directory import identity_of, is_complete
from adasr_trl.artifacts.names import EVAL_FOLDER, RUN_FILE
from adasr_trl.artifacts.provenance import PYTHON, DataUsed, load_provenance
from adasr_trl.artifacts.saved_config import load_origin, load_streaming
from adasr_trl.config.sections import ModelConfig, StreamingConfig
from adasr_trl.core.errors import UserError
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
    columns.ANSWERED,
)
_METHODS = {
    "sft": "supervised fine-tuning on traces of streaming thought",
    "grpo": "GRPO with one advantage a rollout, the baseline of HRPO (hierarchical relative policy optimization)",
    "hrpo": "HRPO (hierarchical relative policy optimization)",
}

CARD = """---
{front}
---

# {name}

{kind} that reasons while its input is still arriving: it reads sentence by sentence, writes a short \
thought after each one or skips it, and answers soon after the last. Trained with adasr-trl, by \
{method} on TRL; the method is AdaSR's (arXiv 2606.14694).

## Use

```python
from adasr_trl import StreamingReasoner

reasoner = StreamingReasoner.from_pretrained("{repo}")
stream = reasoner.start("How many coins does Tom have?")
for event in stream.feed("Tom has 5 coins. Tom finds 3 more coins."):
    print(event.kind.value, event.text)
print(stream.finish()[-1].text)
```

`adasr verify {repo}` compares the logits of the download with those at training's end.{loading}

## Data

{data}

{licences}

## Protocol

{protocol}

## Evaluation

{evaluation}

## How it was made

```
{command}
```

{versions}. All settings are in `config.yaml`.
"""


@dataclass(frozen=True)
class Described:
    """A publication."""

    repo: str  # its Hub id
    base: str | None  # Hub id of the pretrained model; None for one made from scratch
    adapter: bool  # whether only an adapter is published
    records: bool = False  # whether the evaluation's records are published, with their questions
    licence: Licence | None = None  # licence of the base, where its card states one


def evaluations(run: Path) -> list[Path]:
    """The finished evaluations of a run, its main one first."""
    return [path for path in sorted(run.glob(f"{EVAL_FOLDER}*")) if is_complete(path)]


def write_card(run: Path, described: Described) -> str:
    """The whole README.md, front matter included."""
    provenance, streaming = load_provenance(run), load_streaming(run)
    licence, base = described.licence, described.base
    front = ModelCardData(
        license=licence.licence if licence else None,  # left out where it is not known
        license_name=licence.name if licence else None,
        license_link=licence.link if licence else None,
        library_name="peft" if described.adapter else "transformers",
        pipeline_tag="text-generation",
        base_model=base,
        tags=list(TAGS),
    )
    kind = "A LoRA adapter" if described.adapter else "A language model"
    versions = ", ".join(f"{name} {version}" for name, version in provenance.versions.items())
    return CARD.format(
        front=front.to_yaml(),
        name=described.repo.rpartition("/")[2],
        repo=described.repo,
        kind=f"{kind} on [{base}](https://huggingface.co/{base})" if base else kind,
        method=_method(run),
        loading=_loading(described, streaming, load_origin(run)),
        data=data_table(provenance.data),
        licences=_licences(described),
        protocol=_protocol(streaming),
        evaluation=_evaluation(run),
        command=_command(provenance.command),
        versions=versions,
    )


def _method(run: Path) -> str:
    command = str(identity_of(run).get("command"))
    if command not in _METHODS:
        raise UserError(
            f"{run / RUN_FILE}: identity.command: got {command}; expected {', '.join(_METHODS)}; restore it, or use the "
            f"version that wrote it."
        )
    return _METHODS[command]


def _command(words: Sequence[str]) -> str:
    return shlex.join(words if words[:1] == (PYTHON,) else ("adasr", *words))


def _loading(described: Described, streaming: StreamingConfig, origin: ModelConfig | None) -> str:
    """Further ways to load the model."""
    if described.adapter:
        quantized = bool(origin and origin.is_quantized)
        note = "\nIts base is loaded in 4 bits, as it was trained (bitsandbytes)." * quantized
        return f"\n`peft.PeftModel.from_pretrained(base, ...)` loads the adapter as well.{note}"
    if streaming.layout == "interleaved":
        server = "`StreamingReasoner.from_server`"
        return f"\nAny OpenAI-compatible completion server can serve it ({server})."
    return ""


def data_table(data: Sequence[DataUsed]) -> str:
    """Sources with their licences, in Markdown."""
    rows = tuple(
        (
            *(
                " ".join(text.split())
                for text in (source.name, source.revision, source.licence, source.split)
            ),
            f"{source.episodes:,}",
        )
        for source in data
    )
    return Table(("source", "revision", "licence", "split", "episodes"), rows).markdown()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _licences(described: Described) -> str:
    records = "`eval` holds the questions of the evaluation"
    rows = records if described.records else "No row is in here"
    if described.licence:
        name = _cell(described.licence.name or described.licence.licence)
        apply = (
            f"The licences of the data apply, and the base model's ({name}, as its card states)."
        )
    elif described.base:
        apply = "The licences of the data and of the base model apply; the base's card states none."
    else:
        apply = "The licences of the data apply."
    return f"{apply} {rows}."


def _protocol(streaming: StreamingConfig) -> str:
    parallel, thinking = streaming.layout == "parallel", streaming.thinking
    boundary = f" (boundary: {streaming.boundary})" if parallel else ""
    markers = ", ".join(f"{role} `{text}`" for role, text in vars(streaming.markers).items())
    instruction = json.dumps(streaming.instruction) if streaming.instruction else "none"
    switch = f" The chat template's enable_thinking: {str(thinking).lower()}."
    return (
        f"- Layout: {streaming.layout}{boundary}.\n"
        f"- Markers: {markers}.\n"
        f"- Caps: {streaming.max_thought_tokens} tokens a thought, {streaming.max_deep_tokens} for deep reasoning "
        f"and answer, {streaming.max_prompt_tokens} for question and input.\n"
        f"- Instruction before the question: {instruction}.{'' if thinking is None else switch}\n"
        f"- Clock: {streaming.clock.words_per_minute:g} words a minute, {rates(streaming.clock)}."
    )


def _evaluation(run: Path) -> str:
    parts = []
    for folder in evaluations(run):
        summaries = {
            x: summarise_seeds([load_outcomes(folder, x)]) for x in recorded_settings(folder)
        }
        rows = [((x.mode_words, x.decoding), summary) for x, summary in summaries.items()]
        name = folder.name.removeprefix(EVAL_FOLDER).removeprefix("-")
        parts += [f"Questions `{name}`:"] if name else []
        seconds = (*columns.latencies(summaries.values()), columns.LATENCY_P95)
        parts.append(table(("mode", "decoding"), rows, (*COLUMNS, *seconds)).markdown())
    if not parts:
        return "None: this model was published without an evaluation."
    note = (
        "Unseen questions; accuracy with its 95 % interval (Wilson). Tokens, skips and latency are means over all "
        "questions, wrong and unfinished ones included. Answer latency: from the input's end to the last token of the "
        "answer's value, by the clock."
    )
    return "\n\n".join([*parts, note])
