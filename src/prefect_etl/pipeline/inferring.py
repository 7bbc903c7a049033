"""Drafts a contract from data: the narrowest rules worth writing that the data keeps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prefect_etl.core.sql import identifier, literal
from prefect_etl.engine.duckdb import Session

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_TABLE = "_etl_data"
# A list of allowed values: at most so many, each so often on average.
_MOST_VALUES, _TIMES_EACH = 20, 10
_MOST_UNIQUE = 3
_NUMBER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|DECIMAL.*")
_SHAPES = (r"[A-Z]{%d}", r"[a-z]{%d}", r"[0-9]{%d}", r"[A-Z0-9]{%d}", r"[A-Za-z]{%d}")


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    kind: str
    present: int
    different: int
    lowest: Any
    highest: Any


def infer(table: pa.Table) -> dict[str, Any]:
    """A contract that a table keeps, as it stands under ``contract:`` in the pipeline file.

    Columns without nulls must have none; numbers, dates and times stay within what was seen; texts
    have a list of values where these are few, a pattern where all have one shape, or lengths. A
    column without duplicates is unique in the whole table.

    Args:
        table: The data.

    Example:
        >>> import pyarrow as pa
        >>> infer(pa.table({"id": [1, 2], "code": ["AB", "CD"]}))["columns"]["code"]
        {'nullable': False, 'pattern': '[A-Z]{2}'}
    """
    with closing(Session()) as session, session.cursor() as cursor:
        cursor.register(_TABLE, table)
        columns = [_looked_at(cursor, *row[:2]) for row in _described(cursor)]
        rules = {column.name: _rules(cursor, column, table.num_rows) for column in columns}
    unique = [
        column.name
        for column in columns
        if table.num_rows > 1 and column.different == table.num_rows and _is_key(column)
    ][:_MOST_UNIQUE]
    found: dict[str, Any] = {"columns": {name: rule for name, rule in rules.items() if rule}}
    return found | ({"table": {"unique": unique}} if unique else {})


def _described(cursor: duckdb.DuckDBPyConnection) -> Sequence[tuple[Any, ...]]:
    return cursor.execute(f"DESCRIBE {_TABLE}").fetchall()


def _looked_at(cursor: duckdb.DuckDBPyConnection, name: str, kind: str) -> _Column:
    column = identifier(name)
    row = cursor.execute(
        f"SELECT count({column}), count(DISTINCT {column}), min({column}), max({column}) "
        f"FROM {_TABLE}"
    ).fetchone()
    return _Column(name, kind, *(row or (0, 0, None, None)))


def _is_key(column: _Column) -> bool:
    return column.kind == "VARCHAR" or "INT" in column.kind or column.kind == "UUID"


def _rules(cursor: duckdb.DuckDBPyConnection, column: _Column, rows: int) -> dict[str, Any]:
    rules: dict[str, Any] = {} if column.present < rows or not rows else {"nullable": False}
    if not column.present:
        return rules
    if _NUMBER.fullmatch(column.kind):
        return rules | _range(column, float if "INT" not in column.kind else int)
    if column.kind in ("DATE", "TIMESTAMP"):
        return rules | {"ge": str(column.lowest), "le": str(column.highest)}
    if column.kind == "VARCHAR":
        return rules | _of_text(cursor, column)
    return rules


def _range(column: _Column, kind: type[int | float]) -> dict[str, Any]:
    lowest, highest = kind(column.lowest), kind(column.highest)
    exact = (lowest, highest) == (column.lowest, column.highest)
    finite = all(abs(bound) < float("inf") for bound in (lowest, highest))
    return {"ge": lowest, "le": highest} if exact and finite else {}


def _of_text(cursor: duckdb.DuckDBPyConnection, column: _Column) -> dict[str, Any]:
    name = identifier(column.name)
    few = column.different <= _MOST_VALUES
    if few and column.present >= _TIMES_EACH * column.different:
        values = cursor.execute(
            f"SELECT DISTINCT {name} FROM {_TABLE} WHERE {name} IS NOT NULL ORDER BY 1"
        ).fetchall()
        return {"isin": [value for (value,) in values]}
    lengths = cursor.execute(f"SELECT min(length({name})), max(length({name})) FROM {_TABLE}")
    shortest, longest = lengths.fetchone() or (0, 0)
    if shortest == longest and shortest:
        for shape in _SHAPES:
            pattern = shape % shortest
            all_match = cursor.execute(
                f"SELECT bool_and(regexp_full_match({name}, {literal(pattern)})) FROM {_TABLE}"
            ).fetchone()
            if all_match and all_match[0]:
                return {"pattern": pattern}
    return {"min_length": shortest, "max_length": longest}
