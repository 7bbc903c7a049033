"""What DuckDB makes of a load's rows before a destination merges them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prefect_etl.core.cursor import Window
from prefect_etl.core.load import Load
from prefect_etl.core.rows import DELETED, ROW_HASH, ROW_NUMBER, UNIT_ID, VALID_FROM, VALID_TO
from prefect_etl.core.schema import Column
from prefect_etl.core.sql import identifier, literal
from prefect_etl.engine.loading import STREAM_ROWS, readable
from prefect_etl.errors import SchemaError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from prefect_etl.engine.duckdb import Session

# The key's values as a JSON array: how a tombstone knows its row.
KEY = "_etl_key"
MOMENT = "TIMESTAMP WITH TIME ZONE"
# Temporary, because a transaction of DuckDB's can write to one database file only.
_ROWS = "temp.main._etl_rows"
_LATEST = "_etl_latest"
_TIMES = ("DATE", "TIMESTAMP")
_ZONED = (MOMENT, "TIMESTAMPTZ")
# Whole numbers up to here are floating-point numbers, too.
_EXACT = 2**53


def table_columns(load: Load) -> list[Column]:
    """The columns of the table after a load.

    Raises:
        SchemaError: A column has a name that ``scd2`` needs for itself.
    """
    assert_names(load)
    columns = list(load.evolution.schema)
    if load.dataset.carries_unit:
        columns.append(Column(UNIT_ID, "BIGINT"))
    if load.dataset.write == "scd2":
        columns += [Column(VALID_FROM, MOMENT), Column(VALID_TO, MOMENT)]
        columns.append(Column(ROW_HASH, "VARCHAR"))
    return columns


def stage_columns(load: Load) -> list[Column]:
    """The columns of a staged row, with DuckDB's types."""
    columns = [*load.evolution.schema, Column(UNIT_ID, "BIGINT"), Column(DELETED, "BOOLEAN")]
    if buries(load):
        columns.append(Column(KEY, "VARCHAR"))
    if load.dataset.write == "scd2":
        columns += [Column(VALID_FROM, MOMENT), Column(ROW_HASH, "VARCHAR")]
    return columns


def buries(load: Load) -> bool:
    """Whether deletions leave a tombstone: older rows of their keys may still come."""
    return load.dataset.deleted_when is not None and load.dataset.cursor is not None


@dataclass(frozen=True, slots=True)
class Staged:
    """The rows of a load, read once.

    Attributes:
        latest: SQL (DuckDB) that selects, of each key, the row that counts: the columns that
            :func:`stage_columns` says.
        written: Rows that the load had.
        superseded: Rows that lost against a later one of their key, by unit.
        cursor: Where the rows are; nobody else sees them.
    """

    latest: str
    written: int
    superseded: Mapping[int, int]
    cursor: duckdb.DuckDBPyConnection

    def reader(self, sql: str | None = None, *, lossless: bool = True) -> pa.RecordBatchReader:
        """The latest rows as a stream of Arrow.

        Args:
            sql: A SELECT around :attr:`latest`, for casts.
            lossless: Give types that Arrow does not know as its extension types.
        """
        self.cursor.execute(f"SET arrow_lossless_conversion = {lossless}")
        return self.cursor.execute(sql or self.latest).to_arrow_reader(STREAM_ROWS)

    def drop(self) -> None:
        """Let go of the rows."""
        self.cursor.execute(f"DROP TABLE {_ROWS}")


@contextmanager
def staged(session: Session, load: Load) -> Iterator[Staged]:
    """Stage a load for a destination that is not DuckDB."""
    with session.cursor() as cursor:
        yield stage(cursor, load)


def stage(cursor: duckdb.DuckDBPyConnection, load: Load) -> Staged:
    """Read a load's rows, once, and say of each what a merge has to know.

    Raises:
        SchemaError: A column has a name that ``scd2`` needs for itself.
    """
    assert_names(load)
    columns = ", ".join(identifier(column.name) for column in load.evolution.schema)
    extra = "".join(f", {sql} AS {name}" for name, sql in _derived(load).items())
    with readable(cursor, load):
        made = cursor.execute(
            f"CREATE TEMP TABLE {_ROWS} AS SELECT {columns}, {UNIT_ID}{extra} FROM ({load.rows})"
        ).fetchone()
    superseded = cursor.execute(
        f"SELECT {UNIT_ID}, count(*) FROM {_ROWS} WHERE NOT {_LATEST} GROUP BY 1"
    ).fetchall()
    names = ", ".join(identifier(column.name) for column in stage_columns(load))
    return Staged(
        latest=f"SELECT {names} FROM {_ROWS} WHERE {_LATEST}",
        written=int(made[0]) if made else 0,
        superseded=dict(superseded),
        cursor=cursor,
    )


def assert_names(load: Load) -> None:
    """Make sure that no column has a name that ``scd2`` needs for itself.

    Raises:
        SchemaError: One has.
    """
    if load.dataset.write != "scd2":
        return
    for name in (VALID_FROM, VALID_TO):
        if load.evolution.schema.find(name) is not None:
            raise SchemaError(
                f"{load.dataset.name}: write: scd2 keeps the time of a version in {name}, and the "
                "source has a column of that name",
                hint=f"Use columns: {{rename: {{{name}: …}}}}.",
            )


def _derived(load: Load) -> dict[str, str]:
    """The columns of a staged row that are not the source's, and their SQL."""
    dataset = load.dataset
    derived = {
        _LATEST: _latest(load),
        DELETED: f"coalesce(({dataset.deleted_when or 'FALSE'}), FALSE)",
    }
    if buries(load):
        keys = ", ".join(identifier(name) for name in dataset.key)
        derived[KEY] = f"CAST(json_array({keys}) AS VARCHAR)"
    if dataset.write == "scd2":
        derived |= {VALID_FROM: _valid_from(load), ROW_HASH: row_hash(load)}
    return derived


def _latest(load: Load) -> str:
    keys = ", ".join(identifier(name) for name in load.dataset.key)
    name = load.dataset.cursor_column
    highest_first = f"{identifier(name)} DESC NULLS LAST, " if name else ""
    return (
        f"row_number() OVER (PARTITION BY {keys} "
        f"ORDER BY {highest_first}{UNIT_ID} DESC, {ROW_NUMBER} DESC) = 1"
    )


def _valid_from(load: Load) -> str:
    """The row's cursor where it is a time (UTC where it has no zone), else when it was read."""
    read = f"CAST({literal(moment_text(load.moment))} AS {MOMENT})"
    if load.dataset.cursor_column is None:
        return read
    column = load.evolution.schema[load.dataset.cursor_column]
    name = identifier(column.name)
    if column.type in _ZONED:
        return f"coalesce({name}, {read})"
    if column.type.startswith(_TIMES):
        return f"coalesce(timezone('UTC', CAST({name} AS TIMESTAMP)), {read})"
    return read


def moment_text(moment: datetime) -> str:
    """A time as DuckDB spells it.

    Example:
        >>> moment_text(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
        '2026-01-02 03:04:05.000000+00'
    """
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00"


def row_hash(load: Load) -> str:
    """SQL (DuckDB) of a hash that stays while the tracked columns hold the same.

    Only columns that are not null take part, by name, so a new column changes nothing where it is
    null; numbers are spelled so that a wider type changes nothing.
    """
    tracked = load.dataset.track or [
        name for name in load.evolution.schema.names if not _is_key_or_cursor(load, name)
    ]
    columns = sorted((load.evolution.schema[name] for name in tracked), key=lambda c: c.name)
    parts = (f"{literal(_json_name(c.name))} || to_json({_stable_text(c)})" for c in columns)
    return f"md5(concat_ws(',', '', {', '.join(parts)}))" if columns else "md5('')"


def _is_key_or_cursor(load: Load, name: str) -> bool:
    others = [*load.dataset.key, load.dataset.cursor_column or ""]
    return name.lower() in {other.lower() for other in others}


def _json_name(name: str) -> str:
    escaped = name.lower().replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}":'


def _stable_text(column: Column) -> str:
    value = identifier(column.name)
    if column.type in _ZONED:  # else its text depends on the machine's time zone
        return f"CAST(timezone('UTC', {value}) AS VARCHAR)"
    text = f"CAST({value} AS VARCHAR)"
    if column.type in ("FLOAT", "DOUBLE"):
        whole = f"{value} = trunc({value}) AND abs({value}) < {_EXACT}"
        exact = f"CAST(CAST({value} AS DOUBLE) AS VARCHAR)"
        return f"CASE WHEN {whole} THEN CAST(CAST({value} AS BIGINT) AS VARCHAR) ELSE {exact} END"
    if column.type.startswith("DECIMAL") and not column.type.endswith("]"):
        return (
            f"CASE WHEN contains({text}, '.') THEN rtrim(rtrim({text}, '0'), '.') ELSE {text} END"
        )
    return text


def bounds(cursor: duckdb.DuckDBPyConnection, load: Load) -> Window | None:
    """The window that a load reads again, its bounds spelled as DuckDB spells their type.

    None where it has no lower bound: nothing that is in the table is read again.
    """
    window, column = load.window, load.dataset.cursor_column
    if window is None or window.lower is None or column is None or load.refresh:
        return None
    kind = load.evolution.schema[column].type
    lower, upper = (
        f"CAST(CAST({literal(bound)} AS {kind}) AS VARCHAR)"
        for bound in (window.lower, window.upper)
    )
    found = cursor.execute(f"SELECT {lower}, {upper}").fetchall()
    return replace(window, lower=found[0][0], upper=found[0][1])
