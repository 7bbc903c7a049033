"""Values that contain others, and functions and classes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import partial
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import TYPE_CHECKING, Any

from prefect_etl.core.fingerprint.encoding import Refused, framed, leaf, name_of, node, text
from prefect_etl.core.fingerprint.sequences import sequence

if TYPE_CHECKING:
    from prefect_etl.core.fingerprint.walk import Walk

_Encode = Callable[["Walk", Any], bytes]


def encoder_of(value: Any) -> _Encode:
    """What encodes a value that is of no library of frames.

    Raises:
        Refused: Nothing does.
    """
    exact = _EXACT.get(type(value))
    if exact is not None:
        return exact
    for fits, encode in _KINDS:
        if fits(value):
            return encode
    raise Refused(f"is a {name_of(type(value)).decode()}, whose content is not known")


def _list(walk: Walk, value: Any) -> bytes:
    return sequence(walk, type(value).__name__, list(value))


def _set(walk: Walk, value: Any) -> bytes:
    return node(type(value).__name__, *sorted(map(walk.encode, value)))


def _dict(walk: Walk, value: Any) -> bytes:
    pairs = [
        framed((walk.encode(key), walk.under(f"[{key!r}]", item))) for key, item in value.items()
    ]
    return node(type(value).__name__, *sorted(pairs))


def _deque(walk: Walk, value: deque[Any]) -> bytes:
    return node("deque", walk.encode(value.maxlen), _list(walk, list(value)))


def _slice(walk: Walk, value: slice) -> bytes:
    return node("slice", *map(walk.encode, (value.start, value.stop, value.step)))


def _partial(walk: Walk, value: partial[Any]) -> bytes:
    function = walk.under(".func", value.func)
    keywords = walk.under(".keywords", value.keywords)
    return node("partial", function, walk.under(".args", value.args), keywords)


def _method(walk: Walk, value: MethodType) -> bytes:
    owner = walk.under(".__self__", value.__self__)
    return node("method", owner, walk.under(".__func__", value.__func__))


def _builtin(walk: Walk, value: BuiltinFunctionType) -> bytes:
    owner = value.__self__
    if owner is not None and not isinstance(owner, ModuleType):
        return node("method", walk.under(".__self__", owner), text(value.__name__))
    return leaf("builtin", text(f"{value.__module__}.{value.__qualname__}"))


def _function(walk: Walk, value: FunctionType) -> bytes:
    """By name, code, defaults and what it closes over; not by the globals that it reads."""
    cells = [cell.cell_contents for cell in value.__closure__ or ()]
    return node(
        "function",
        text(f"{value.__module__}.{value.__qualname__}"),
        _code(walk, value.__code__),
        walk.under(".__defaults__", value.__defaults__),
        walk.under(".__kwdefaults__", value.__kwdefaults__),
        walk.under(".__closure__", cells),
    )


def _code(walk: Walk, code: CodeType) -> bytes:
    constants = (
        _code(walk, item) if isinstance(item, CodeType) else walk.encode(item)
        for item in code.co_consts
    )
    names = walk.encode((code.co_names, code.co_varnames, code.co_freevars, code.co_flags))
    return node("code", code.co_code, names, *constants)


def _class(walk: Walk, value: type) -> bytes:
    return leaf("class", name_of(value))


def _enum(walk: Walk, value: Enum) -> bytes:
    return node("enum", name_of(type(value)), walk.encode(value.name), _value_of(walk, value))


def _value_of(walk: Walk, value: Enum) -> bytes:
    return walk.under(".value", value.value)


def _dataclass(walk: Walk, value: Any) -> bytes:
    content = {field.name: getattr(value, field.name) for field in fields(value)}
    return node("dataclass", name_of(type(value)), walk.mapping("fields", content))


def _attrs(walk: Walk, value: Any) -> bytes:
    content = {item.name: getattr(value, item.name) for item in type(value).__attrs_attrs__}
    return node("attrs", name_of(type(value)), walk.mapping("fields", content))


def _model(walk: Walk, value: Any) -> bytes:
    content = {name: getattr(value, name) for name in type(value).model_fields}
    return node(
        "model",
        name_of(type(value)),
        walk.mapping("fields", content),
        walk.mapping("extra", value.__pydantic_extra__ or {}),
        walk.mapping("private", value.__pydantic_private__ or {}),
    )


def _secret(walk: Walk, value: Any) -> bytes:
    return node("secret", name_of(type(value)), walk.encode(value.get_secret_value()))


def _namedtuple(walk: Walk, value: Any) -> bytes:
    return node("namedtuple", name_of(type(value)), walk.mapping("fields", value._asdict()))


def _namespace(walk: Walk, value: SimpleNamespace) -> bytes:
    return walk.mapping("namespace", vars(value))


def _subclass(walk: Walk, value: Any) -> bytes:
    """A subclass of a plain type: its class, the plain value, and what its instance holds."""
    base = _base_of(value)
    plain = base(value) if base is not dict else dict(value.items())
    state = walk.mapping("state", _state(value))
    return node("subclass", name_of(type(value)), walk.encode(plain), state)


def _base_of(value: Any) -> type | None:
    return next((kind for kind in _BASES if isinstance(value, kind)), None)


def _state(value: Any) -> dict[str, Any]:
    state = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                state[name] = getattr(value, name)
    return state


_BASES = (int, float, str, bytes, tuple, list, dict, set, frozenset)
_EXACT: dict[type, _Encode] = {
    list: _list,
    tuple: _list,
    set: _set,
    frozenset: _set,
    dict: _dict,
    MappingProxyType: _dict,
    deque: _deque,
    slice: _slice,
    partial: _partial,
    MethodType: _method,
    BuiltinFunctionType: _builtin,
    FunctionType: _function,
    SimpleNamespace: _namespace,
}
_KINDS: tuple[tuple[Callable[[Any], bool], _Encode], ...] = (
    (lambda value: isinstance(value, type), _class),
    (lambda value: isinstance(value, Enum), _enum),
    (lambda value: is_dataclass(value), _dataclass),
    (lambda value: hasattr(type(value), "__attrs_attrs__"), _attrs),
    (lambda value: hasattr(type(value), "__pydantic_private_attributes__"), _model),
    (lambda value: hasattr(type(value), "get_secret_value"), _secret),
    (lambda value: isinstance(value, tuple) and hasattr(value, "_asdict"), _namedtuple),
    (lambda value: _base_of(value) is not None, _subclass),
)
