"""Configuration of a run: a YAML file, the command line over it, every value checked and located.

    >>> loaded = load_config("configs/tiny/hrpo.yaml", ["--learning_rate", "1e-5"], {"streaming": StreamingConfig})
    >>> loaded.section("streaming").max_thought_tokens
    48
    >>> loaded.flat, loaded.line_of("learning_rate")
    ({'learning_rate': 1e-05}, 'command line --learning_rate')
    >>> parse_trl(loaded, trl.GRPOConfig)

A key at the top is a section (``sections``, ``eval_section``), or a field of TRL's configuration class. Nothing here
loads torch but ``parse_trl``.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from adasr_trl.config.keys import TEXT
from adasr_trl.config.values import (
    ConfigError,
    Entry,
    convert,
    convert_absent,
    field_values,
    parse_argument,
    plain,
    read_yaml,
    unknown_key,
)
from adasr_trl.core.demo import recorded_name

T = TypeVar("T")
COMMAND_LINE = "command line"  # opens the place of a flag
# While arguments are made of a file's keys, which were checked with the place of each.
ARE_CHECKED: ContextVar[bool] = ContextVar("ARE_CHECKED", default=False)
# Ends of the names of keys that are paths.
_PATHS = ("output_dir", "path", "train", "test", "deepspeed", "sft", "hrpo", "grpo", "eval")
# Words of TRL's errors without the name of a key, and the keys that they are about.
_MEANT = {
    "number of generations used for evaluation": (
        *("num_generations_eval", "per_device_eval_batch_size", "num_generations"),
    ),
}


@dataclass(frozen=True)
class LoadedConfig:
    """A configuration: sections as dataclasses, other keys as they are for TRL."""

    path: str  # the file as it was named
    root: Entry  # every key with its place, the command line's in place of the file's
    sections: Mapping[str, Any]  # section name to its dataclass, a tuple of them, or None

    def section(self, name: str) -> Any:
        """The section ``name``; None where it may be absent and is."""
        return self.sections[name]

    @property
    def flat(self) -> dict[str, object]:
        """The keys at the top that are no section, as plain values."""
        return {key: plain(entry) for key, entry in self._flat_entries().items()}

    def line_of(self, key: str) -> str:
        """Place of ``key`` (dotted where nested), such as ``configs/x.yaml:12``; the file where it is not set."""
        entry = self.root
        for part in key.split("."):
            child = _child(entry, part)
            if child is None:
                return self.path if entry is self.root else entry.where
            entry = child
        return entry.where

    def error(self, key: str, message: str) -> ConfigError:
        """Error of a setting, with its place; ``key`` "" is the whole file."""
        return ConfigError(f"{self.line_of(key)}: {f'{key}: ' if key else ''}{message}")

    def without(self, keys: Iterable[str]) -> LoadedConfig:
        """The configuration without some keys at the top."""
        mapping, left_out = cast(dict[str, Entry], self.root.value), set(keys)
        kept = {key: entry for key, entry in mapping.items() if key not in left_out}
        return dataclasses.replace(self, root=Entry(kept, self.root.where))

    def refuse_unknown(self, allowed: Iterable[str]) -> None:
        """Refuse a key at the top that is neither a section nor ``allowed``."""
        known = {*allowed, *self.sections}
        for key, entry in self._flat_entries().items():
            if key not in known:
                raise unknown_key(entry, key, known)

    def resolved(self) -> dict[str, object]:
        """All settings, defaults of the sections included, as plain data that dumps to YAML and loads again."""
        sections = {name: _as_plain(value) for name, value in self.sections.items()}
        return {**sections, **self.flat}

    def _flat_entries(self) -> dict[str, Entry]:
        mapping = cast(dict[str, Entry], self.root.value)
        return {key: entry for key, entry in mapping.items() if key not in self.sections}


def load_config(
    path: str | Path, overrides: Sequence[str], sections: Mapping[str, Any]
) -> LoadedConfig:
    """Read a file, lay the command line over it, and build the sections; ``deepspeed`` may name a file of its own.

    Args:
        path: A YAML file.
        overrides: ``--key value``, ``--key=value`` or ``--section.key value``; values are YAML, but a text's is taken as it is.
        sections: Section name to type: a dataclass, ``dataclass | None``, or ``tuple[dataclass, ...]``. An absent
            section is None, empty, or its defaults; one with a required key must be there.
    """
    root = read_yaml(Path(path))
    for flag, text in split_overrides(overrides):
        _override(root, flag, text)
    _expand_home(root)
    _refuse_variables(root, "")
    mapping = cast(dict[str, Entry], root.value)
    for entry in (mapping[key] for key in sorted(TEXT & mapping.keys())):
        if entry.is_bare:
            raise ConfigError(f"{entry.where}: got no value; expected text.")
        entry.value = entry.value if entry.value is None else entry.text or entry.value
    if isinstance(named := mapping.get("deepspeed"), Entry) and isinstance(named.value, str):
        mapping["deepspeed"] = _read_named(named)
    built = {
        name: convert(mapping[name], expected, name)
        if name in mapping
        else convert_absent(str(path), expected, name)
        for name, expected in sections.items()
    }
    return LoadedConfig(path=str(path), root=root, sections=built)


def parse_trl(loaded: LoadedConfig, config_class: type[T]) -> T:
    """TRL's configuration class from the flat keys, which ``check_keys`` took, each converted to its field's type.

    Raises:
        ConfigError: A wrong value, with its line; TRL's own parser takes it, or exits without naming the line.
    """
    from trl import TrlParser

    fields = dataclasses.fields(cast(Any, config_class))
    loaded.refuse_unknown(field.name for field in fields if field.init)
    values = field_values(Entry(loaded._flat_entries(), loaded.path), config_class)
    parser = TrlParser((config_class,), exit_on_error=False)
    parser.set_defaults_with_config(**values)
    checked = ARE_CHECKED.set(True)
    try:
        with warnings.catch_warnings():  # of names that transformers will drop; both are obeyed
            warnings.simplefilter("ignore", FutureWarning)
            (config,) = parser.parse_args_into_dataclasses(args=[], look_for_args_file=False)
    except (ValueError, TypeError, OSError, argparse.ArgumentError) as error:
        words = " ".join(str(error).split())
        raise ConfigError(f"{_named_in(words, loaded)}: {words}") from error
    finally:
        ARE_CHECKED.reset(checked)
    return cast(T, config)


def _read_named(entry: Entry) -> Entry:
    """The content of the file that an entry names, so that a run's record holds it."""
    path = Path(str(entry.value))
    if not path.is_file():
        raise ConfigError(
            f"{entry.where}: deepspeed: no file {entry.value!r}; name one such as configs/deepspeed/zero2.yaml."
        )
    return Entry(read_yaml(path).value, entry.where)


def _named_in(message: str, loaded: LoadedConfig) -> str:
    """The place of the first key in an error message, or of the key whose class or value it names."""
    for phrase, keys in _MEANT.items():
        for key in keys if phrase in message else ():
            if key in loaded.flat:
                return f"{loaded.line_of(key)}: {key}"
    words = re.findall(r"\w+", message)
    for word in words:
        if word in loaded.flat:
            return loaded.line_of(word)
    names = {word.lower().replace("_", "") for word in words}  # AcceleratorConfig
    for key, value in loaded.flat.items():
        if key.replace("_", "") in names or (isinstance(value, str) and f"'{value}'" in message):
            return f"{loaded.line_of(key)}: {key}"
    return loaded.path


def _as_plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _as_plain(vars(value)[field.name]) for field in dataclasses.fields(value)
        }
    if isinstance(value, list | tuple):
        return [_as_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _as_plain(item) for key, item in value.items()}
    return recorded_name(value) if isinstance(value, str) else value


class Bare(str):
    """What a flag without a value says: a switch is on. It is no text."""

    __slots__ = ()


def split_overrides(arguments: Sequence[str]) -> list[tuple[str, str]]:
    """The command line as (flag without dashes, text)."""
    pairs: list[tuple[str, str]] = []
    rest = list(arguments)
    while rest:
        flag = rest.pop(0)
        if not re.match(r"--\w", flag):
            raise ConfigError(
                f"command line: got {flag!r}; expected --key value (a list as '[1, 2]')."
            )
        name, separator, text = flag.partition("=")
        if not separator:
            is_bare = not rest or re.match(r"--\w", rest[0])
            text = Bare("true") if is_bare else rest.pop(0)  # as --bf16 of other tools
        pairs.append((name[2:].replace("-", "_"), text))
    return pairs


def _expand_home(entry: Entry) -> None:
    """Paths under ``~``: transformers expands its own, so that parts of a run would lie in two places."""
    if isinstance(entry.value, dict):
        for child in entry.value.values():
            _expand_home(child)
    elif isinstance(entry.value, list):
        for child in entry.value:
            _expand_home(child)
    elif isinstance(entry.value, str):
        entry.value, entry.text = _at_home(entry.value), entry.text and _at_home(entry.text)


def _refuse_variables(entry: Entry, key: str) -> None:
    """Refuse ``${HOME}`` in a path, which other tools replace; here it would name a directory."""
    if isinstance(entry.value, dict | list):
        pairs = entry.value.items() if isinstance(entry.value, dict) else enumerate(entry.value)
        for name, child in pairs:
            _refuse_variables(child, f"{key}.{name}" if key else str(name))
        return
    is_path = key.rpartition(".")[2] in _PATHS
    if is_path and isinstance(entry.value, str) and re.search(r"\$\{|^\$\w", entry.value):
        raise ConfigError(
            f"{entry.where}: {key}: got {entry.value!r}, but variables are not replaced here; write the path out, or let "
            f"it begin with ~/."
        )


def _at_home(text: str) -> str:
    return str(Path(text).expanduser()) if text.startswith("~/") else text


def _override(root: Entry, flag: str, text: str) -> None:
    """Set the value at the dotted path ``flag``, with the mappings above it."""
    where = f"{COMMAND_LINE} --{flag}"
    *parents, last = flag.split(".")
    entry = root
    for part in parents:
        child = _child(entry, part)
        if child is None or child.value is None:
            child = Entry({}, where)
            _set_child(entry, part, child)
        entry = child
    is_bare = isinstance(text, Bare)
    child = Entry(True, where, is_bare=True) if is_bare else parse_argument(text, where)
    _set_child(entry, last, child)


def _child(entry: Entry, part: str) -> Entry | None:
    if isinstance(entry.value, list):
        return entry.value[int(part)] if part.isdigit() and int(part) < len(entry.value) else None
    return entry.value.get(part) if isinstance(entry.value, dict) else None


def _set_child(entry: Entry, part: str, child: Entry) -> None:
    if isinstance(entry.value, dict):
        entry.value[part] = child
    elif isinstance(entry.value, list):
        if _child(entry, part) is None:
            raise ConfigError(
                f"{child.where}: got position {part!r}; the list at {entry.where} has "
                f"{len(entry.value)} entries, the first is 0."
            )
        entry.value[int(part)] = child
    else:
        raise ConfigError(
            f"{child.where}: {entry.where} is a single value ({entry.value!r}), which has no {part!r}."
        )
