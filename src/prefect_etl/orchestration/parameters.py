"""Flow parameters as Prefect's API sees them: frames, and what is too large, as a short line.

The run itself gets its parameters as they are. Prefect's server refuses more than 512 KiB of them,
and sends them back each time a run is read; people look at them in the UI only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from types import FunctionType, ModuleType
from typing import Any, cast

from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.utilities.annotations import BaseAnnotation
from pydantic import BaseModel

from prefect_etl.core.frames import frame_kind, frame_summary

MOST_BYTES = 65_536
"""The most that all parameters of a run take together, as JSON."""
# A value of JSON takes two bytes at least, with its comma.
_MOST_VALUES = MOST_BYTES // 2
_DEEPEST = 50
_SCALARS = (type(None), bool, int, float)
_TEXTS = (str, bytes, bytearray)
_CONTAINERS = (list, tuple, set, frozenset, dict)
_NEVER_INSIDE = (type, FunctionType, ModuleType)


def summarized(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters, with a line of text in the place of every frame, however deep it is.

    What holds no frame, and is not too large, is the same object as before.

    Example:
        >>> import pyarrow as pa
        >>> summarized({"day": "monday", "data": [pa.table({"a": [1, 2]})]})
        {'day': 'monday', 'data': ['<pyarrow.Table 2 rows x 1 columns: a int64>']}
    """
    return {name: summary(value) for name, value in parameters.items()}


def summary(value: Any) -> Any:
    """One value as :func:`summarized` shows it."""
    try:
        return _Walk().shown(value)
    except _TooLargeError:
        return _sized(value)


def within_limit(encoded: dict[str, Any]) -> dict[str, Any]:
    """JSON values of parameters; where they take too much together, the largest as one line.

    Example:
        >>> within_limit({"small": [1, 2], "large": ["x" * 1000] * 100})
        {'small': [1, 2], 'large': '<list of 100 items: 100,301 bytes of JSON>'}
    """
    sizes = {name: _json_bytes(value) for name, value in encoded.items()}
    shown = dict(encoded)
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if sum(sizes.values()) <= MOST_BYTES:
            break
        shown[name] = f"{_sized(encoded[name])[:-1]}: {sizes[name]:,} bytes of JSON>"
        sizes[name] = _json_bytes(shown[name])
    return shown


class RunName(str):
    """A template of run names: a frame becomes its short line, also within a list.

    Example:
        >>> import pyarrow as pa
        >>> RunName("load {data.num_rows} rows of {data}").format(data=pa.table({"a": [1, 2]}))
        'load 2 rows of <pyarrow.Table 2 rows x 1 columns: a int64>'
    """

    __slots__ = ()

    def format(self, *args: object, **parameters: object) -> str:
        """Fill in the parameters."""
        return super().format(*args, **{name: _named(value) for name, value in parameters.items()})


def _named(value: object) -> object:
    shown = summary(value)
    return value if shown is value else _Named(value, str(shown))


class _Named:
    """A value that reads as its summary; its attributes and items are its own."""

    def __init__(self, value: Any, text: str) -> None:
        self._value, self._text = value, text

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__

    def __getattr__(self, name: str) -> Any:
        return getattr(self._value, name)

    def __getitem__(self, key: Any) -> Any:
        return self._value[key]


class _TooLargeError(Exception):
    """There are more values than the API is shown."""


class _Walk:
    """Looks through one parameter; knows how much it has seen, and what it is inside of."""

    def __init__(self) -> None:
        self._left = _MOST_VALUES
        self._inside: set[int] = set()

    def shown(self, value: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise _TooLargeError
        if isinstance(value, _SCALARS):
            return value
        if frame_kind(value) is not None:
            return frame_summary(value)
        if isinstance(value, _TEXTS):
            return value if len(value) <= MOST_BYTES else _sized(value)
        if isinstance(value, _CONTAINERS) and len(value) > _MOST_VALUES:
            return _sized(value)
        if isinstance(value, (PrefectFuture, State)):
            return _sized(value)  # as Prefect shows them
        # A cycle, or nesting without end: Prefect shows the type of what it cannot encode.
        if id(value) in self._inside or len(self._inside) > _DEEPEST:
            return value
        self._inside.add(id(value))
        try:
            return self._parts(value)
        finally:
            self._inside.remove(id(value))

    def _parts(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self._mapping(value, value.items())
        if isinstance(value, (list, tuple, set, frozenset)):
            parts = [self.shown(part) for part in value]
            return parts if any(a is not b for a, b in zip(parts, value, strict=True)) else value
        if isinstance(value, BaseAnnotation):
            inner: Any = value.unwrap()
            shown = self.shown(inner)
            return value if shown is inner else shown
        if is_dataclass(value) and not isinstance(value, type):
            names = [field.name for field in fields(value)]
            return self._mapping(value, [(name, getattr(value, name, None)) for name in names])
        if isinstance(value, BaseModel):
            return self._model(value)
        if isinstance(value, _NEVER_INSIDE) or not hasattr(value, "__dict__"):
            return value
        # FastAPI's encoder, which Prefect uses, sends the attributes of any object.
        return self._mapping(value, list(vars(value).items()))

    def _model(self, value: BaseModel) -> Any:
        pairs = [(name, inner, self.shown(inner)) for name, inner in value]
        changed = {name: shown for name, inner, shown in pairs if inner is not shown}
        if not changed:
            return value
        # What the model leaves out or masks may be a secret: the rest is shown as it says.
        hidden = {name for name, field in type(value).model_fields.items() if field.exclude}
        try:
            rest = value.model_dump(mode="json", exclude=changed.keys() | hidden)
        except Exception:  # noqa: BLE001 - a serializer of the user's may raise what it likes
            return _sized(value)
        return rest | {name: changed[name] for name in changed.keys() - hidden}

    def _mapping(self, value: Any, items: Iterable[tuple[Any, Any]]) -> Any:
        pairs = [(key, inner, self.shown(inner)) for key, inner in items]
        changed = any(inner is not shown for _, inner, shown in pairs)
        return {key: shown for key, _, shown in pairs} if changed else value


def _sized(value: Any) -> str:
    kind = type(value).__name__
    if isinstance(value, str):
        return f"<{kind} of {len(value):,} characters>"
    if isinstance(value, (bytes, bytearray)):
        return f"<{kind} of {len(value):,} bytes>"
    if isinstance(value, _CONTAINERS):
        return f"<{kind} of {len(cast('list[Any]', value)):,} items>"
    return f"<{kind}>"


def _json_bytes(value: Any) -> int:
    # As Prefect's server counts.
    return len(json.dumps(value, separators=(",", ":"), default=repr))
