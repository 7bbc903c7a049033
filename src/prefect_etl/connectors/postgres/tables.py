"""What the catalog says of a table, and how a table is made and changed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.postgres.columns import Carried
from prefect_etl.connectors.postgres.ledger import LOCK_SPACE, lock_name
from prefect_etl.core.rows import VALID_FROM, VALID_TO
from prefect_etl.core.sql import identifier, qualified
from prefect_etl.errors import SchemaError

if TYPE_CHECKING:
    import psycopg

_INTEGERS = ("smallint", "integer", "bigint")
# The whole numbers that a double precision holds, and beside which it has no other.
_EXACT = 2**53


def oid_of(connection: psycopg.Connection[Any], table: tuple[str, str]) -> int | None:
    """The number of a table or view; None where there is none of this name."""
    row = connection.execute(
        "SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
        table,
    ).fetchone()
    return row[0] if row else None


def kinds_of(connection: psycopg.Connection[Any], table: tuple[str, str]) -> dict[str, str]:
    """The columns of a table with their types, in order."""
    return dict(
        connection.execute(
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            (oid_of(connection, table),),
        ).fetchall()
    )


def ensure_schema(connection: psycopg.Connection[Any], name: str) -> None:
    """Make a schema where it is missing, which takes a privilege that not all have."""
    row = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (name,)).fetchone()
    if row is None:
        _run(connection, f"CREATE SCHEMA IF NOT EXISTS {identifier(name)}")


def create(
    connection: psycopg.Connection[Any], table: tuple[str, str], columns: Sequence[Carried]
) -> None:
    """Make a table, and its schema where that is missing."""
    ensure_schema(connection, table[0])
    # The beginning of a version is the one column of which it is known.
    given = ", ".join(
        f"{identifier(c.name)} {c.kind}{' NOT NULL' if c.name == VALID_FROM else ''}"
        for c in columns
    )
    _run(connection, f"CREATE TABLE {qualified(*table)} ({given})")


def alter(
    connection: psycopg.Connection[Any],
    table: tuple[str, str],
    columns: Sequence[Carried],
    widened: Collection[str],
    dataset: str,
) -> None:
    """Add the columns that are missing, and give others the type that they are widened to.

    Args:
        connection: In a transaction.
        table: The table.
        columns: All that it is to have; others that it has stay.
        widened: Columns whose type may change.
        dataset: Named in errors.

    Raises:
        SchemaError: A value would not survive the widening of its column.
    """
    name, present = qualified(*table), kinds_of(connection, table)
    for column in columns:
        held = present.get(column.name)
        if held is None:
            _run(
                connection, f"ALTER TABLE {name} ADD COLUMN {identifier(column.name)} {column.kind}"
            )
        elif column.name in widened and held != column.kind:
            _assert_survives(connection, name, column, held, dataset)
            change = f"ALTER COLUMN {identifier(column.name)} TYPE {column.kind}"
            _run(connection, f"ALTER TABLE {name} {change}")


def _assert_survives(
    connection: psycopg.Connection[Any], name: str, column: Carried, held: str, dataset: str
) -> None:
    value = identifier(column.name)
    lost = f"CAST(CAST({value} AS {column.kind}) AS {held}) IS DISTINCT FROM {value}"
    if column.kind == "double precision" and held != "real":
        whole = held in _INTEGERS or held.endswith(",0)")
        lost = f"abs({value}::numeric) > {_EXACT}" if whole else lost
    row = connection.execute(f"SELECT {value} FROM {name} WHERE {lost} LIMIT 1".encode()).fetchone()
    if row is not None:
        raise SchemaError(
            f"{dataset}: column {column.name} would be widened from {held} to {column.kind}, "
            f"and its value {row[0]} would change",
            hint="Pin its type with types: {column: type}.",
        )


def ensure_keys(
    connection: psycopg.Connection[Any],
    table: tuple[str, str],
    key: Sequence[str],
    *,
    versions: bool,
) -> None:
    """Give a table the index by which its rows are found, where it has none that is unique.

    Args:
        connection: In a transaction.
        table: The table.
        key: The columns that identify a row.
        versions: A key has several rows (``scd2``), one of which is current.
    """
    wanted = (*key, VALID_FROM) if versions else key
    if _has_unique(connection, table, wanted):
        return
    name, columns = qualified(*table), ", ".join(map(identifier, key))
    if not versions:
        if _primary_key(connection, table) is None:
            _run(connection, f"ALTER TABLE {name} ADD PRIMARY KEY ({columns})")
        else:  # of an adopted table, of other columns
            _run(connection, f"CREATE UNIQUE INDEX ON {name} ({columns})")
        return
    _run(connection, f"CREATE UNIQUE INDEX ON {name} ({columns}, {identifier(VALID_FROM)})")
    _run(
        connection,
        f"CREATE UNIQUE INDEX ON {name} ({columns}) WHERE {identifier(VALID_TO)} IS NULL",
    )


def drop_other_key(
    connection: psycopg.Connection[Any], table: tuple[str, str], key: Collection[str]
) -> None:
    """Drop the primary key where it is of other columns: an earlier load had another key."""
    found = _primary_key(connection, table)
    if found is not None and set(found[1]) != set(key):
        _run(connection, f"ALTER TABLE {qualified(*table)} DROP CONSTRAINT {identifier(found[0])}")


def _primary_key(
    connection: psycopg.Connection[Any], table: tuple[str, str]
) -> tuple[str, list[str]] | None:
    """Its name and columns; None where there is none."""
    found: tuple[str, list[str]] | None = connection.execute(
        "SELECT o.conname::text, array_agg(a.attname::text) FROM pg_constraint o "
        "JOIN pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = ANY(o.conkey) "
        "WHERE o.conrelid = %s AND o.contype = 'p' GROUP BY o.conname",
        (oid_of(connection, table),),
    ).fetchone()
    return found


def _has_unique(
    connection: psycopg.Connection[Any], table: tuple[str, str], columns: Collection[str]
) -> bool:
    found = connection.execute(
        "SELECT array_agg(a.attname::text) FROM pg_index i "
        "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) "
        "WHERE i.indrelid = %s AND i.indisunique AND i.indisvalid "
        "AND i.indpred IS NULL AND i.indexprs IS NULL GROUP BY i.indexrelid",
        (oid_of(connection, table),),
    ).fetchall()
    return any(set(names) <= set(columns) for (names,) in found)


def holders(connection: psycopg.Connection[Any], table: tuple[str, str]) -> list[str]:
    """The sessions that load a table, or hold a lock on it that a load has to wait for."""
    found = connection.execute(
        "SELECT DISTINCT l.pid, a.application_name FROM pg_locks l "
        "JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.granted AND l.pid <> pg_backend_pid() "
        "AND a.datname = current_database() AND (l.relation = %s OR (l.locktype = 'advisory' "
        "AND l.classid = %s AND l.objid::bigint = hashtext(%s)::bigint & 4294967295))",
        (oid_of(connection, table), LOCK_SPACE, lock_name(table)),
    ).fetchall()
    return [f"process {pid} of the server ({name or 'unnamed'})" for pid, name in sorted(found)]


def count(connection: psycopg.Connection[Any], table: tuple[str, str]) -> int:
    """How many rows a table has."""
    row = connection.execute(f"SELECT count(*) FROM {qualified(*table)}".encode()).fetchone()
    return int(row[0]) if row else 0


def estimate(connection: psycopg.Connection[Any], table: tuple[str, str]) -> float:
    """About how many rows a table has, as the planner believes."""
    row = connection.execute(
        "SELECT reltuples FROM pg_class WHERE oid = %s", (oid_of(connection, table),)
    ).fetchone()
    return max(float(row[0]), 0) if row else 0


def _run(connection: psycopg.Connection[Any], sql: str) -> None:
    connection.execute(sql.encode())
