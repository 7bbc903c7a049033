"""The table that a load goes to: made, emptied with all that hangs on it, or adopted.

What others put on a table outlives its contents: indexes, comments and constraints. Views are known
by name, so they never notice.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prefect_etl.connectors.duckdb.alter import alter
from prefect_etl.connectors.sql.staging import table_columns
from prefect_etl.core.load import Load
from prefect_etl.core.rows import RESERVED_PREFIX, ROW_HASH, UNIT_ID, VALID_FROM, VALID_TO
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.sql import identifier, literal, literals, qualified
from prefect_etl.errors import ConfigError, DataError, SchemaError

if TYPE_CHECKING:
    import duckdb

logger = logging.getLogger(__name__)
_VERSIONED = (VALID_FROM, VALID_TO, ROW_HASH)


def exists(cursor: duckdb.DuckDBPyConnection, table: tuple[str, str]) -> bool:
    """Whether there is a table or view of this name."""
    return _kind(cursor, table) is not None


def _kind(cursor: duckdb.DuckDBPyConnection, table: tuple[str, str]) -> str | None:
    found = cursor.execute(
        "SELECT table_type FROM information_schema.tables "
        f"WHERE table_catalog = current_database() AND table_schema = {literal(table[0])} "
        f"AND table_name = {literal(table[1])}"
    ).fetchone()
    return str(found[0]) if found else None


def columns_of(cursor: duckdb.DuckDBPyConnection, table: tuple[str, str]) -> TableSchema:
    """The columns of a table but those of ours."""
    described = cursor.execute(f"DESCRIBE {qualified(*table)}").fetchall()
    return TableSchema.from_pairs(
        (name, kind)
        for name, kind, *_ in described
        if not name.startswith(RESERVED_PREFIX) and name not in (VALID_FROM, VALID_TO)
    )


def adopt(cursor: duckdb.DuckDBPyConnection, table: tuple[str, str], load: Load) -> None:
    """Make ready a table that no pipeline made.

    Raises:
        ConfigError: It is a view, or has not the columns of an ``scd2`` table.
        SchemaError: It lacks a column.
        DataError: Its rows cannot be told by the dataset's key.
    """
    name, dataset = ".".join(table), load.dataset
    if _kind(cursor, table) == "VIEW":
        raise ConfigError(f"{name} is a view, and only tables can be adopted")
    present = {column for column, *_ in cursor.execute(f"DESCRIBE {qualified(*table)}").fetchall()}
    if dataset.write == "scd2" and not present.issuperset(_VERSIONED):
        raise ConfigError(
            f"table {name} cannot be adopted by write: scd2: it has not the columns "
            f"{', '.join(_VERSIONED)}",
            hint="Load into a new table, and copy the old one's versions into that.",
        )
    added = {column.name for column in load.evolution.added}
    lacking = [n for n in load.evolution.schema.names if n not in present | added]
    if lacking:
        raise SchemaError(
            f"table {name} has no column {', '.join(lacking)}",
            hint="Add it, or leave it out with columns: {drop: …}.",
        )
    if dataset.carries_unit and UNIT_ID not in present:
        cursor.execute(f"ALTER TABLE {qualified(*table)} ADD COLUMN {UNIT_ID} BIGINT")
    if dataset.write == "merge":
        _assert_key(cursor, table, load)


def _assert_key(cursor: duckdb.DuckDBPyConnection, table: tuple[str, str], load: Load) -> None:
    keys = ", ".join(identifier(name) for name in load.dataset.key)
    twice = cursor.execute(
        f"SELECT {keys} FROM {qualified(*table)} GROUP BY ALL HAVING count(*) > 1 LIMIT 1"
    ).fetchone()
    if twice is not None:
        raise DataError(
            f"table {'.'.join(table)} has several rows with the key {literals(twice)}",
            hint="Remove all but one of each, or give the dataset another key.",
        )


def renew(cursor: duckdb.DuckDBPyConnection, table: tuple[str, str], load: Load) -> int:
    """Make the table without rows, in the open transaction.

    Returns:
        How many rows it had.
    """
    if not exists(cursor, table):
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(table[0])}")
        _create(cursor, table, load)
        return 0
    row = cursor.execute(f"SELECT count(*) FROM {qualified(*table)}").fetchone()
    removed = int(row[0]) if row else 0
    if _is_constrained(cursor, table) and _fits(cursor, table, load):
        cursor.execute(f"DELETE FROM {qualified(*table)}")
    else:
        _create(cursor, table, load)
    return removed


def _create(cursor: duckdb.DuckDBPyConnection, table: tuple[str, str], load: Load) -> None:
    columns = ", ".join(
        f"{identifier(c.name)} {c.type}{' NOT NULL' if c.name == VALID_FROM else ''}"
        for c in table_columns(load)
    )
    cursor.execute(f"CREATE OR REPLACE TABLE {qualified(*table)} ({columns})")


def _is_constrained(cursor: duckdb.DuckDBPyConnection, table: tuple[str, str]) -> bool:
    """Whether the table has what only it can hold: constraints, or default values."""
    found = cursor.execute(
        f"SELECT 1 FROM duckdb_constraints() WHERE {_this(table)} UNION ALL "
        f"SELECT 1 FROM duckdb_columns() WHERE {_this(table)} AND column_default IS NOT NULL"
    ).fetchone()
    return found is not None


def _this(table: tuple[str, str]) -> str:
    return (
        f"database_name = current_database() AND schema_name = {literal(table[0])} "
        f"AND table_name = {literal(table[1])}"
    )


def _fits(cursor: duckdb.DuckDBPyConnection, table: tuple[str, str], load: Load) -> bool:
    """Whether the table has the columns that the load wants, or gets them."""
    if not load.refresh:
        hint = "Pin its type with types: {column: type}."
        alter(cursor, qualified(*table), load.evolution, load.dataset.name, hint)
    described = cursor.execute(f"DESCRIBE {qualified(*table)}").fetchall()
    present = {name: kind for name, kind, *_ in described}
    fits = present == {column.name: column.type for column in table_columns(load)}
    if not fits:
        logger.warning(
            "%s: table %s is made anew with other columns, without its constraints",
            load.dataset.name,
            ".".join(table),
        )
    return fits


@dataclass(frozen=True, slots=True)
class Belongings:
    """What hangs on a table and is lost when it is made anew.

    Attributes:
        indexes: SQL by name.
        comments: Text by what it is on, as SQL names it.
    """

    indexes: Mapping[str, str]
    comments: Mapping[str, str]


def belongings(cursor: duckdb.DuckDBPyConnection, table: tuple[str, str]) -> Belongings:
    """What hangs on a table; nothing where there is none."""
    indexes = cursor.execute(
        f"SELECT index_name, sql, comment FROM duckdb_indexes() WHERE {_this(table)}"
    ).fetchall()
    comments = cursor.execute(
        f"SELECT NULL, comment FROM duckdb_tables() WHERE {_this(table)} UNION ALL "
        f"SELECT column_name, comment FROM duckdb_columns() WHERE {_this(table)}"
    ).fetchall()
    texts = {
        f"TABLE {qualified(*table)}" if column is None else f"COLUMN {qualified(*table, column)}": (
            text
        )
        for column, text in comments
    }
    texts |= {f"INDEX {qualified(table[0], name)}": text for name, _, text in indexes}
    return Belongings(
        {name: sql for name, sql, _ in indexes if sql},
        {what: text for what, text in texts.items() if text},
    )


def restore(
    cursor: duckdb.DuckDBPyConnection, table: tuple[str, str], before: Belongings, dataset: str
) -> None:
    """Put back what is gone, in the open transaction; what does not fit any more is told."""
    import duckdb

    now = belongings(cursor, table)
    gone = [sql for name, sql in before.indexes.items() if name not in now.indexes]
    gone += [
        f"COMMENT ON {what} IS {literal(text)}"
        for what, text in before.comments.items()
        if what not in now.comments
    ]
    for sql in gone:
        try:
            cursor.execute(sql)
        except duckdb.BinderException as error:  # a column is gone; the transaction goes on
            said = str(error).splitlines()[0]
            logger.warning("%s: not put back: %s (%s)", dataset, sql, said)
