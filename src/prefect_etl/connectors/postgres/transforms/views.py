"""Views of transformations: replaced in place, or made anew with the grants that they had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.postgres import tables
from prefect_etl.connectors.postgres.transforms.faults import of_user
from prefect_etl.connectors.postgres.transforms.understanding import assert_harmless
from prefect_etl.connectors.transforming import Publication, Select
from prefect_etl.core.sql import qualified

if TYPE_CHECKING:
    import psycopg

_GRANTS = """
SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, privilege_type,
    is_grantable
FROM pg_class, aclexplode(relacl) WHERE oid = %s AND grantee <> relowner
"""


def write_view(
    connection: psycopg.Connection[Any], publication: Publication, select: Select
) -> None:
    """Make or replace a view.

    Where the columns are the old ones, or the old ones and more, it is replaced in place, and what
    depends on it stays. Otherwise it is dropped and made again, which the server refuses while
    something depends on it.

    Args:
        connection: In a transaction.
        publication: The view's name, and what it is for.
        select: The SELECT to store, without parameters.

    Raises:
        ConfigError: It uses what it may not use.
    """
    import psycopg

    table = publication.table.schema, publication.table.name
    name = qualified(*table)
    try:
        with connection.transaction():
            _make(connection, f"CREATE OR REPLACE VIEW {name} AS\n{select.sql}")
    except psycopg.errors.InvalidTableDefinition:
        grants = connection.execute(
            _GRANTS.encode(), (tables.oid_of(connection, table),)
        ).fetchall()
        connection.execute(f"DROP VIEW {name}".encode())
        with of_user(f"\n{select.sql}"):
            _make(connection, f"CREATE VIEW {name} AS\n{select.sql}")
        for grantee, privilege, grantable in grants:
            option = " WITH GRANT OPTION" if grantable else ""
            connection.execute(f"GRANT {privilege} ON {name} TO {grantee}{option}".encode())
    # What the names mean may be another than when the columns were found out.
    assert_harmless(connection, name, select.reads)


def _make(connection: psycopg.Connection[Any], sql: str) -> None:
    # Prepared, because the server then refuses a text of several statements.
    connection.execute(sql.encode(), prepare=True)
