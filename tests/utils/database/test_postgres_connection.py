"""``DatabaseConnection`` and its pool with a real PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import anyio
import psycopg
import pytest
from pydantic import SecretStr

from prefect_etl.errors import AccessError, ConfigError, EtlError, Fatal, UnreachableError
from prefect_etl.utils.database import (
    DatabaseConnection,
    DatabasePool,
    create_connection,
    create_pool,
)
from servers.server import PASSWORD


def fields(uri: str, **more: Any) -> dict[str, Any]:
    """A URL as a mapping."""
    parts = urlsplit(uri)
    return {
        "host": parts.hostname,
        "port": parts.port,
        "user": parts.username,
        "password": PASSWORD,
        "database": parts.path[1:],
        **more,
    }


@pytest.mark.anyio
async def test_the_guides_connection_is_open_inside_and_closed_after(pg_uri: str) -> None:
    async with DatabaseConnection(pg_uri) as connection:
        await connection.execute("CREATE TABLE t(i int, name text)")
        await connection.executemany("INSERT INTO t VALUES ($1, $2)", [[1, "50 %"], [2, "b ?"]])
        assert await connection.fetchall(
            "SELECT i FROM t WHERE name LIKE '% ?' AND i > $1", [1]
        ) == [(2,)]
        assert await connection.fetchone("SELECT i FROM t WHERE i > 7") is None
        with suppress(KeyError):
            async with connection.transaction():
                await connection.execute("DELETE FROM t")
                raise KeyError
        with pytest.raises(psycopg.errors.UniqueViolation):
            await connection.execute("CREATE UNIQUE INDEX u ON t ((1))")
        assert await connection.fetchone("SELECT count(*) FROM t") == (2,)
    with pytest.raises(Fatal, match="is closed"):
        await connection.fetchall("SELECT 1")


@pytest.mark.parametrize(
    "spelled",
    [
        lambda uri: uri,
        lambda uri: uri.replace("postgresql://", "postgres://"),
        lambda uri: uri.replace("postgresql://", "postgresql+psycopg://"),
        lambda uri: {"url": uri, "application_name": "mine"},
        fields,
        lambda uri: fields(uri, driver="postgres", password=SecretStr(PASSWORD)),
    ],
)
def test_every_spelling_leads_to_the_same_database(pg_uri: str, spelled: Any) -> None:
    given = spelled(pg_uri)
    managed = DatabaseConnection(given)
    assert PASSWORD not in repr(managed)
    with managed as connection:
        assert PASSWORD not in repr(connection)
        found = connection.blocking.fetchone(
            "SELECT current_database(), current_setting('application_name')"
        )
    name = "mine" if "mine" in str(given) else "prefect_etl"
    assert found == (urlsplit(pg_uri).path[1:], name)


@pytest.mark.anyio
async def test_a_timeout_stops_the_statement_in_the_server(pg_uri: str) -> None:
    async with DatabaseConnection(pg_uri) as connection:
        with anyio.move_on_after(0.2) as scope:
            async with connection.transaction():
                await connection.fetchall("SELECT pg_sleep(60)")
        assert scope.cancelled_caught
        started = time.monotonic()
        assert await connection.fetchall("SELECT 1") == [(1,)]
        assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("changed", "kind", "message"),
    [
        ({"password": "hunter2"}, AccessError, "password authentication failed"),
        ({"database": "nowhere"}, ConfigError, 'database "nowhere" does not exist'),
        ({"port": 1}, UnreachableError, "refused"),
        ({"sslmode": "hunter2"}, ConfigError, "does not understand"),
        ({"url": "postgresql://etl:hunter2%zz@h/"}, ConfigError, "does not understand"),
    ],
)
@pytest.mark.anyio
async def test_what_keeps_from_connecting_is_said_without_secrets(
    pg_uri: str, changed: dict[str, Any], kind: type[EtlError], message: str
) -> None:
    with pytest.raises(kind, match=message) as raised:
        await create_connection({**fields(pg_uri), **changed})
    assert "hunter2" not in str(raised.value)
    assert PASSWORD not in str(raised.value)
    assert raised.value.hint


@pytest.mark.anyio
async def test_a_pools_statements_run_at_the_same_time_and_not_more_than_its_size(
    pg_uri: str,
) -> None:
    pool = await create_pool(pg_uri, size=3)
    asked = [pool.fetchone("SELECT pg_backend_pid(), pg_sleep(0.1)") for _ in range(9)]
    pids = {row[0] for row in await asyncio.gather(*asked) if row}
    assert len(pids) == 3
    await pool.close()
    await pool.close()
    with pytest.raises(Fatal, match=r"the pool of postgresql.* is closed"):
        await pool.execute("SELECT 1")


@pytest.mark.anyio
async def test_a_connection_of_a_pool_has_its_transaction_for_itself(pg_uri: str) -> None:
    async with DatabasePool(pg_uri, size=2) as pool:
        await pool.execute("CREATE TABLE t(i int)")
        async with pool.connection() as one, one.transaction():
            await one.execute("INSERT INTO t VALUES (1)")
            assert await pool.fetchall("SELECT i FROM t") == []
        async with pool.connection() as one:
            await one.execute("BEGIN")
            await one.execute("INSERT INTO t VALUES (2)")
        for _ in range(3):  # what a block left open is undone
            assert await pool.fetchall("SELECT i FROM t") == [(1,)]


@pytest.mark.anyio
async def test_a_connection_that_broke_or_was_closed_is_replaced(pg_uri: str) -> None:
    async with DatabasePool(pg_uri, size=1) as pool:
        with pytest.raises(psycopg.OperationalError):
            await pool.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        assert await pool.fetchone("SELECT 1") == (1,)
        async with pool.connection() as connection:
            await connection.close()
        assert await pool.fetchone("SELECT 2") == (2,)


@pytest.mark.anyio
async def test_who_stops_waiting_for_a_connection_takes_none(pg_uri: str) -> None:
    async with DatabasePool(pg_uri, size=1) as pool:
        async with pool.connection():
            with anyio.move_on_after(0.05) as scope:
                await pool.execute("SELECT 1")
            assert scope.cancelled_caught
        with anyio.fail_after(5):
            assert await pool.fetchone("SELECT 1") == (1,)


def test_a_pool_for_plain_code(pg_uri: str) -> None:
    with DatabasePool({"url": pg_uri}, size=2) as pool:
        with pool.blocking.connection() as connection, connection.transaction():
            connection.execute("CREATE TABLE t(i int)")
            connection.executemany("INSERT INTO t VALUES ($1)", [[i] for i in range(3)])
        assert pool.blocking.fetchall("SELECT count(*) FROM t") == [(3,)]
        assert PASSWORD not in repr(pool)


@pytest.mark.anyio
async def test_a_pool_that_cannot_connect_says_so_at_once_and_every_time(pg_uri: str) -> None:
    wrong = fields(pg_uri, password="hunter2")
    with pytest.raises(AccessError):
        await create_pool(wrong)
    with pytest.raises(ConfigError, match="has none"):
        await create_pool(pg_uri, size=0)


@pytest.mark.anyio
async def test_other_databases_have_pools_too(tmp_path: Any) -> None:
    for driver in ("duckdb", "sqlite"):
        async with DatabasePool(f"{driver}:///{tmp_path / driver}", size=2) as pool:
            await pool.execute("CREATE TABLE t(i INT)")
            async with pool.connection() as connection:
                await connection.execute("BEGIN")
                await connection.execute("INSERT INTO t VALUES (1)")
            assert await pool.fetchall("SELECT i FROM t") == []
