"""Functions and classes: by the name under which they can be imported, functions by code too."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from prefect_etl.core.fingerprint.encoding import Refused, leaf, node, text

if TYPE_CHECKING:
    from prefect_etl.core.fingerprint.walk import Walk

_LIBRARIES = ("numpy", "pandas", "polars", "pyarrow")


def _function(walk: Walk, value: FunctionType) -> bytes:
    """By name, code, defaults and what it closes over; not by the globals that it reads."""
    return node(
        "function",
        text(f"{value.__module__}.{value.__qualname__}"),
        _code(walk, value.__code__),
        walk.under(".__defaults__", value.__defaults__),
        walk.under(".__kwdefaults__", value.__kwdefaults__),
        node("closure", *(_cell(walk, value, cell) for cell in value.__closure__ or ())),
    )


def _cell(walk: Walk, owner: FunctionType, cell: Any) -> bytes:
    try:
        content = cell.cell_contents
    except ValueError:
        return leaf("cell", b"empty")
    if content is owner:  # it calls itself
        return leaf("cell", b"itself")
    return walk.under(".__closure__", content)


def _code(walk: Walk, code: CodeType) -> bytes:
    constants = [
        _code(walk, item) if isinstance(item, CodeType) else walk.encode(item)
        for item in code.co_consts
    ]
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    errors = code.co_exceptiontable
    return node("code", code.co_code, errors, walk.encode(counts), walk.encode(names), *constants)


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
    return by_name(walk, value)


FUNCTIONS: dict[type, Callable[[Any, Any], bytes]] = {
    FunctionType: _function,
    BuiltinFunctionType: _builtin,
    MethodType: _method,
    partial: _partial,
}
"""What encodes a callable of exactly this type."""


def is_named(value: Any) -> bool:
    """Whether a value is a callable that its module has under its own name."""
    return callable(value) and _named(value) is value


def by_name(walk: Walk, value: Any) -> bytes:
    """A class or callable by its name, and by what it wraps.

    Raises:
        Refused: Its module has no such name, or another thing under it.
    """
    if _named(value) is not value:
        name = f"{value.__module__}.{value.__qualname__}"
        raise Refused(f"is {name}, which cannot be imported by that name")
    # A library's own functions change with its version only.
    own = isinstance(value, type) or value.__module__.partition(".")[0] in _LIBRARIES
    inner = walk.under(".__wrapped__", None if own else getattr(value, "__wrapped__", None))
    return node("named", text(f"{value.__module__}.{_name(value)}"), inner)


def _name(value: Any) -> str:
    return str(getattr(value, "__qualname__", None) or getattr(value, "__name__", None) or "")


def _named(value: Any) -> Any:
    found: Any = sys.modules.get(getattr(value, "__module__", None) or "")
    for part in _name(value).split("."):
        found = getattr(found, part, None)
    return found
