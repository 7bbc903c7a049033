"""Rows of a SQLite file as a stream of Arrow, and what is said of a value that does not fit."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from operator import itemgetter
from types import NoneType
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.sqlite.carrying import PLACE, Carried, Given
from prefect_etl.connectors.sqlite.columns import affinity_of
from prefect_etl.connectors.sqlite.reflecting import Found
from prefect_etl.core.rows import STREAM
from prefect_etl.core.sql import identifier
from prefect_etl.errors import SourceReadError

if TYPE_CHECKING:
    import pyarrow as pa

# Of one Arrow batch: at most so many rows, and about so many characters and bytes.
_ROWS, _LENGTH = 2048, 2**22
# Rows that are fetched before their size is looked at.
_FETCHED = 8
_EXACT = 2**53
_ACCEPTED: dict[Given, frozenset[type]] = {
    "integer": frozenset((int,)),
    "real": frozenset((float, int)),
    "text": frozenset((str,)),
    "blob": frozenset((bytes,)),
    "any": frozenset((int, float, str)),
    "nothing": frozenset(),
}


def selection(columns: Sequence[Carried], found: Found) -> tuple[str, str]:
    """What SQLite is to send of each row, and how the engine restores it.

    Behind the columns come the row's number, or null, and the size of the row.
    """
    sent = [_sent(column, found.columns[column.name]) for column in columns]
    lengths = [
        f"coalesce(length({identifier(c.name)}), 0)"
        for c in columns
        if c.given in ("text", "blob", "any")
    ]
    more = [found.rowid or "NULL", " + ".join(lengths) or "0"]
    restored = ", ".join(
        f"{column.restored} AS {identifier(column.name)}"
        if column.restored
        else identifier(column.name)
        for column in columns
    )
    return ", ".join([*sent, *more]), f"SELECT {restored} FROM {STREAM}"


def _sent(column: Carried, declared: str) -> str:
    name = identifier(column.name)
    text_as_bytes = column.given == "blob" and affinity_of(declared) == "TEXT"
    return f"CAST({name} AS BLOB)" if text_as_bytes else name


def arrow_stream(
    cursor: sqlite3.Cursor, columns: Sequence[Carried], what: str
) -> pa.RecordBatchReader:
    """The rows of an executed statement as they come.

    Args:
        cursor: That gives what :func:`selection` says.
        columns: How they travel.
        what: The dataset and table, for errors.

    Raises:
        SourceReadError: A value is not of its column's type; from the stream.
    """
    import pyarrow as pa

    kinds = {
        "integer": pa.int64(),
        "real": pa.float64(),
        "text": pa.string(),
        "any": pa.string(),
        "blob": pa.binary(),
        "nothing": pa.null(),
    }
    fields = [pa.field(column.name, kinds[column.given]) for column in columns]
    schema = pa.schema([*fields, pa.field(PLACE, pa.int64())])

    def batches() -> Iterator[pa.RecordBatch]:
        for rows in _portions(cursor):
            *values, places, _ = zip(*rows, strict=True)
            arrays = [
                _array(column, given, places, field.type, what)
                for column, given, field in zip(columns, values, fields, strict=True)
            ]
            batch = pa.record_batch([*arrays, pa.array(places, pa.int64())], schema=schema)
            del rows, values, arrays  # they would wait here until the next ones are there, too
            yield batch

    return pa.RecordBatchReader.from_batches(schema, batches())


def _array(
    column: Carried,
    values: Sequence[Any],
    places: Sequence[int | None],
    kind: pa.DataType,
    what: str,
) -> pa.Array:
    import pyarrow as pa

    if column.given == "real":  # Arrow takes whole numbers that a float holds, and no others
        try:
            return pa.array(values, kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            return pa.array(
                [_real(column, v, p, what) for v, p in zip(values, places, strict=True)], kind
            )
    return pa.array(_checked(column, values, places, what), kind)


def _portions(cursor: sqlite3.Cursor) -> Iterator[list[tuple[Any, ...]]]:
    """Rows in portions of a size that memory bears, however long some of them are."""
    portion: list[tuple[Any, ...]] = []
    size_of, length, wanted = itemgetter(-1), 0, _FETCHED
    while rows := cursor.fetchmany(wanted):
        size = sum(map(size_of, rows))
        wanted = min(max(_LENGTH * len(rows) // max(size, 1), 1), _FETCHED)
        length += size
        portion += rows
        if length >= _LENGTH or len(portion) >= _ROWS:
            yield portion
            portion, length = [], 0
    if portion:
        yield portion


def _checked(
    column: Carried, values: Sequence[Any], places: Sequence[int | None], what: str
) -> Sequence[Any]:
    """The values, if all are of the column's type."""
    kinds = {*map(type, values)} - {NoneType}
    if wrong := kinds - _ACCEPTED[column.given]:
        row = next(n for n, value in enumerate(values) if type(value) in wrong)
        raise _misfit(column, values[row], places[row], what)
    if column.given == "any" and kinds - {str}:
        return [None if value is None else str(value) for value in values]
    return values


def _real(column: Carried, value: Any, place: int | None, what: str) -> float | None:
    if value is None or isinstance(value, float):
        return value
    if value == "NaN" or (isinstance(value, int) and abs(value) <= _EXACT):
        return float(value)
    raise _misfit(column, value, place, what)


def _misfit(column: Carried, value: Any, place: int | None, what: str) -> SourceReadError:
    shown = value if len(value := repr(value)) <= 80 else f"{value[:77]}..."
    where = f", in the row with rowid {place}" if place is not None else ""
    return SourceReadError(
        f'{what}: column "{column.name}" holds {shown}, which is no {column.type}{where}',
        hint=f"Mend the row, or say what the column is: types: {{{column.name}: VARCHAR}}.",
    )
