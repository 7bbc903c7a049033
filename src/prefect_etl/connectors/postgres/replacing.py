"""Gives a table new contents, and leaves all else that it has: indexes, keys, grants, views.

There are two ways. Where nothing but the table itself would notice, a new table is filled beside
the old one and takes its place, with its indexes, constraints, owner, grants and comments: readers
wait only for the exchange of names. Where something depends on the table itself (a view, a foreign
key, a trigger, a publication), its rows are deleted and the new ones put in, in one transaction:
readers see the old rows until its end, too, but their space is free only after the next VACUUM.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.postgres import tables
from prefect_etl.connectors.postgres.columns import Carried
from prefect_etl.connectors.postgres.copying import Into
from prefect_etl.core.rows import RESERVED_PREFIX, VALID_FROM, VALID_TO
from prefect_etl.core.sql import identifier, literal, qualified

if TYPE_CHECKING:
    import psycopg

logger = logging.getLogger(__name__)

# What only the table itself can have, not a copy: each row is a reason, the first one is told.
_REASONS = """
WITH t AS (SELECT * FROM pg_class WHERE oid = %(oid)s)
SELECT 'it is no plain table' FROM t WHERE relkind <> 'r' OR relispartition OR relpersistence <> 'p'
    OR EXISTS (SELECT FROM pg_inherits WHERE inhrelid = t.oid)
UNION ALL SELECT 'it belongs to ' || relowner::regrole::text FROM t
    WHERE NOT pg_has_role(relowner, 'USAGE') OR NOT has_schema_privilege(relnamespace, 'CREATE')
UNION ALL SELECT 'it has settings of its own' FROM t
    WHERE reloptions IS NOT NULL OR reltablespace <> 0 OR relrowsecurity OR relforcerowsecurity
    OR relreplident <> 'd' OR relam <> (SELECT oid FROM pg_am WHERE amname = 'heap')
    OR EXISTS (SELECT FROM aclexplode(relacl) WHERE grantor <> relowner)
    OR EXISTS (SELECT FROM pg_seclabel WHERE objoid = t.oid)
UNION ALL SELECT 'a column has settings of its own' FROM t WHERE EXISTS (
    SELECT FROM pg_attribute WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped
    AND (attacl IS NOT NULL OR attoptions IS NOT NULL OR attidentity <> ''))
UNION ALL SELECT 'an index has settings of its own' FROM t WHERE EXISTS (
    SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = t.oid
    AND (i.indisclustered OR i.indisreplident OR i.indisexclusion OR NOT i.indisvalid
    OR c.reltablespace <> 0))
UNION ALL SELECT 'publication ' || pubname || ' has it' FROM pg_publication WHERE puballtables
UNION ALL SELECT 'a publication has its schema' FROM pg_publication_namespace
    WHERE pnnspid = (SELECT relnamespace FROM t)
UNION ALL SELECT pg_describe_object(d.classid, d.objid, d.objsubid) || ' depends on it'
    FROM t JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid
    WHERE d.classid NOT IN ('pg_type'::regclass, 'pg_attrdef'::regclass)
    AND d.objid <> t.reltoastrelid
    AND NOT EXISTS (SELECT FROM pg_index WHERE indexrelid = d.objid AND indrelid = t.oid)
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE oid = d.objid AND conrelid = t.oid
        AND contype IN ('c', 'n', 'p', 'u'))
UNION ALL SELECT pg_describe_object(d.classid, d.objid, d.objsubid) || ' depends on its rows'
    FROM t JOIN pg_type y ON y.oid = t.reltype
    JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass AND d.refobjid IN (y.oid, y.typarray)
    WHERE d.objid NOT IN (y.oid, y.typarray)
"""
_INDEXES = """
SELECT c.relname::text, pg_get_indexdef(c.oid),
    format('CREATE %%sINDEX %%I ON %%I.%%I USING ', CASE WHEN i.indisunique THEN 'UNIQUE ' END,
        c.relname, n.nspname, t.relname),
    i.indisunique, obj_description(c.oid, 'pg_class'), o.conname::text, o.contype::text,
    coalesce(o.condeferrable, FALSE), coalesce(o.condeferred, FALSE),
    obj_description(o.oid, 'pg_constraint')
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
LEFT JOIN pg_constraint o ON o.conindid = c.oid AND o.conrelid = t.oid AND o.contype IN ('p', 'u')
WHERE t.oid = %s AND NOT EXISTS (
    SELECT FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attname::text <> ALL (%s)
    AND (a.attnum = ANY (i.indkey) OR EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid
        AND d.refobjid = t.oid AND d.refobjsubid = a.attnum)))
ORDER BY c.oid
"""
_GRANTS = """
SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, privilege_type,
    is_grantable
FROM pg_class, aclexplode(relacl) WHERE oid = %s
"""


@dataclass(frozen=True, slots=True)
class Shape:
    """The columns that a table is to have.

    Attributes:
        columns: All of them.
        ours: Those that the ledger knows, with the types that they were made with; only these
            change their type or are dropped. The others are somebody else's.
    """

    columns: Sequence[Carried]
    ours: Mapping[str, str]


@contextmanager
def emptied(
    connection: psycopg.Connection[Any], table: tuple[str, str], shape: Shape, dataset: str
) -> Iterator[tuple[Into, int]]:
    """A table to fill in place of one that exists, and how many rows that had.

    Leaving the context without an error puts it there.

    Args:
        connection: In a transaction.
        table: The table.
        shape: Its columns.
        dataset: Named in errors and in what is logged.
    """
    name = qualified(*table)
    _run(connection, f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")
    removed = tables.count(connection, table)
    oid = tables.oid_of(connection, table)
    reason = connection.execute(_REASONS.encode(), {"oid": oid}).fetchone()
    if reason is None:
        # Named after the old one's number: loads of other tables do not meet it.
        new = (table[0], f"{RESERVED_PREFIX}{oid}")
        with _exchanged(connection, table, new, shape):
            kinds = tables.kinds_of(connection, new)
            yield Into(qualified(*new), kinds, dataset, new=True), removed
        return
    logger.info("%s: rows of %s are exchanged in place: %s", dataset, ".".join(table), reason[0])
    _run(connection, f"DELETE FROM {name}")
    _reshape(connection, table, shape)
    yield Into(name, tables.kinds_of(connection, table), dataset), removed


@contextmanager
def _exchanged(
    connection: psycopg.Connection[Any], table: tuple[str, str], new: tuple[str, str], shape: Shape
) -> Iterator[None]:
    """A new table that takes the place of the old one."""
    oid = tables.oid_of(connection, table)
    old_name, new_name = qualified(*table), qualified(*new)
    like = f"LIKE {old_name} INCLUDING ALL EXCLUDING INDEXES EXCLUDING STATISTICS"
    _run(connection, f"CREATE TABLE {new_name} ({like})")
    _reshape(connection, new, shape)
    yield
    kept = list(tables.kinds_of(connection, new))
    indexes = connection.execute(_INDEXES.encode(), (oid, kept)).fetchall()
    made = [(_Index(*facts), f"{new[1]}_{n}") for n, facts in enumerate(indexes)]
    for index, interim in made:
        _run(connection, index.definition(new, interim))
    _copy_rights(connection, oid, new_name)
    _run(connection, f"DROP TABLE {old_name}")
    _run(connection, f"ALTER TABLE {new_name} RENAME TO {identifier(table[1])}")
    for index, interim in made:
        for sql in index.named(table, interim):
            _run(connection, sql)


@dataclass(frozen=True, slots=True)
class _Index:
    name: str
    sql: str
    beginning: str
    unique: bool
    comment: str | None
    constraint: str | None
    kind: str | None
    deferrable: bool
    deferred: bool
    constraint_comment: str | None

    def definition(self, table: tuple[str, str], name: str) -> str:
        """The statement that makes such an index of another table."""
        return (
            f"CREATE {'UNIQUE ' if self.unique else ''}INDEX {identifier(name)} "
            f"ON {qualified(*table)} USING {self.sql.removeprefix(self.beginning)}"
        )

    def named(self, table: tuple[str, str], interim: str) -> Iterator[str]:
        """The statements that give it its name, constraint and comments."""
        name, present = qualified(table[0], self.name), qualified(table[0], interim)
        if self.constraint is None:
            yield f"ALTER INDEX {present} RENAME TO {identifier(self.name)}"
        else:
            kind = "PRIMARY KEY" if self.kind == "p" else "UNIQUE"
            when = " DEFERRABLE" if self.deferrable else ""
            when += " INITIALLY DEFERRED" if self.deferred else ""
            added = f"ADD CONSTRAINT {identifier(self.constraint)} {kind}"
            yield f"ALTER TABLE {qualified(*table)} {added} USING INDEX {identifier(interim)}{when}"
            if self.constraint_comment is not None:
                named = f"{identifier(self.constraint)} ON {qualified(*table)}"
                yield f"COMMENT ON CONSTRAINT {named} IS {literal(self.constraint_comment)}"
        if self.comment is not None:
            yield f"COMMENT ON INDEX {name} IS {literal(self.comment)}"


def _copy_rights(connection: psycopg.Connection[Any], oid: int | None, new: str) -> None:
    """Owner, grants and comment."""
    row = connection.execute(
        "SELECT relowner::regrole::text, relacl IS NOT NULL, obj_description(oid, 'pg_class') "
        "FROM pg_class WHERE oid = %s",
        (oid,),
    ).fetchone()
    owner, granted, comment = row or (None, False, None)
    if comment is not None:
        _run(connection, f"COMMENT ON TABLE {new} IS {literal(comment)}")
    new_oid = connection.execute("SELECT %s::regclass::oid", (new,)).fetchone()
    for grantee, _, _ in connection.execute(_GRANTS.encode(), new_oid).fetchall():
        _run(connection, f"REVOKE ALL ON {new} FROM {grantee}")
    _run(connection, f"ALTER TABLE {new} OWNER TO {owner}")
    if not granted:
        return
    _run(connection, f"REVOKE ALL ON {new} FROM {owner}")
    for grantee, privilege, grantable in connection.execute(_GRANTS.encode(), (oid,)).fetchall():
        option = " WITH GRANT OPTION" if grantable else ""
        _run(connection, f"GRANT {privilege} ON {new} TO {grantee}{option}")


def _reshape(connection: psycopg.Connection[Any], table: tuple[str, str], shape: Shape) -> None:
    """Give a table without rows the columns that it is to have."""
    name, held = qualified(*table), tables.kinds_of(connection, table)
    wanted = {column.name: column.kind for column in shape.columns}
    changes = [
        f"ADD COLUMN {identifier(column)} {kind}"
        for column, kind in wanted.items()
        if column not in held
    ]
    for column, kind in held.items():
        mine = shape.ours.get(column) == kind
        if column in wanted and wanted[column] != kind and mine:
            using = f"USING NULL::{wanted[column]}"
            changes.append(f"ALTER COLUMN {identifier(column)} TYPE {wanted[column]} {using}")
        elif column not in wanted and (mine or _is_ours(column)):
            changes.append(f"DROP COLUMN {identifier(column)}")
    if changes:
        _run(connection, f"ALTER TABLE {name} {', '.join(changes)}")


def _is_ours(column: str) -> bool:
    return column.startswith(RESERVED_PREFIX) or column in (VALID_FROM, VALID_TO)


def _run(connection: psycopg.Connection[Any], sql: str) -> None:
    connection.execute(sql.encode())
