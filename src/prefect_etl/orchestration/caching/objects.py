"""Values of classes with fields: dataclasses, named tuples, enumerations, pydantic models."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from operator import attrgetter
from typing import Any

from prefect_etl.orchestration.caching.exact import (
    Decoder,
    Encoder,
    NoExactFormError,
    Tree,
    part,
)

_MODEL_STATE = (
    "__dict__",
    "__pydantic_fields_set__",
    "__pydantic_extra__",
    "__pydantic_private__",
)


def encoder_for(kind: type) -> Callable[[Encoder, Any], Tree] | None:
    """What writes values of this class; None if nothing does."""
    if issubclass(kind, Enum):
        return _enum
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return _named_tuple
    if is_dataclass(kind):
        return _dataclass
    if _is_model(kind):
        return _model
    return None


def _is_model(kind: type) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and issubclass(kind, pydantic.BaseModel)


def _enum(_: Encoder, value: Enum) -> Tree:
    if value.name is None or type(value).__members__.get(value.name) is not value:
        raise NoExactFormError(f"{value!r}, which has no name")
    return {"t": "enum", "class": _name(type(value)), "v": value.name}


def _named_tuple(encoder: Encoder, value: Any) -> Tree:
    return {"t": "namedtuple", "class": _name(type(value)), "v": _members(encoder, value._asdict())}


def _dataclass(encoder: Encoder, value: Any) -> Tree:
    kind = type(value)
    members = {field.name: getattr(value, field.name) for field in fields(value)}
    left = set(getattr(value, "__dict__", {})) - set(members)
    if left:
        raise NoExactFormError(f"a {kind.__qualname__} with attributes that are no fields: {left}")
    if isinstance(value, dict | list | set | BaseException):
        raise NoExactFormError(f"a {kind.__qualname__}, a dataclass that is a container as well")
    return {"t": "dataclass", "class": _name(kind), "v": _members(encoder, members)}


def _model(encoder: Encoder, value: Any) -> Tree:
    state = value.__getstate__()
    if set(state) != set(_MODEL_STATE):
        raise NoExactFormError(f"a {type(value).__qualname__}, a model with a state of its own")
    # What else is there was computed from the fields (`cached_property`), and can be again.
    known = type(value).model_fields
    state["__dict__"] = {name: v for name, v in state["__dict__"].items() if name in known}
    return {"t": "model", "class": _name(type(value)), "v": _members(encoder, state)}


def _members(encoder: Encoder, members: Mapping[str, Any]) -> dict[str, Tree]:
    trees = {}
    for name, value in members.items():
        with part(f".{name}"):
            trees[name] = encoder.encode(value)
    return trees


def _name(kind: type) -> str:
    name = f"{kind.__module__}:{kind.__qualname__}"
    try:
        found = _class(name)
    except LookupError:
        found = None
    if found is not kind:
        raise NoExactFormError(
            f"a {kind.__qualname__}, whose class other processes cannot find by its name"
        )
    return name


def _class(name: str) -> type:
    # Looked up, never imported: a file cannot make a process import a module.
    module, _, qualname = name.partition(":")
    if module not in sys.modules:
        raise LookupError(f"the module {module} is not imported here")
    try:
        found = attrgetter(qualname)(sys.modules[module])
    except AttributeError as error:
        raise LookupError(f"there is no {qualname} in {module}") from error
    if not isinstance(found, type):
        raise LookupError(f"{name} is no class")  # noqa: TRY004 - it is what was looked up
    return found


def _of_kind(name: str, is_kind: Callable[[type], bool]) -> Any:
    found = _class(name)
    if not is_kind(found):
        raise LookupError(f"{name} is another kind of class now")
    return found


def _values(decoder: Decoder, tree: Mapping[str, Any]) -> dict[str, Any]:
    return {name: decoder.decode(member) for name, member in tree["v"].items()}


def _read_enum(_: Decoder, tree: Mapping[str, Any]) -> Enum:
    found: Enum = _of_kind(tree["class"], lambda kind: issubclass(kind, Enum))[tree["v"]]
    return found


def _read_named_tuple(decoder: Decoder, tree: Mapping[str, Any]) -> Any:
    kind = _of_kind(tree["class"], lambda kind: issubclass(kind, tuple))
    values = _values(decoder, tree)
    if tuple(values) != getattr(kind, "_fields", ()):
        raise LookupError(f"{tree['class']} has other fields now")
    return tuple.__new__(kind, values.values())


def _read_dataclass(decoder: Decoder, tree: Mapping[str, Any]) -> Any:
    kind = _of_kind(tree["class"], is_dataclass)
    values = _values(decoder, tree)
    if set(values) != {field.name for field in fields(kind)}:
        raise LookupError(f"{tree['class']} has other fields now")
    made = object.__new__(kind)
    for name, value in values.items():
        object.__setattr__(made, name, value)
    return made


def _read_model(decoder: Decoder, tree: Mapping[str, Any]) -> Any:
    kind = _of_kind(tree["class"], _is_model)
    values = _values(decoder, tree)
    if set(values) != set(_MODEL_STATE) or set(values["__dict__"]) != set(kind.model_fields):
        raise LookupError(f"{tree['class']} has other fields now")
    made = kind.__new__(kind)
    for name in _MODEL_STATE:
        object.__setattr__(made, name, values[name])
    return made


DECODERS: dict[str, Callable[[Decoder, Mapping[str, Any]], Any]] = {
    "enum": _read_enum,
    "namedtuple": _read_named_tuple,
    "dataclass": _read_dataclass,
    "model": _read_model,
}
