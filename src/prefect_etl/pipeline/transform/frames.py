"""Tables as the frames that a Python function asks for.

Polars and Arrow have a type for nearly every column and get it. In pandas the type of a column
depends on the type in the table, never on the values:

- whole numbers and booleans are pandas' nullable ``Int64``, ``boolean`` and so on (NumPy has no
  null for them, and would make them floats),
- dates, times of day, decimals, bytes and nested values are Arrow-backed, so they stay what they
  are; floats, timestamps and text are what pandas makes of them. A NaN among floats becomes null.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

from prefect_etl.errors import ConfigError, DataError

FrameKind = Literal["pandas", "polars", "polars-lazy", "arrow"]

_KINDS: dict[tuple[str, str], FrameKind] = {
    ("pandas", "DataFrame"): "pandas",
    ("polars", "DataFrame"): "polars",
    ("polars", "LazyFrame"): "polars-lazy",
    ("pyarrow", "Table"): "arrow",
}
_USUAL = {"pd": "pandas", "pl": "polars", "pa": "pyarrow"}


def frame_kind(annotation: Any, function: Callable[..., Any], parameter: str) -> FrameKind:
    """The kind of frame that an annotation asks for; pandas if there is none.

    Annotations may be text, as ``from __future__ import annotations`` makes them, also where the
    library is imported for type checkers only.

    Raises:
        ConfigError: It asks for something else.

    Example:
        >>> frame_kind("pl.LazyFrame", frame_kind, "flights")
        'polars-lazy'
    """
    if annotation is None or annotation is Any:
        return "pandas"
    if get_origin(annotation) is not None and hasattr(annotation, "__metadata__"):
        annotation = get_args(annotation)[0]
    library, name = (
        _from_text(annotation, function) if isinstance(annotation, str) else _from_class(annotation)
    )
    kind = _KINDS.get((library, name))
    if kind is None:
        raise ConfigError(
            f"parameter {parameter} is annotated as {annotation!r}, and gets a table",
            hint="Annotate it as pd.DataFrame, pl.DataFrame, pl.LazyFrame or pa.Table.",
        )
    return kind


def _from_class(annotation: Any) -> tuple[str, str]:
    module = str(getattr(annotation, "__module__", ""))
    return module.split(".", maxsplit=1)[0], str(getattr(annotation, "__name__", ""))


def _from_text(text: str, function: Callable[..., Any]) -> tuple[str, str]:
    prefix, _, name = text.strip("'\" ").rpartition(".")
    known = getattr(function, "__globals__", {})
    if not prefix:
        return _from_class(known.get(name))
    module = known.get(prefix.split(".")[0])
    if isinstance(module, ModuleType):
        return module.__name__.split(".")[0], name
    return _USUAL.get(prefix, prefix.split(".")[0]), name


def to_frame(table: Any, kind: FrameKind, label: str) -> Any:
    """An Arrow table as a frame.

    Raises:
        DataError: The library has no type for one of its columns.
    """
    try:
        match kind:
            case "arrow":
                return table
            case "pandas":
                return table.to_pandas(types_mapper=_pandas_type)
            case "polars" | "polars-lazy":
                return _to_polars(table, lazy=kind == "polars-lazy")
    except Exception as error:  # each library raises its own, and they share no base
        raise DataError(
            f"table {label} cannot be given as {kind}: {error}",
            hint="Ask for it as pa.Table, or cast that column in a SQL transformation before.",
        ) from error


def _to_polars(table: Any, *, lazy: bool) -> Any:
    import polars as pl

    frame = pl.DataFrame(table)
    return frame.lazy() if lazy else frame


def in_microseconds(reader: Any) -> Any:
    """A stream whose times of day are in microseconds, as tables have them.

    Polars knows only nanoseconds; a time that has some fails the stream with an Arrow error.
    """
    import pyarrow as pa

    nanoseconds = pa.time64("ns")
    if nanoseconds not in reader.schema.types:
        return reader
    schema = pa.schema(
        [(f.name, pa.time64("us") if f.type == nanoseconds else f.type) for f in reader.schema]
    )
    return pa.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in reader))


def _pandas_type(kind: Any) -> Any:
    """The pandas type of an Arrow type; None for what pandas itself would choose."""
    import pandas as pd
    import pyarrow as pa

    if pa.types.is_integer(kind):
        name = str(kind)
        return pd.api.types.pandas_dtype(name.replace("uint", "UInt").replace("int", "Int", 1))
    if pa.types.is_boolean(kind):
        return pd.BooleanDtype()
    usual = (
        pa.types.is_floating,
        pa.types.is_timestamp,
        pa.types.is_dictionary,
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_null,
    )
    return None if any(test(kind) for test in usual) else pd.ArrowDtype(kind)
