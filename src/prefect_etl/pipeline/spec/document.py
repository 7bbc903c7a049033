"""Reads a YAML file into plain values, and remembers the line of each.

The types are those of YAML 1.2's core schema, which are JSON's: ``NO``, ``yes``, ``12:30`` and
``2013-01-01`` are text (https://yaml.org/spec/1.2.2/#103-core-schema). Anchors, aliases and merge
keys work; tags of objects, duplicate keys and documents that grow by their aliases do not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml

from prefect_etl.errors import ConfigError

Place = tuple[str | int, ...]

_MAX_NODES = 100_000
_MAX_CHARACTERS = 10_000_000
# Deeper than any pipeline, and far from where libyaml's recursion ends the process.
_MAX_DEPTH = 100
_CORE = "tag:yaml.org,2002:"
_MERGE = "<<"
_FLOAT = (
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_RESOLVERS = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        _FLOAT,
        list("-+.0123456789"),
    ),
)


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something wrong in a pipeline file, and where.

    Attributes:
        place: The keys that lead to it.
        text: What is wrong.
        line: Its line, from 1, where the place alone does not say it.
    """

    place: Place
    text: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """Values and where they stand.

    Attributes:
        label: How errors name it: the file's path as it was given.
        value: Mappings, lists, text, numbers, booleans and None.
        lines: The line of each place, from 1; empty where it was made in Python.
        mistakes: What was wrong already in reading it.
    """

    label: str
    value: Any
    lines: Mapping[Place, int] = field(default_factory=dict)
    mistakes: tuple[Mistake, ...] = ()

    def line(self, place: Place) -> int | None:
        """The line of a place, or of the nearest one above it."""
        return next(
            (self.lines[place[:n]] for n in range(len(place), -1, -1) if place[:n] in self.lines),
            None,
        )

    def error(self, mistakes: Sequence[Mistake]) -> ConfigError:
        """One error that names all mistakes, in the order of the file."""
        located = [(m.line or self.line(m.place), m) for m in mistakes]
        located.sort(key=lambda found: found[0] or 0)
        lines = dict.fromkeys(self._describe(line, mistake) for line, mistake in located)
        return ConfigError("\n".join(lines))

    def _describe(self, line: int | None, mistake: Mistake) -> str:
        parts = [f"{self.label}:{line}" if line else self.label]
        if mistake.place:
            parts.append(dotted(mistake.place))
        return ": ".join((*parts, mistake.text))


def dotted(place: Place) -> str:
    """A place as people write it.

    Example:
        >>> dotted(("sources", "landing", "datasets", "flights", "key", 0))
        'sources.landing.datasets.flights.key[0]'
    """
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def parse(text: str, label: str) -> Document:
    r"""Read YAML text.

    Raises:
        ConfigError: It is no YAML, has several documents, or grows beyond all measure.

    Example:
        >>> document = parse("a:\n  b: NO\n", "demo.yaml")
        >>> document.value, document.line(("a", "b"))
        ({'a': {'b': 'NO'}}, 2)
    """
    try:
        _assert_bounded(text, label)
        root = yaml.compose(text, Loader=_loader())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{label}:{mark.line + 1}" if mark else label
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError(
            f"{where}: not valid YAML: {what}",
            hint="Indent with spaces, and quote text that has ': ', ' #' or begins with a "
            "special character.",
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{label}: not valid YAML: {error}") from error
    if root is None:
        return Document(label, None, {(): 1})
    reader = _Reader(label)
    value = reader.value(root, ())
    return Document(label, value, reader.lines, tuple(reader.mistakes))


def _assert_bounded(text: str, label: str) -> None:
    """Refuse what could not be read without harm, before it is made into nodes."""
    if len(text) > _MAX_CHARACTERS:
        raise ConfigError(f"{label}: more than {_MAX_CHARACTERS} characters are no pipeline")
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_loader())):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH or number > 2 * _MAX_NODES:
            what = f"nested deeper than {_MAX_DEPTH}" if depth > _MAX_DEPTH else "too many values"
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise ConfigError(f"{label}:{line}: {what}")


@cache
def _loader() -> type[Any]:
    base: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loader: Any = type("CoreLoader", (base,), {"yaml_implicit_resolvers": {}})
    for kind, pattern, first in _RESOLVERS:
        loader.add_implicit_resolver(_CORE + kind, re.compile(rf"(?:{pattern})\Z"), first)
    chosen: type[Any] = loader
    return chosen


class _Reader:
    """Turns nodes into values; guards against cycles and against growth by aliases."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.lines: dict[Place, int] = {}
        self.mistakes: list[Mistake] = []
        self._open: set[int] = set()
        self._nodes = 0

    def value(self, node: yaml.Node, place: Place) -> Any:
        self._nodes += 1
        line = node.start_mark.line + 1
        if self._nodes > _MAX_NODES:
            raise ConfigError(f"{self.label}:{line}: more than {_MAX_NODES} values")
        if id(node) in self._open:
            raise ConfigError(f"{self.label}:{line}: {dotted(place)}: an alias contains itself")
        self.lines.setdefault(place, line)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode) and node.tag == f"{_CORE}map":
                return self._mapping(node, place)
            if isinstance(node, yaml.SequenceNode) and node.tag == f"{_CORE}seq":
                return [self.value(item, (*place, i)) for i, item in enumerate(node.value)]
            if isinstance(node, yaml.ScalarNode):
                return self._scalar(node, place)
        finally:
            self._open.discard(id(node))
        self._refuse_tag(node, place)
        return None

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.mistakes.append(Mistake(place, "a key must be plain text", line))
                continue
            # The key as it is written: all keys of a pipeline file are names.
            key = key_node.value
            if key == _MERGE and key_node.style not in ("'", '"'):
                merged = self._merge(value_node, place) | merged
                continue
            if key in first:
                text = f"this key is there twice; the first one is in line {first[key]}"
                self.mistakes.append(Mistake((*place, key), text, line))
                continue
            first[key] = self.lines[(*place, key)] = line
            own[key] = self.value(value_node, (*place, key))
        return merged | own

    def _merge(self, node: yaml.Node, place: Place) -> dict[str, Any]:
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for part in nodes:
            found = self.value(part, place)
            if isinstance(found, dict):
                merged = found | merged
            else:
                line = part.start_mark.line + 1
                self.mistakes.append(Mistake(place, "<<: takes a mapping", line))
        return merged

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> Any:
        text: str = node.value
        try:
            match node.tag.removeprefix(_CORE):
                case "str":
                    return text
                case "null":
                    return None
                case "bool":
                    return text.lower() == "true"
                case "int":
                    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
                case "float":
                    return float(re.sub(r"\.(?=inf|nan)", "", text.lower()))
        except ValueError:
            kind = node.tag.removeprefix(_CORE)
            self.mistakes.append(Mistake(place, f"{text!r} is not of the type {kind}"))
            return None
        self._refuse_tag(node, place)
        return None

    def _refuse_tag(self, node: yaml.Node, place: Place) -> None:
        tag = node.tag.replace(_CORE, "!!")
        line = node.start_mark.line + 1
        self.mistakes.append(Mistake(place, f"the tag {tag} is not allowed here", line))
