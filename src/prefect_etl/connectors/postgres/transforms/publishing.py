"""How a transformation's result becomes a table or view of PostgreSQL, with its ledger entry."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from prefect_etl.connectors.postgres import ledger as load_ledger
from prefect_etl.connectors.postgres import tables
from prefect_etl.connectors.postgres.columns import Carried, assert_name
from prefect_etl.connectors.postgres.commitment import PATIENCE_SECONDS, Backend
from prefect_etl.connectors.postgres.connection import PostgresConnection, translated
from prefect_etl.connectors.postgres.copying import Into, fitted
from prefect_etl.connectors.postgres.replacing import Shape, emptied
from prefect_etl.connectors.postgres.transforms import ledger
from prefect_etl.connectors.postgres.transforms.faults import of_dependents
from prefect_etl.connectors.postgres.transforms.views import write_view
from prefect_etl.connectors.postgres.transforms.widening import widened
from prefect_etl.connectors.transforming import Publication, Published
from prefect_etl.core.schema import UNKNOWN, TableSchema
from prefect_etl.core.sql import identifier, qualified
from prefect_etl.core.warehouse import Snapshot, TableVersion, TransformationState
from prefect_etl.errors import BusyError, ConfigError, UnreachableError, VersionConflict

if TYPE_CHECKING:
    import psycopg

logger = logging.getLogger(__name__)
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_POLL_SECONDS = 0.25


def publish(
    connection: psycopg.Connection[Any], publication: Publication, wait: float
) -> Published:
    """Write a result and the ledger in a transaction that is then open; :func:`commit` ends it.

    Args:
        connection: The session that has the staged result.
        publication: What is to be written.
        wait: Seconds to wait for others that hold the table.

    Raises:
        VersionConflict: Another run built the table meanwhile.
        ConfigError: The table belongs to somebody else, or something depends on what would go.
        SchemaError: An incremental result does not fit its table.
    """
    import psycopg

    connection.execute(_BEGIN)
    connection.execute(f"SET LOCAL lock_timeout = '{int(wait * 1000)}ms'".encode())
    load_ledger.lock(connection, _table(publication))
    before = ledger.read_snapshot(connection)
    _assert_owned(publication, before)
    version = _next_version(publication, before.transformations.get(publication.table))
    try:
        columns, rows = _write(connection, publication, before)
    except psycopg.Error as error:
        raise of_dependents(error, publication.name) or error from error
    ledger.record(connection, publication, version, columns, rows)
    return Published(version, rows)


def commit(
    connection: psycopg.Connection[Any],
    database: PostgresConnection,
    publication: Publication,
    published: Published,
) -> None:
    """End the transaction; where the reply is lost, the ledger tells what became of it.

    Raises:
        UnreachableError: The server hung up, and nothing was published, or it cannot be asked.
    """
    import psycopg

    sender = Backend.of(connection)
    try:
        connection.execute("COMMIT")
    except psycopg.OperationalError as error:
        if not connection.closed:
            raise
        if not _was_published(database, publication, published.version, sender):
            raise UnreachableError(
                f"{publication.name}: the server hung up before COMMIT",
                hint="Nothing was published: run again.",
            ) from error


def _was_published(
    database: PostgresConnection, publication: Publication, version: TableVersion, sender: Backend
) -> bool:
    logger.warning("%s: no reply to COMMIT; asking the ledger", publication.name)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with database.connect() as connection, translated(publication.name):
                sender.end(connection)
                connection.execute("SET lock_timeout = '2s'")
                with connection.transaction():
                    # The session that got the COMMIT holds it until it is done with it.
                    load_ledger.lock(connection, _table(publication))
                    return ledger.is_published(connection, publication, version)
        except (UnreachableError, BusyError):
            if time.monotonic() > deadline:
                raise
        time.sleep(_POLL_SECONDS)


def _table(publication: Publication) -> tuple[str, str]:
    return publication.table.schema, publication.table.name


def _assert_owned(publication: Publication, before: Snapshot) -> None:
    obstacle = before.obstacle(publication.table, publication.pipeline)
    if obstacle is not None:
        raise ConfigError(
            f"{publication.name}: {obstacle}",
            hint="Give this transformation another table with into: or schema:.",
        )


def _next_version(publication: Publication, state: TransformationState | None) -> TableVersion:
    found = state.version if state else None
    if found != publication.built_on:
        raise VersionConflict(
            f"{publication.name}: another run built its table meanwhile",
            hint="Nothing is lost: run again.",
        )
    return TableVersion(found.number + 1, found.history) if found else TableVersion(1, uuid4().hex)


def _write(
    connection: psycopg.Connection[Any], publication: Publication, before: Snapshot
) -> tuple[TableSchema, int | None]:
    table = _table(publication)
    for name, what in zip(table, ("schema", "table"), strict=True):
        assert_name(name, what)
    wanted = "view" if publication.kind == "view" else "table"
    present = before.tables.get(publication.table)
    if present is not None and present != wanted:
        _run(connection, f"DROP {present.upper()} {qualified(*table)}")
        present = None
    if publication.view is not None:
        tables.ensure_schema(connection, table[0])
        write_view(connection, publication, publication.view)
        return publication.staged.columns, None
    state = before.transformations.get(publication.table)
    if state is not None and present is not None:
        return _into(connection, publication, state)
    return _created(connection, publication)


def _created(
    connection: psycopg.Connection[Any], publication: Publication
) -> tuple[TableSchema, int]:
    table, columns = _table(publication), _carried(publication)
    tables.create(connection, table, columns)
    into = Into(qualified(*table), {c.name: c.kind for c in columns}, publication.name)
    rows = _inserted(connection, publication, into)
    return _finished(connection, publication, rows)


def _into(
    connection: psycopg.Connection[Any], publication: Publication, state: TransformationState
) -> tuple[TableSchema, int]:
    """Write into the table of an earlier build."""
    table = _table(publication)
    if state.kind == "incremental":
        _drop_key(connection, table, publication.key)
        if publication.kind == "incremental" and not publication.refresh:
            return _merged(connection, publication)
    ours = {column.name: column.type for column in state.columns}
    shape = Shape(_carried(publication), ours)
    with emptied(connection, table, shape, publication.name) as (into, _):
        rows = _inserted(connection, publication, into)
    return _finished(connection, publication, rows)


def _merged(
    connection: psycopg.Connection[Any], publication: Publication
) -> tuple[TableSchema, int]:
    """Replace the rows of the result's keys; rows of other keys stay."""
    table, stage = _table(publication), publication.staged.relation
    name = qualified(*table)
    _run(connection, f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")
    held = tables.kinds_of(connection, table)
    wanted = widened(publication, held)
    columns = [Carried(c, kind, identifier(c), kind) for c, kind in wanted.items()]
    changed = [column for column, kind in wanted.items() if held.get(column) != kind]
    tables.alter(connection, table, columns, changed, publication.name)
    key = [*map(_spelling(held), publication.key)]
    tables.ensure_keys(connection, table, key, versions=False)
    given = [publication.staged.columns[name].name for name in key]
    same = " AND ".join(
        f"t.{identifier(mine)} = s.{identifier(theirs)}"
        for mine, theirs in zip(key, given, strict=True)
    )
    _run(connection, f"DELETE FROM {name} t USING {stage} s WHERE {same}")
    _inserted(connection, publication, Into(name, wanted, publication.name))
    return _finished(connection, publication, tables.count(connection, table))


def _inserted(connection: psycopg.Connection[Any], publication: Publication, into: Into) -> int:
    stage, spelled = publication.staged.relation, _spelling(into.kinds)
    names, values = [], []
    for column in _carried(publication):
        name = spelled(column.name)
        names.append(identifier(name))
        values.append(fitted(connection, stage, column, into.kinds[name], publication.name))
    given = f"({', '.join(names)}) SELECT {', '.join(values)} FROM {stage}"
    return connection.execute(f"INSERT INTO {into.table} {given}".encode()).rowcount


def _finished(
    connection: psycopg.Connection[Any], publication: Publication, rows: int
) -> tuple[TableSchema, int]:
    table = _table(publication)
    kinds = tables.kinds_of(connection, table)
    if publication.key:
        key = [*map(_spelling(kinds), publication.key)]
        tables.ensure_keys(connection, table, key, versions=False)
    _run(connection, f"ANALYZE {qualified(*table)}")
    return TableSchema.from_pairs(kinds.items()), rows


def _drop_key(
    connection: psycopg.Connection[Any], table: tuple[str, str], key: Sequence[str]
) -> None:
    """Drop the primary key that an incremental build made, where the key is another one now."""
    row = connection.execute(
        "SELECT conname::text, ARRAY(SELECT attname::text FROM pg_attribute "
        "WHERE attrelid = conrelid AND attnum = ANY(conkey)) FROM pg_constraint "
        "WHERE contype = 'p' AND conrelid = %s",
        (tables.oid_of(connection, table),),
    ).fetchone()
    if row is not None and {name.lower() for name in row[1]} != {name.lower() for name in key}:
        _run(connection, f"ALTER TABLE {qualified(*table)} DROP CONSTRAINT {identifier(row[0])}")


def _carried(publication: Publication) -> list[Carried]:
    """The result's columns; text where it is not known what they are."""
    kinds = {c.name: "text" if c.type == UNKNOWN else c.type for c in publication.staged.columns}
    return [Carried(name, kind, identifier(name), kind) for name, kind in kinds.items()]


def _spelling(columns: Mapping[str, str]) -> Callable[[str], str]:
    """How a table spells a column's name, whose case PostgreSQL heeds and people do not."""
    names = {name.lower(): name for name in columns}
    return lambda name: names.get(name.lower(), name)


def _run(connection: psycopg.Connection[Any], sql: str) -> None:
    connection.execute(sql.encode())
