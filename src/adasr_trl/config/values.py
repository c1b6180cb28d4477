"""YAML with the place of every value, and values checked against types.

    >>> entry = read_yaml(Path("run.yaml"))
    >>> entry.value["data"].where
    'run.yaml:3'
    >>> convert(entry.value["data"], DataConfig, "data")
    DataConfig(train='data/tiny/train.jsonl', ...)

Only plain data is read, never objects. Words are read as in YAML 1.2: 1e-4 is a number, 010 is 10, and no and 1:30 are text.
"""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import logging
import math
import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from adasr_trl.core.errors import UserError

if TYPE_CHECKING:
    import yaml

logger = logging.getLogger(__name__)

# An installed wheel holds configs/ in the package, a checkout beside src/.
_PACKAGE = Path(__file__).parents[1]
_SHIPPED = next(
    (x for x in (_PACKAGE, _PACKAGE.parents[1]) if (x / "configs/tiny").is_dir()), _PACKAGE
)
# PyYAML's own are those of YAML 1.1: 010 is 8 there, 1:30 is 90, and 1e-4 is text.
_INT = re.compile(r"[-+]?\d[\d_]*\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_FLOAT = re.compile(r"[-+]?(\d[\d_]*(\.\d*)?|\.\d+)[eE][-+]?\d+\Z")
_OTHER_BASE = re.compile(r"[-+]?(0b|[\d_]+:)")  # numbers of YAML 1.1 alone
_BOOL = "tag:yaml.org,2002:bool"
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_MERGE = "tag:yaml.org,2002:merge"


class ConfigError(UserError):
    """A configuration that cannot be used; the message names file and line, or the flag."""


@dataclass
class Entry:
    """One value and where it was set."""

    value: object  # A scalar, a list of entries, or a dictionary of them
    where: str  # such as ``run.yaml:12`` or ``command line --seed``
    text: str | None = None  # as written on the command line; a text field takes it as it is
    fault: ConfigError | None = None  # the reason that ``text`` is nothing but text
    is_bare: bool = False  # a flag without a value, which turns a switch on and is nothing else


def plain(entry: Entry) -> object:
    """The value without its places."""
    if isinstance(entry.value, dict):
        return {key: plain(child) for key, child in entry.value.items()}
    if isinstance(entry.value, list):
        return [plain(child) for child in entry.value]
    return entry.value


def unknown_key(entry: Entry, name: str, known: Iterable[str]) -> ConfigError:
    """Error of the key ``name``, with the most similar known one."""
    prefix, _, last = name.rpartition(".")
    close = difflib.get_close_matches(last, list(known), n=1, cutoff=0.6)
    hint = f"; did you mean {prefix + '.' if prefix else ''}{close[0]}?" if close else "."
    return ConfigError(f"{entry.where}: unknown key {name}{hint}")


def entry_of(value: object, where: str) -> Entry:
    """Plain data (of JSON, or a section's settings) as entries of one place."""
    if isinstance(value, dict):
        return Entry({key: entry_of(child, where) for key, child in value.items()}, where)
    if isinstance(value, list):
        return Entry([entry_of(child, where) for child in value], where)
    return Entry(value, where)


# ---- reading


def read_yaml(path: Path) -> Entry:
    """Read a file that holds one mapping: here, or of those that the package brings."""
    source = path
    if path.parts[:1] == ("configs",) and not path.exists() and (_SHIPPED / path).is_file():
        source = _SHIPPED / path
        logger.info("%s: none here; the package's own is taken", path)
    try:
        text = source.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file{_brought(path)}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text: {error}.") from error
    entry = _parse(text, str(path))
    if entry is None or entry.value is None:
        raise ConfigError(f"{path}: the file is empty; expected keys and values.")
    if not isinstance(entry.value, dict):
        raise ConfigError(f"{entry.where}: expected keys and values, got {_describe(entry)}.")
    return entry


def _brought(path: Path) -> str:
    """The files of the package in the folder that was asked for, else its folders; only below ``configs``."""
    if path.parts[:1] != ("configs",):
        return ""
    folder = _SHIPPED / path.parent
    found = sorted(folder.glob("*.yaml")) or sorted((_SHIPPED / "configs").glob("*/"))
    return (
        f"; the package has {', '.join(str(x.relative_to(_SHIPPED)) for x in found)}"
        if found
        else ""
    )


def parse_argument(text: str, where: str) -> Entry:
    """A value of the command line: a YAML scalar, ``[...]``, ``{...}`` or quoted; anything else, and a text field's, is text."""
    is_marked = text.lstrip()[:1] in ("[", "{", '"', "'")
    try:
        entry = _parse(text, where, numbered=False) or Entry(None, where)
    except ConfigError as error:
        entry = Entry(text, where, fault=error if is_marked else None)
    if not is_marked and isinstance(entry.value, str | dict | list):
        entry.value = text  # "a: b" and "- a" are text, "a #b" has no comment
    entry.text = text
    return entry


def _parse(text: str, where: str, *, numbered: bool = True) -> Entry | None:
    import yaml

    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_circles(node, where, numbered)
        return _entry(loader, node, where, numbered)
    except RecursionError:
        raise ConfigError(f"{where}: not valid YAML: nested too deeply.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)  # ReaderError has none
        problem = getattr(error, "problem", None) or str(error)
        place = f"{where}:{mark.line + 1}" if mark and numbered else where
        raise ConfigError(f"{place}: not valid YAML: {problem}.") from error
    finally:
        loader.dispose()


def _entry(loader: yaml.SafeLoader, node: yaml.Node, file: str, numbered: bool) -> Entry:
    import yaml

    where = f"{file}:{node.start_mark.line + 1}" if numbered else file
    if isinstance(node, yaml.MappingNode):
        _refuse_duplicates(node, file)
        loader.flatten_mapping(node)
        children: dict[str, Entry] = {}
        for key, child in node.value:
            children[key.value] = _entry(loader, child, file, numbered)
            if numbered:
                children[key.value].where = f"{file}:{key.start_mark.line + 1}"
        return Entry(children, where)
    if isinstance(node, yaml.SequenceNode):
        return Entry([_entry(loader, child, file, numbered) for child in node.value], where)
    try:
        return Entry(_scalar(loader, node), where)
    except ValueError as error:  # such as the date 2026-13-45
        raise ConfigError(f"{where}: {node.value!r}: {error}; put text in quotes.") from error


def _scalar(loader: yaml.SafeLoader, node: yaml.Node) -> object:
    """The value of one word or text; one without quotes and tag is read as in YAML 1.2."""
    import yaml

    text = node.value
    own_tag = loader.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]  # PyYAML's
    if not isinstance(node, yaml.ScalarNode) or node.style is not None or node.tag != own_tag:
        return loader.construct_object(node)
    if _INT.match(text):
        return int(text.replace("_", ""))
    if _OCTAL.match(text):
        return int(text, 8)
    if _FLOAT.match(text):
        return float(text)
    is_word = node.tag == _BOOL and text.lower() not in ("true", "false")
    if is_word or (node.tag in _NUMBERS and _OTHER_BASE.match(text)):
        return text
    return loader.construct_object(node)


def _refuse_circles(
    node: yaml.Node, file: str, numbered: bool, above: tuple[yaml.Node, ...] = ()
) -> None:
    """Refuse an anchor that holds an alias of itself, which has no end."""
    import yaml

    children = node.value if isinstance(node, yaml.CollectionNode) else ()
    above = (*above, node)
    for child in itertools.chain(*children) if isinstance(node, yaml.MappingNode) else children:
        if any(child is one for one in above):
            place = f"{file}:{child.start_mark.line + 1}" if numbered else file
            raise ConfigError(
                f"{place}: the anchor (&) here holds an alias (*) of itself; remove it."
            )
        _refuse_circles(child, file, numbered, above)


def _refuse_duplicates(node: yaml.MappingNode, file: str) -> None:
    import yaml

    seen: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(f"{file}:{line}: a key must be a name.")
        if key.value in seen and key.tag != _MERGE:
            raise ConfigError(
                f"{file}:{line}: {key.value} was already set in line {seen[key.value]}."
            )
        seen[key.value] = line


# ---- converting


def convert(entry: Entry, expected: Any, name: str) -> object:
    """The value of ``entry`` as the type ``expected``, or a ConfigError that calls it ``name``."""
    origin = get_origin(expected)
    if entry.fault and expected not in (str, str | None):
        raise entry.fault
    if expected is Any:
        return plain(entry)
    if dataclasses.is_dataclass(expected):
        return _build(entry, expected, name)
    if origin in (Union, types.UnionType):
        return _convert_union(entry, get_args(expected), name)
    if list in (expected, origin) or tuple in (expected, origin):
        return _convert_list(entry, expected, name)
    if dict in (expected, origin):
        return _convert_dict(entry, expected, name)
    return _convert_scalar(entry, expected, name)


def convert_absent(path: str, expected: Any, name: str) -> object:
    """Value of a section that ``path`` does not hold: None, empty, or its defaults."""
    if types.NoneType in get_args(expected):
        return None
    if get_origin(expected) is tuple:
        return ()
    return convert(Entry({}, path), expected, name)


def field_values(entry: Entry, expected: Any, prefix: str = "") -> dict[str, object]:
    """Arguments of the dataclass ``expected`` from a mapping's entries; ``prefix`` is put before their names."""
    children: Mapping[str, Entry] = entry.value  # type: ignore[assignment]  # as the caller checked
    hints = get_type_hints(expected)
    fields = {field.name: field for field in dataclasses.fields(expected) if field.init}
    for key, child in children.items():
        if key not in fields:
            raise unknown_key(child, prefix + key, fields)
    for key, field in fields.items():
        defaults = (field.default, field.default_factory)
        if key not in children and defaults == (dataclasses.MISSING, dataclasses.MISSING):
            raise ConfigError(f"{entry.where}: {prefix}{key} is missing.")
    return {key: convert(child, hints[key], prefix + key) for key, child in children.items()}


def _build(entry: Entry, expected: Any, name: str) -> object:
    if not isinstance(entry.value, dict):
        raise _wrong_type(entry, expected, name)
    values = field_values(entry, expected, f"{name}.")
    try:
        return expected(**values)
    except ValueError as error:
        raise ConfigError(f"{_blamed(entry, str(error))}: {error}") from error


def _blamed(entry: Entry, message: str) -> str:
    """Place of the key that opens a message such as ``streaming.read_block: got 0``, else the section's."""
    start = re.match(r"[\w.]*\b(\w+):", message)
    children: Mapping[str, Entry] = entry.value if isinstance(entry.value, dict) else {}
    return children[start[1]].where if start and start[1] in children else entry.where


def _convert_union(entry: Entry, options: tuple[Any, ...], name: str) -> object:
    if entry.value is None and types.NoneType in options:
        return None
    options = tuple(option for option in options if option is not types.NoneType)
    # TRL writes Enum | str for the text of an enum's member.
    options = tuple(option for option in options if is_enum(option)) or options
    if len(options) == 1:
        return convert(entry, options[0], name)
    if isinstance(entry.value, list | dict):
        entry = Entry(entry.value, entry.where)  # not the text
    elif type(entry.value) in options:
        return entry.value
    for option in options:
        try:
            return convert(entry, option, name)
        except ConfigError:
            continue
    raise _wrong_type(entry, Union[options], name)  # noqa: UP007 - options are known only here


def _convert_list(entry: Entry, expected: Any, name: str) -> object:
    if not isinstance(entry.value, list):
        raise _wrong_type(entry, expected, name)
    item = (get_args(expected) or (Any,))[0]
    values = [convert(child, item, f"{name}.{i}") for i, child in enumerate(entry.value)]
    return tuple(values) if tuple in (expected, get_origin(expected)) else values


def _convert_dict(entry: Entry, expected: Any, name: str) -> object:
    if not isinstance(entry.value, dict):
        raise _wrong_type(entry, expected, name)
    item = (get_args(expected) or (str, Any))[1]
    return {key: convert(child, item, f"{name}.{key}") for key, child in entry.value.items()}


def _convert_scalar(entry: Entry, expected: Any, name: str) -> object:
    value = entry.value
    if get_origin(expected) is Literal:
        for choice in get_args(expected):
            if choice == value and type(choice) is type(value):
                return choice
    elif is_enum(expected):
        if value in [member.value for member in expected]:
            return value
    elif expected is float and type(value) in (int, float):
        return float(value)  # type: ignore[arg-type]  # the line above tested it
    elif expected is float and value == "inf":  # as a saved section has it: JSON has no such number
        return math.inf
    elif expected is str and entry.text is not None:
        return entry.text
    elif type(value) is expected:
        return value
    raise _wrong_type(entry, expected, name)


def is_enum(expected: Any) -> bool:
    """Whether a type is an enum."""
    return isinstance(expected, type) and issubclass(expected, Enum)


def _wrong_type(entry: Entry, expected: Any, name: str) -> ConfigError:
    message = f"{entry.where}: {name}: got {_describe(entry)}; expected {_spell(expected)}."
    if expected is str and not entry.is_bare and not isinstance(entry.value, list | dict):
        message += " Put text in quotes."
    return ConfigError(message)


def _describe(entry: Entry) -> str:
    if isinstance(entry.value, dict):
        return "keys and values"
    if isinstance(entry.value, list):
        return "a list"
    if entry.is_bare:
        return "no value"
    return "nothing" if entry.value is None else repr(entry.value)


def _spell(expected: Any) -> str:
    """A type in a user's words."""
    origin = get_origin(expected)
    if origin in (Union, types.UnionType):
        return " or ".join(_spell(option) for option in get_args(expected))
    if origin is Literal:
        return " or ".join(str(choice) for choice in get_args(expected))
    if is_enum(expected):
        return " or ".join(str(member.value) for member in expected)
    if dataclasses.is_dataclass(expected) or dict in (expected, origin):
        return "keys and values"
    if list in (expected, origin) or tuple in (expected, origin):
        return "a list"
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return words.get(expected, str(expected))
