"""``adasr keys``: every key that a command obeys, with type, default and one sentence.

    adasr keys hrpo | grep clip

Sections are read from their classes, TRL's and transformers' arguments from theirs; ``config.keys`` says which count.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints

from adasr_trl.config.keys import OBEYED
from adasr_trl.config.values import is_enum

COMMANDS = ("sft", "grpo", "hrpo", "eval")


@dataclass(frozen=True)
class Key:
    """A key that can be set.

    Attributes:
        name: Dotted name.
        type: Type in words.
        default: Default as YAML.
        summary: Its meaning in one sentence.
        is_own: Whether it is a key of this project, not one of TRL's or transformers'.
    """

    name: str
    type: str
    default: str
    summary: str
    is_own: bool = True


def add_keys(parser: argparse.ArgumentParser) -> None:
    """The command, and the form of the list."""
    parser.add_argument(
        "of",
        nargs="?",
        choices=COMMANDS,
        metavar="COMMAND",
        help="sft, grpo, hrpo or eval; else all",
    )
    parser.set_defaults(execute=_execute)


def _execute(options: argparse.Namespace) -> int:
    commands = [options.of] if options.of else list(COMMANDS)
    for command in commands:
        print(f"adasr {command}")
        for key in keys_of(command):
            print(f"  {key.name:40} {key.type:24} {key.default:16} {key.summary}")
    return 0


def keys_of(command: str) -> Iterator[Key]:
    """The keys of a command, sections first."""
    from adasr_trl.cli.evaluate import SECTIONS as EVAL_SECTIONS
    from adasr_trl.cli.prepare import RL_SECTIONS, SFT_SECTIONS

    sections: Mapping[str, Any] = {"sft": SFT_SECTIONS, "eval": EVAL_SECTIONS}.get(
        command, RL_SECTIONS
    )
    for name, expected in sections.items():
        yield from _section(name, expected)
    if command != "eval":
        yield from _arguments(command)


def _section(name: str, expected: Any) -> Iterator[Key]:
    """The keys of a section's class, of an optional one, or of each entry of a list."""
    if get_origin(expected) is tuple:
        yield from _section(f"{name}.N", get_args(expected)[0])
        return
    kinds = [kind for kind in (expected, *get_args(expected)) if dataclasses.is_dataclass(kind)]
    if not kinds:
        return
    kind = kinds[0]
    hints, summaries = get_type_hints(kind), _summaries(kind)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        nested = [part for part in (hint, *get_args(hint)) if dataclasses.is_dataclass(part)]
        if nested and get_origin(hint) is not dict:
            yield from _section(f"{name}.{field.name}", hint)
            continue
        yield Key(
            f"{name}.{field.name}",
            spelled_type(hint),
            _default(field),
            summaries.get(field.name, ""),
        )


def _summaries(kind: Any) -> dict[str, str]:
    """The first sentence on each field of a class: of its docstring, or the comment behind or above the field."""
    _, _, listed = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    entries = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", listed, re.MULTILINE)
    field = r"((?:^    # .*\n)*)^    (\w+): .*?(?:  # (.*))?$"
    for above, name, behind in re.findall(field, inspect.getsource(kind), re.MULTILINE):
        entries.append((name, behind[:1].upper() + behind[1:] or above.replace("# ", "")))
    return {name: _sentence(words) for name, words in entries if words}


def _arguments(command: str) -> Iterator[Key]:
    """TRL's and transformers' arguments that have an effect."""
    if command == "sft":
        from adasr_trl.training.sft import StreamingSFTConfig as Arguments
    else:
        from adasr_trl.hrpo import HRPOConfig as Arguments
    documented = _documented(Arguments)
    hints = get_type_hints(Arguments)
    for field in sorted(dataclasses.fields(Arguments), key=lambda field: field.name):
        if field.name in OBEYED[command]:
            summary = field.metadata.get("help") or documented.get(field.name, "")
            is_own = field.name in vars(Arguments).get("__annotations__", {})
            kind = spelled_type(hints[field.name])
            yield Key(field.name, kind, _default(field), _sentence(summary), is_own)


def _documented(kind: type) -> dict[str, str]:
    """The words on each argument in the docstrings of a class and its parents, as transformers writes them."""
    words: dict[str, str] = {}
    for parent in reversed(kind.__mro__):
        name = ""
        for line in (parent.__doc__ or "").splitlines():
            if head := re.match(r" +(\w+) \(`", line):
                name = head[1]
                words[name] = ""
            elif name and line.strip():
                words[name] += f" {line.strip()}"
            else:
                name = ""
    return words


def _sentence(text: str) -> str:
    """The first sentence of some words."""
    text = " ".join(text.replace("`", "").split())
    return re.split(r"(?<=[.;])\s", text, maxsplit=1)[0].rstrip(";.")[:160]


def spelled_type(hint: Any) -> str:
    """A type as a user would say it: number, text, one of ..., or nothing."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(spelled_type(part) for part in parts))
    if origin is typing.Literal:
        return " or ".join(map(str, parts))
    if is_enum(hint) or (origin is list and all(map(is_enum, parts))):
        return "text"  # transformers parses a list of an enum's members from one text
    if origin in (list, tuple):
        return "list"
    names = {
        int: "whole number",
        float: "number",
        str: "text",
        bool: "true or false",
        dict: "mapping",
        type(None): "null",
    }
    return names.get(origin or hint, "mapping")


def _default(field: dataclasses.Field[Any]) -> str:
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    if default is dataclasses.MISSING:
        return "required"
    if isinstance(default, Enum):
        default = default.value
    if isinstance(default, bool) or default is None:
        return {True: "true", False: "false", None: "null"}[default]
    return f"{default:g}" if isinstance(default, float) else (str(default) or '""')
