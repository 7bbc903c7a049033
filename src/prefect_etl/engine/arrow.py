"""Turns what Python code gives, frames and rows, into Arrow.

Nothing is lost on the way: a value that Arrow would cut or round silently is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

_INT64 = range(-(2**63), 2**63)
_MAX_DIGITS = 38


class NotArrowError(ValueError):
    """Values that do not fit into Arrow; the message names the column."""


def is_frame(value: Any) -> bool:
    """Whether a value is a table of some library: pandas, Polars, Arrow or another.

    Example:
        >>> is_frame(pa.table({"a": [1]})), is_frame([{"a": 1}])
        (True, False)
    """
    return _library(value, "polars", "LazyFrame") or any(
        hasattr(value, name) for name in ("__arrow_c_stream__", "__arrow_c_array__")
    )


def frame_reader(frame: Any, folder: Path) -> pa.RecordBatchReader:
    """A frame as a stream of record batches.

    pandas: an index without a name is left out, one with a name becomes columns. Polars: a lazy
    frame is computed in streaming fashion, into a file.

    Args:
        frame: For which :func:`is_frame` is true.
        folder: For temporary files.

    Raises:
        NotArrowError: It has values that do not fit, or columns without or with the same name.
    """
    return _checked_names(_frame_reader(frame, folder))


def _frame_reader(frame: Any, folder: Path) -> pa.RecordBatchReader:
    if isinstance(frame, pa.RecordBatchReader):
        return frame
    if isinstance(frame, pa.RecordBatch):
        return pa.RecordBatchReader.from_batches(frame.schema, [frame])
    if _library(frame, "pandas", "DataFrame"):
        return _from_pandas(frame).to_reader()
    if _library(frame, "polars", "LazyFrame"):
        path = folder / "lazy.arrow"
        frame.sink_ipc(path, compression="uncompressed")
        opened = pa.ipc.open_file(pa.memory_map(str(path)))
        batches = (opened.get_batch(i) for i in range(opened.num_record_batches))
        return pa.RecordBatchReader.from_batches(opened.schema, batches)
    try:
        if hasattr(frame, "__arrow_c_stream__"):
            return pa.RecordBatchReader.from_stream(frame)
        batch = pa.record_batch(frame)
    except (pa.ArrowException, TypeError) as error:
        kind = type(frame).__name__
        raise NotArrowError(f"a {kind} is not a table with columns: {error}") from error
    return pa.RecordBatchReader.from_batches(batch.schema, [batch])


def _library(value: Any, module: str, name: str) -> bool:
    """Whether a value is of a library's class; never imports the library."""
    loaded = sys.modules.get(module)
    kind = getattr(loaded, name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def _from_pandas(frame: Any) -> pa.Table:
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    arrays = []
    for position, name in enumerate(frame.columns):
        series = frame.iloc[:, position]
        if series.dtype == object:  # pandas itself would cut and guess
            values = [None if _is_missing(value) else value for value in series.tolist()]
            arrays.append(column(str(name), values))
        else:
            arrays.append(_from_series(str(name), series))
    return pa.Table.from_arrays(arrays, names=[str(name) for name in frame.columns])


def _from_series(name: str, series: Any) -> pa.Array | pa.ChunkedArray:
    try:
        return pa.Array.from_pandas(series)
    except (pa.ArrowException, TypeError) as error:
        raise NotArrowError(f"column {name!r}: {error}") from error


def _is_missing(value: Any) -> bool:
    """None, NaN, NaT and pandas.NA: the values that are not themselves, or not comparable."""
    if value is None or value is getattr(sys.modules.get("pandas"), "NA", None):
        return True
    return isinstance(value, float | datetime) and value != value  # noqa: PLR0124


def _checked_names(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    seen: set[str] = set()
    for name in reader.schema.names:
        _assert_name(name)
        if name in seen:
            raise NotArrowError(f"two columns have the name {name!r}")
        seen.add(name)
    return reader


def _assert_name(name: Any) -> None:
    if not isinstance(name, str):
        raise NotArrowError(f"a column's name is text, and {name!r} is {type(name).__name__}")
    if not name or "\0" in name:
        raise NotArrowError(f"{name!r} cannot be the name of a column")


def rows_batch(rows: Sequence[Mapping[str, Any]], text: frozenset[str]) -> pa.RecordBatch:
    """Rows as one record batch; a key that a row does not have is null.

    Args:
        rows: Mappings from column to value.
        text: Columns, in lower case, that become text whatever they hold.

    Raises:
        NotArrowError: A column holds values of kinds that do not go together.

    Example:
        >>> rows_batch([{"a": 1}, {"a": 2.5, "b": "x"}], frozenset()).to_pylist()
        [{'a': 1.0, 'b': None}, {'a': 2.5, 'b': 'x'}]
    """
    names = dict.fromkeys(name for row in rows for name in row)
    arrays = []
    for name in names:
        _assert_name(name)
        values = [row.get(name) for row in rows]
        if name.lower() in text:
            values = [None if value is None else _as_text(value) for value in values]
        arrays.append(column(name, values))
    return pa.RecordBatch.from_arrays(arrays, names=list(names))


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date | time) else str(value)


def column(name: str, values: list[Any]) -> pa.Array:
    """Python values as an array; None is null.

    Raises:
        NotArrowError: The values' kinds do not go together.

    Example:
        >>> column("d", [date(2024, 1, 1), datetime(2024, 1, 1, 12)]).type
        TimestampType(timestamp[us])
    """
    kinds = {type(value) for value in values} - {type(None)}
    if any(issubclass(kind, Enum) for kind in kinds):
        values = [value.value if isinstance(value, Enum) else value for value in values]
        kinds = {type(value) for value in values} - {type(None)}
    try:
        return pa.array(_unified(values, kinds))
    except OverflowError:
        return _whole_numbers(name, values)
    except (pa.ArrowException, TypeError, ValueError) as error:
        named = " and ".join(sorted(kind.__name__ for kind in kinds))
        said = str(error) if len(kinds) <= 1 else f"it holds {named}"
        raise NotArrowError(f"column {name!r}: {said}") from error


def _unified(values: list[Any], kinds: set[type]) -> list[Any]:
    """The values where Arrow would cut or guess: text and bytes, dates and times, zones."""
    if len(kinds) > 1:
        if any(issubclass(k, bytes) for k in kinds) and any(issubclass(k, str) for k in kinds):
            raise TypeError("text and bytes")
        if any(issubclass(k, Decimal) for k in kinds) and any(issubclass(k, float) for k in kinds):
            return [float(v) if isinstance(v, Decimal) else v for v in values]
        dates = {k for k in kinds if issubclass(k, date)}
        if len({issubclass(k, datetime) for k in dates}) > 1:
            values = [_midnight(value) for value in values]
    if any(issubclass(kind, datetime) for kind in kinds):
        zoned = {v.tzinfo is not None for v in values if isinstance(v, datetime)}
        if len(zoned) > 1:
            raise TypeError("times with and without a zone")
    return values


def _midnight(value: Any) -> Any:
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time())
    return value


def _whole_numbers(name: str, values: list[Any]) -> pa.Array:
    """Whole numbers of more than 64 bits."""
    numbers = [value for value in values if value is not None]
    if all(type(v) is int and len(str(abs(v))) <= _MAX_DIGITS for v in numbers):
        wide = [None if value is None else Decimal(value) for value in values]
        return pa.array(wide, pa.decimal128(_MAX_DIGITS, 0))
    raise NotArrowError(f"column {name!r}: a number has more than {_MAX_DIGITS} digits")


def wider(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The narrowest type that holds both, or None.

    Example:
        >>> wider(pa.int64(), pa.float64()), wider(pa.int64(), pa.string())
        (DataType(double), None)
    """
    if one.equals(other) or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    pair = (one, other)
    if any(map(pa.types.is_date, pair)) and any(map(pa.types.is_timestamp, pair)):
        timestamp = one if pa.types.is_timestamp(one) else other
        return None if timestamp.tz else timestamp
    if sum(map(_is_bytes, pair)) == 1:
        return None  # Arrow would take text for bytes
    if sum(map(pa.types.is_uint64, pair)) == 1 and all(map(pa.types.is_integer, pair)):
        return pa.decimal128(_MAX_DIGITS, 0)  # Arrow would take int64
    schemas = [pa.schema([("x", kind)]) for kind in pair]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field("x").type
    except pa.ArrowTypeError:
        return None


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch with types that differ only in how they are laid out made one.

    Dictionaries are decoded, views become plain text and bytes, zones UTC: the same instants.
    """
    fields = [pa.field(f.name, _plain_type(f.type)) for f in batch.schema]
    return batch.cast(pa.schema(fields))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if kind.equals(pa.string_view()):
        return pa.string()
    if kind.equals(pa.binary_view()):
        return pa.binary()
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return pa.timestamp(kind.unit, "UTC")
    return kind


def looked_at(reader: pa.RecordBatchReader) -> tuple[float, pa.RecordBatchReader]:
    """Bytes of a row, by the first batch, and a reader that still has that batch.

    Example:
        >>> width, reader = looked_at(pa.table({"a": [1, 2]}).to_reader())
        >>> width, reader.read_all().num_rows
        (8.0, 2)
    """
    first = next(reader, None)
    if first is None:
        return 0.0, pa.RecordBatchReader.from_batches(reader.schema, iter(()))
    again = pa.RecordBatchReader.from_batches(reader.schema, chain((first,), reader))
    return first.nbytes / max(first.num_rows, 1), again


def guarded(reader: pa.RecordBatchReader, errors: list[Exception]) -> pa.RecordBatchReader:
    """A reader that keeps the exception which ends it; its consumer sees only a copy in text."""

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            yield from reader
        except Exception as error:  # whatever a user's code raises is kept
            errors.append(error)
            raise

    return pa.RecordBatchReader.from_batches(reader.schema, batches())
