"""Values that contain others."""

from __future__ import annotations

from array import array
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from prefect_etl.core.fingerprint.encoding import (
    Refused,
    framed,
    little_endian,
    name_of,
    node,
    shown,
    text,
)
from prefect_etl.core.fingerprint.functions import FUNCTIONS, by_name, is_named
from prefect_etl.core.fingerprint.sequences import sequence

if TYPE_CHECKING:
    from prefect_etl.core.fingerprint.walk import Walk

_Encode = Callable[["Walk", Any], bytes]
_LONGEST_KEY = 60


def encoder_of(value: Any) -> _Encode:
    """What encodes a value that is neither of these types nor of a library of frames.

    Raises:
        Refused: Nothing does.
    """
    for fits, encode in _KINDS:
        if fits(value):
            return encode
    raise Refused(f"is {shown(type(value))}, whose content is not known")


def _list(walk: Walk, value: Any) -> bytes:
    return sequence(walk, type(value).__name__, value)


def _set(walk: Walk, value: Any) -> bytes:
    return node(type(value).__name__, *sorted(map(walk.encode, value)))


def _dict(walk: Walk, value: Any) -> bytes:
    pairs = [_pair(walk, key, item) for key, item in value.items()]
    return node(type(value).__name__, *sorted(pairs))


def _pair(walk: Walk, key: Any, item: Any) -> bytes:
    try:
        return framed((walk.encode(key), walk.encode(item)))
    except Refused as refused:
        raise refused.under(f"[{repr(key)[:_LONGEST_KEY]}]") from None


def _ordered(walk: Walk, value: OrderedDict[Any, Any]) -> bytes:
    return node("OrderedDict", *(_pair(walk, key, item) for key, item in value.items()))


def _defaultdict(walk: Walk, value: defaultdict[Any, Any]) -> bytes:
    return node(
        "default", walk.under(".default_factory", value.default_factory), _dict(walk, value)
    )


def _deque(walk: Walk, value: deque[Any]) -> bytes:
    return node("deque", walk.encode(value.maxlen), sequence(walk, "list", list(value)))


def _array(walk: Walk, value: array[Any]) -> bytes:  # noqa: ARG001 - one signature for all
    return node("array", text(value.typecode), little_endian(value))


def _slice(walk: Walk, value: slice) -> bytes:
    return node("slice", *map(walk.encode, (value.start, value.stop, value.step)))


def _namespace(walk: Walk, value: SimpleNamespace) -> bytes:
    return walk.mapping("namespace", vars(value))


def _enum(walk: Walk, value: Enum) -> bytes:
    name = walk.encode(value.name)
    return node("enum", name_of(type(value)), name, walk.under(".value", value.value))


def _dataclass(walk: Walk, value: Any) -> bytes:
    return _record(walk, value, (field.name for field in fields(value)))


def _attrs(walk: Walk, value: Any) -> bytes:
    return _record(walk, value, (field.name for field in type(value).__attrs_attrs__))


def _record(walk: Walk, value: Any, names: Any) -> bytes:
    content = {name: getattr(value, name) for name in names if hasattr(value, name)}
    return node("record", name_of(type(value)), walk.mapping("fields", content))


def _model(walk: Walk, value: Any) -> bytes:
    return node(
        "model",
        name_of(type(value)),
        walk.mapping("fields", value.__dict__),
        walk.mapping("extra", value.__pydantic_extra__ or {}),
        walk.mapping("private", value.__pydantic_private__ or {}),
    )


def _secret(walk: Walk, value: Any) -> bytes:
    return node("secret", name_of(type(value)), walk.encode(value.get_secret_value()))


def _namedtuple(walk: Walk, value: Any) -> bytes:
    return node("namedtuple", name_of(type(value)), walk.mapping("fields", value._asdict()))


def _said(walk: Walk, value: Any) -> bytes:  # noqa: ARG001 - one signature for all
    return node("said", name_of(type(value)), text(str(value)))


def _subclass(walk: Walk, value: Any) -> bytes:
    """A subclass of a plain type: its class, the plain value, and what its instance holds."""
    plain = next(make(value) for base, make in _BASES.items() if isinstance(value, base))
    state = walk.mapping("state", _state(value))
    return node("subclass", name_of(type(value)), walk.encode(plain), state)


def _state(value: Any) -> dict[str, Any]:
    state = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        if kind.__module__ in _STATELESS:
            continue
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                state[name] = getattr(value, name)
    return state


_STATELESS = ("builtins", "datetime", "decimal", "_decimal", "_pydecimal", "_pydatetime")


def _plain_datetime(value: datetime) -> datetime:
    parts = (value.year, value.month, value.day, value.hour, value.minute, value.second)
    return datetime(*parts, value.microsecond, value.tzinfo, fold=value.fold)  # noqa: DTZ001


def _plain_time(value: time) -> time:
    parts = (value.hour, value.minute, value.second, value.microsecond, value.tzinfo)
    return time(*parts, fold=value.fold)


_BASES: dict[type, Callable[[Any], Any]] = {
    OrderedDict: lambda value: OrderedDict(value.items()),
    defaultdict: lambda value: defaultdict(value.default_factory, value.items()),
    int: int.__int__,
    float: float.__float__,
    str: str.__str__,
    bytes: lambda value: b"".join([value]),
    tuple: lambda value: (*tuple.__iter__(value),),
    list: lambda value: [*list.__iter__(value)],
    dict: lambda value: dict(dict.items(value)),
    set: lambda value: {*set.__iter__(value)},
    frozenset: lambda value: frozenset(frozenset.__iter__(value)),
    datetime: _plain_datetime,
    date: lambda value: date(value.year, value.month, value.day),
    time: _plain_time,
    timedelta: lambda value: timedelta(value.days, value.seconds, value.microseconds),
    Decimal: lambda value: Decimal(value.as_tuple()),
}
EXACT: dict[type, _Encode] = {
    **FUNCTIONS,
    list: _list,
    tuple: _list,
    set: _set,
    frozenset: _set,
    dict: _dict,
    MappingProxyType: _dict,
    OrderedDict: _ordered,
    defaultdict: _defaultdict,
    deque: _deque,
    array: _array,
    slice: _slice,
    SimpleNamespace: _namespace,
}
"""What encodes a container or function of exactly this type."""
_KINDS: tuple[tuple[Callable[[Any], bool], _Encode], ...] = (
    (lambda value: isinstance(value, type), by_name),
    (lambda value: isinstance(value, Enum), _enum),
    (is_dataclass, _dataclass),
    (lambda value: hasattr(type(value), "__attrs_attrs__"), _attrs),
    (lambda value: hasattr(type(value), "__pydantic_fields__"), _model),
    (lambda value: hasattr(type(value), "get_secret_value"), _secret),
    (lambda value: isinstance(value, tuple) and hasattr(value, "_asdict"), _namedtuple),
    (lambda value: isinstance(value, PurePath), _said),
    (lambda value: type(value).__module__ == "ipaddress", _said),
    (lambda value: hasattr(type(value), "unicode_string"), _said),  # pydantic's URLs
    (lambda value: isinstance(value, tuple(_BASES)), _subclass),
    (is_named, by_name),
)
