"""What a PostgreSQL database has: relations, their columns with types, keys and sizes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.base import FoundTable
from prefect_etl.connectors.postgres.carrying import PgType, carried
from prefect_etl.connectors.postgres.connection import PostgresConnection, translated
from prefect_etl.connectors.relational import DatabaseDataset, with_values
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.core.schema import Column, TableSchema
from prefect_etl.core.sql import literal, literals, qualified
from prefect_etl.errors import SchemaError, SourceReadError

if TYPE_CHECKING:
    import psycopg

logger = logging.getLogger(__name__)
_KINDS = {
    "r": "table",
    "p": "table",
    "f": "table",
    "v": "view",
    "m": "view",
}
_NOT_OURS = "('pg_catalog', 'information_schema', 'pg_toast', '_prefect_etl')"
# The primary key, or else a unique index of columns that are never null.
_KEYS = """
SELECT i.indrelid, array_agg(a.attname::text ORDER BY k.place)
FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place), pg_attribute a
WHERE a.attrelid = i.indrelid AND a.attnum = k.number AND k.place <= i.indnkeyatts
AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
AND i.indrelid = ANY ({})
GROUP BY i.indrelid, i.indexrelid, i.indisprimary
HAVING bool_and(a.attnotnull) ORDER BY i.indisprimary, count(*) DESC
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A relation or query, as it is to be read.

    Attributes:
        selected: As it stands behind FROM.
        columns: Names and types, in order.
        key: The columns of its primary key, or of another that is as good; empty where it has none.
        kind: ``relkind``: r, p, v, m or f; q for a query.
        pages: About how many pages its rows fill.
        rows: About how many rows; None where nothing is known.
        server: The server's version, as 180001.
    """

    selected: str
    columns: tuple[tuple[str, PgType], ...]
    key: tuple[str, ...] = ()
    kind: str = "q"
    pages: int = 0
    rows: int | None = None
    server: int = 0
    money_scale: int = 2

    def type_of(self, column: str) -> PgType:
        """The type of a column."""
        return dict(self.columns)[column]

    @property
    def has_pages(self) -> bool:
        """Whether rows can be read by their place in the table's pages, quickly."""
        return self.kind in "rm" and self.server >= 140_000


def reflect(connection: psycopg.Connection[Any], dataset: DatabaseDataset) -> Found:
    """Find what a dataset reads.

    Raises:
        SourceReadError: It is not there, or has no columns, or two of one name.
        EtlError: As the server says.
    """
    if dataset.query is not None:
        query = with_values(dataset.query, dataset.parameters).strip().rstrip(";")
        found = Found(f"({query}\n) AS etl_query", ())
    else:
        found = _relation(connection, dataset)
    columns = _columns(connection, found.selected, dataset.name)
    if found.kind != "q":
        columns = _with_dimensions(connection, found.selected, columns)
    scale = 2
    if any(_base(kind).name == "money" for _, kind in columns):
        scale = int(_rows(connection, "SELECT scale(0::money::numeric)")[0][0])
    server = connection.info.server_version
    return replace(found, columns=columns, server=server, money_scale=scale)


def _base(kind: PgType) -> PgType:
    return kind.element or kind


def _relation(connection: psycopg.Connection[Any], dataset: DatabaseDataset) -> Found:
    table = dataset.table_ or ""
    rows = _rows(
        connection,
        "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relpages, c.reltuples, "
        "pg_table_is_visible(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE c.relkind IN ({literals(_KINDS)}) AND n.nspname NOT IN {_NOT_OURS}",
    )
    oid, schema, name, kind, pages, estimate, _ = _matching(table, rows, dataset.name)
    if kind in "rpm":
        pages, estimate = _size(connection, oid, int(pages), float(estimate))
    keys = _rows(connection, _KEYS.format(f"ARRAY[{int(oid)}]::oid[]"))
    return Found(
        selected=qualified(schema, name),
        columns=(),
        key=tuple(keys[-1][1]) if keys else (),
        kind=kind,
        pages=pages,
        rows=int(estimate) if estimate >= 0 else None,
    )


def _matching(table: str, rows: Sequence[tuple[Any, ...]], dataset: str) -> tuple[Any, ...]:
    """The relation that a name means: as it is written, or else but for case."""
    schema, _, name = table.rpartition(".")
    for same in (str, str.lower):
        for row in rows:
            written = (same(row[1]), same(row[2])) == (same(schema), same(name))
            if written or (row[6] and same(row[2]) == same(table)):
                return row
    known = [row[2] if row[6] else f"{row[1]}.{row[2]}" for row in rows]
    raise SourceReadError(
        f"{dataset}: the database has no table {table}{did_you_mean(table, known)}",
        hint="Check table: in the pipeline file; `prefect-etl connections discover` lists all.",
    )


def _size(
    connection: psycopg.Connection[Any], oid: int, pages: int, estimate: float
) -> tuple[int, float]:
    """Pages and rows as they are now: what was counted last, grown as the table has."""
    ((now, counted_pages, counted_rows),) = _rows(
        connection,
        "SELECT sum(pg_relation_size(c.oid)) / current_setting('block_size')::int, "
        "sum(c.relpages), sum(greatest(c.reltuples, 0)) FROM pg_class c WHERE c.relkind IN "
        f"('r', 'm') AND c.oid IN (SELECT {int(oid)}::oid UNION ALL "
        f"SELECT relid FROM pg_partition_tree({int(oid)}::regclass) WHERE isleaf)",
    )
    if now is None:
        return pages, estimate
    # Rows of 100 bytes, where nobody has counted yet.
    density = float(counted_rows) / counted_pages if counted_pages and counted_rows else 80.0
    return int(now), float(now) * density


def _columns(
    connection: psycopg.Connection[Any], selected: str, dataset: str
) -> tuple[tuple[str, PgType], ...]:
    # In binary, because a text would be sent so that it may hold several statements.
    cursor = connection.execute(f"SELECT * FROM {selected} LIMIT 0".encode(), binary=True)
    result, described = cursor.pgresult, cursor.description or ()
    if result is None or not described:
        raise SourceReadError(f"{dataset}: it has no columns, so there is nothing to load")
    names = [column.name for column in described]
    for name in names:
        if names.count(name) > 1:
            raise SourceReadError(
                f"{dataset}: the query has two columns named {name}",
                hint="Give each a name of its own with AS.",
            )
    oids = [column.type_code for column in described]
    types = _types(connection, oids)
    modifiers = [result.fmod(number) for number in range(len(names))]
    return tuple(
        (name, _resolved(types, oid, modifier))
        for name, oid, modifier in zip(names, oids, modifiers, strict=True)
    )


def _with_dimensions(
    connection: psycopg.Connection[Any], selected: str, columns: tuple[tuple[str, PgType], ...]
) -> tuple[tuple[str, PgType], ...]:
    """Arrays with the number of dimensions that they were declared with."""
    if all(kind.element is None for _, kind in columns):
        return columns
    found = _rows(
        connection,
        "SELECT attname::text, attndims FROM pg_attribute "
        f"WHERE attrelid = {literal(selected)}::regclass AND attnum > 0",
    )
    declared = dict(found)
    return tuple((name, replace(kind, dimensions=declared.get(name, 0))) for name, kind in columns)


_TypeRow = tuple[Any, ...]


def _types(connection: psycopg.Connection[Any], oids: Iterable[int]) -> Mapping[int, _TypeRow]:
    wanted = ", ".join(str(int(oid)) for oid in {*oids})
    rows = _rows(
        connection,
        "WITH RECURSIVE needed AS ("
        f"SELECT t.oid, t.typelem, t.typbasetype FROM pg_type t WHERE t.oid IN ({wanted}) UNION "
        "SELECT t.oid, t.typelem, t.typbasetype FROM needed n "
        "JOIN pg_type t ON t.oid IN (n.typelem, n.typbasetype)) "
        "SELECT t.oid, t.typname::text, t.typtype::text, t.typbasetype, t.typtypmod, "
        "CASE WHEN e.typarray = t.oid THEN t.typelem ELSE 0 END, s.nspname = 'pg_catalog' "
        "FROM needed JOIN pg_type t USING (oid) JOIN pg_namespace s ON s.oid = t.typnamespace "
        "LEFT JOIN pg_type e ON e.oid = t.typelem",
    )
    return {row[0]: row for row in rows}


def _resolved(types: Mapping[int, _TypeRow], oid: int, modifier: int) -> PgType:
    _, name, kind, base, base_modifier, element, builtin = types[oid]
    if kind == "d":
        return _resolved(types, base, base_modifier if modifier < 0 else modifier)
    inner = _resolved(types, element, modifier) if element else None
    return PgType(name, kind, modifier, inner, builtin)


def discover(config: PostgresConnection, session: object) -> list[FoundTable]:
    """All tables and views that the user may read, with row estimates.

    Args:
        config: Where the database is.
        session: Not needed: the server is asked.

    Raises:
        EtlError: The server cannot be asked.
    """
    del session
    with translated(config.display), config.connect() as connection:
        return _found_tables(connection)


def _found_tables(connection: psycopg.Connection[Any]) -> list[FoundTable]:
    relations = _rows(
        connection,
        "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, "
        "CASE WHEN c.relkind = 'p' THEN (SELECT sum(greatest(l.reltuples, 0)) FROM "
        "pg_partition_tree(c.oid::regclass) p JOIN pg_class l ON l.oid = p.relid AND p.isleaf) "
        "ELSE c.reltuples END FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE c.relkind IN ({literals(_KINDS)}) AND n.nspname NOT IN {_NOT_OURS} "
        "AND n.nspname NOT LIKE 'pg\\_temp\\_%' AND NOT c.relispartition "
        "AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass "
        "AND d.objid = c.oid AND d.deptype = 'e') "  # what an extension brought is no data
        "AND has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT') "
        "ORDER BY n.nspname, c.relname",
    )
    if not relations:
        return []
    oids = ", ".join(str(int(row[0])) for row in relations)
    attributes = _rows(
        connection,
        "SELECT attrelid, attname::text, atttypid, atttypmod, attndims FROM pg_attribute "
        f"WHERE attrelid IN ({oids}) AND attnum > 0 AND NOT attisdropped ORDER BY attrelid, attnum",
    )
    types = _types(connection, [row[2] for row in attributes] or [25])
    columns: dict[int, list[Column]] = {}
    for relation, name, oid, modifier, dimensions in attributes:
        kind = replace(_resolved(types, oid, modifier), dimensions=dimensions)
        columns.setdefault(relation, []).append(Column(name, carried(name, kind).type))
    keys = dict(_rows(connection, _KEYS.format(f"ARRAY[{oids}]::oid[]")))
    found = []
    for oid, schema, name, kind, rows in relations:
        try:
            shape = TableSchema(tuple(columns.get(oid, ())))
        except SchemaError as error:  # one such table must not hide the others
            logger.warning("%s.%s is left out: %s", schema, name, error.message)
            continue
        estimate = int(rows) if rows is not None and rows >= 0 and kind != "v" else None
        key = tuple(keys.get(oid, ()))
        found.append(FoundTable(schema, name, _KINDS[kind], shape, key, estimate))
    return found


def described(config: PostgresConnection) -> str:
    """To what a connection leads: ``PostgreSQL 18.1, database shop, user etl``.

    Raises:
        EtlError: The server does not answer, or refuses.
    """
    with translated(config.display), config.connect() as connection:
        ((version, database, user),) = _rows(
            connection,
            "SELECT current_setting('server_version'), current_database(), current_user",
        )
    return f"PostgreSQL {version.split()[0]}, database {database}, user {user}"


def _rows(connection: psycopg.Connection[Any], sql: str) -> list[tuple[Any, ...]]:
    return connection.execute(sql.encode()).fetchall()
