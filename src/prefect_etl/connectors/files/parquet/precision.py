"""Finds columns of Parquet files whose values the engine would read as others, without a word.

DuckDB reads decimals of more than 38 digits as DOUBLE, and cuts nanoseconds off timestamps that
have a zone and off those of the old type INT96
(https://duckdb.org/docs/stable/data/parquet/overview). Whether there are any, the values say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from prefect_etl.connectors.files.foreign import FILES, ask, has_nanoseconds
from prefect_etl.connectors.files.place import Place
from prefect_etl.core.unit import Unit
from prefect_etl.errors import SourceReadError

_MOST_DIGITS = 38
_SCHEMA = f"""
SELECT name, coalesce(num_children, 0), type = 'INT96',
    coalesce(logical_type LIKE '%isAdjustedToUTC=1%NANOS=Nano%', FALSE),
    coalesce(converted_type = 'DECIMAL' OR logical_type LIKE 'DecimalType%', FALSE)
        AND coalesce(precision, 0) > {_MOST_DIGITS}
FROM parquet_schema({FILES}) ORDER BY column_id
"""


@dataclass(frozen=True, slots=True)
class _Field:
    """A leaf of a file's schema.

    Attributes:
        column: The column that it is, or is part of.
        nested: Whether it is part of a column.
        int96: Whether it is a timestamp of the old type.
        zoned: Whether it is a timestamp with nanoseconds and a zone.
        long: Whether it is a decimal that is too long.
    """

    column: str
    nested: bool
    int96: bool
    zoned: bool
    long: bool


def assert_exact(place: Place, units: Sequence[Unit], dropped: Collection[str]) -> None:
    """Refuse Parquet files with values that would change.

    Args:
        place: Where they are.
        units: Files of one schema.
        dropped: Columns that are not loaded, in lower case.

    Raises:
        SourceReadError: There is one; its file and column are named.
    """
    for field in _fields(ask(place, units[:1], _SCHEMA)):
        if field.column.lower() in dropped or not (field.long or field.int96 or field.zoned):
            continue
        for unit in units:
            if field.long or _has_nanoseconds(place, unit, field):
                raise SourceReadError(
                    f"{unit.position}: column {field.column} has {_named(field)}, which the "
                    "engine would change",
                    hint=f"Leave it out with columns: {{drop: [{field.column}]}}, or write the "
                    "file with another type.",
                )


def _named(field: _Field) -> str:
    if field.long:
        return f"decimals of more than {_MOST_DIGITS} digits"
    kind = "of type INT96" if field.int96 else "with a time zone"
    return f"timestamps {kind} and nanoseconds"


def _fields(rows: Sequence[tuple[Any, ...]]) -> Iterator[_Field]:
    """The leaves of a schema, which comes depth first, each node with the number of its parts."""
    open_nodes = [rows[0][1]]
    column = ""
    for name, parts, int96, zoned, long in rows[1:]:
        depth = len(open_nodes)
        column = name if depth == 1 else column
        open_nodes[-1] -= 1
        if parts:
            open_nodes.append(parts)
        else:
            yield _Field(column, depth > 1, bool(int96), zoned, long)
        while len(open_nodes) > 1 and not open_nodes[-1]:
            open_nodes.pop()


def _has_nanoseconds(place: Place, unit: Unit, field: _Field) -> bool:
    if field.nested:
        return True  # they may be there, and are not looked for
    return has_nanoseconds(place, unit, field.column, int96=field.int96)
