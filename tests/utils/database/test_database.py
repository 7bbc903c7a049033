from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import duckdb
import pytest

from prefect_etl.errors import BusyError, ConfigError, EtlError, Fatal, StorageError
from prefect_etl.utils.database import Connection, DatabaseConnection, create_connection

DRIVERS = pytest.mark.parametrize("driver", ["duckdb", "sqlite"])
# A statement that takes minutes unless it is interrupted.
ENDLESS = {
    "duckdb": "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range = -b.range",
    "sqlite": "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT 1 FROM n) SELECT max(i) FROM n",
}


def is_free(driver: str, path: Path) -> bool:
    """Whether another process can write to the database file."""
    source = {
        "duckdb": "import duckdb; duckdb.connect({!r}).execute('CREATE TABLE other(i INT)')",
        "sqlite": "import sqlite3; c = sqlite3.connect({!r}, timeout=0, isolation_level=None); "
        "c.execute('BEGIN EXCLUSIVE'); c.execute('CREATE TABLE other(i INT)'); c.execute('COMMIT')",
    }[driver].format(str(path))
    return subprocess.run([sys.executable, "-c", source], check=False).returncode == 0


@DRIVERS
@pytest.mark.anyio
async def test_the_guides_connection_is_open_inside_and_closed_after(
    driver: str, tmp_path: Path
) -> None:
    path = tmp_path / "shop.db"
    async with DatabaseConnection(f"{driver}:///{path}") as connection:
        await connection.execute("CREATE TABLE t(i INT)")
        await connection.executemany("INSERT INTO t VALUES (?)", [[1], [2]])
        assert await connection.fetchall("SELECT i FROM t WHERE i > ?", [1]) == [(2,)]
        assert await connection.fetchone("SELECT i FROM t WHERE i > 7") is None
    with pytest.raises(Fatal, match="is closed"):
        await connection.fetchall("SELECT 1")
    assert is_free(driver, path)


@DRIVERS
def test_a_plain_with_gives_a_connection_for_plain_code(driver: str, tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with DatabaseConnection({"driver": driver, "database": path}) as connection:
        blocking = connection.blocking
        with blocking.transaction():
            blocking.execute("CREATE TABLE t(i INT)")
            blocking.executemany("INSERT INTO t VALUES (?)", ([i] for i in range(3)))
        with pytest.raises(KeyError), blocking.transaction():  # noqa: PT012 - the block is tested
            blocking.execute("INSERT INTO t VALUES (3)")
            raise KeyError
        assert blocking.fetchone("SELECT count(*) FROM t") == (3,)
    assert is_free(driver, path)


@DRIVERS
@pytest.mark.anyio
async def test_a_transaction_is_whole_or_not_at_all(driver: str) -> None:
    connection = await create_connection(f"{driver}://")
    await connection.execute("CREATE TABLE t(i INT)")
    async with connection.transaction():
        await connection.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(KeyError):  # noqa: PT012 - the block is tested
        async with connection.transaction():
            await connection.execute("INSERT INTO t VALUES (2)")
            raise KeyError
    await connection.execute("BEGIN")
    await connection.execute("INSERT INTO t VALUES (3)")
    await connection.rollback()
    await connection.execute("BEGIN")
    await connection.execute("INSERT INTO t VALUES (4)")
    await connection.commit()
    assert await connection.fetchall("SELECT i FROM t ORDER BY i") == [(1,), (4,)]
    await connection.close()
    await connection.close()


@DRIVERS
@pytest.mark.anyio
async def test_a_statement_that_fails_in_a_transaction_says_its_own_error(driver: str) -> None:
    async with DatabaseConnection(f"{driver}://") as connection:
        with pytest.raises((duckdb.Error, sqlite3.Error), match="nowhere"):
            async with connection.transaction():
                await connection.fetchall("SELECT * FROM nowhere")
        assert await connection.fetchall("SELECT 1") == [(1,)]


@DRIVERS
@pytest.mark.anyio
async def test_a_timeout_stops_the_statement(driver: str) -> None:
    async with DatabaseConnection(f"{driver}://") as connection:
        with anyio.move_on_after(0.2) as scope:
            async with connection.transaction():
                await connection.fetchall(ENDLESS[driver])
        assert scope.cancelled_caught
        assert await connection.fetchall("SELECT 1") == [(1,)]


@DRIVERS
@pytest.mark.anyio
async def test_a_statement_that_waits_is_taken_back_and_stops_no_other(driver: str) -> None:
    async with DatabaseConnection(f"{driver}://") as connection:
        first = asyncio.create_task(connection.fetchall(ENDLESS[driver]))
        second = asyncio.create_task(connection.execute("CREATE TABLE never(i INT)"))
        await asyncio.sleep(0.1)
        second.cancel()
        await asyncio.sleep(0.05)
        assert not first.done()
        first.cancel()
        await asyncio.wait([first, second])
        with pytest.raises((duckdb.Error, sqlite3.Error), match="never"):
            await connection.fetchall("SELECT * FROM never")


@DRIVERS
def test_a_connection_is_used_from_many_loops_and_threads(driver: str) -> None:
    async def insert(connection: Connection, number: int) -> None:
        await connection.execute("INSERT INTO t VALUES (?)", [number])

    with DatabaseConnection(f"{driver}://") as connection:
        connection.blocking.execute("CREATE TABLE t(i INT)")
        threads = [
            threading.Thread(target=lambda n=n: asyncio.run(insert(connection, n)))
            for n in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert connection.blocking.fetchall("SELECT count(DISTINCT i) FROM t") == [(20,)]


@DRIVERS
@pytest.mark.parametrize(
    "params",
    [
        lambda driver, path: f"{driver}:///{path}",
        lambda driver, path: {"url": f"{driver}:///{path}"},
        lambda driver, path: {"driver": driver, "database": str(path)},
        lambda driver, path: {"database": path},
    ],
    ids=["url", "mapping with url", "driver", "fields"],
)
@pytest.mark.anyio
async def test_every_spelling_opens_the_same_file(
    driver: str, params: Callable[[str, Path], Any], tmp_path: Path
) -> None:
    path = tmp_path / f"a b%.{driver}"
    spelled = params(driver, path)
    if isinstance(spelled, str):
        spelled = spelled.replace("%", "%25").replace(" ", "%20")
    elif "url" in spelled:
        spelled["url"] = spelled["url"].replace("%", "%25")
    async with DatabaseConnection(spelled) as connection:
        await connection.execute("CREATE TABLE t(i INT)")
    assert path.exists()


@pytest.mark.anyio
async def test_relative_urls_are_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with DatabaseConnection("sqlite:///shop.db") as connection:
        await connection.execute("CREATE TABLE t(i INT)")
    assert (tmp_path / "shop.db").exists()


@pytest.mark.anyio
async def test_a_drivers_own_fields_reach_it(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    duckdb.connect(path).close()
    for params in [f"duckdb:///{path}?read_only=true", {"database": path, "read_only": True}]:
        async with DatabaseConnection(params) as connection:
            with pytest.raises(duckdb.Error, match="read-only"):
                await connection.execute("CREATE TABLE t(i INT)")
    async with DatabaseConnection({"url": "duckdb://", "config": {"threads": 1}}) as connection:
        assert await connection.fetchall("SELECT current_setting('threads')") == [(1,)]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ("mysql://etl:hunter2@db/ops", "connections to mysql are not supported"),
        ({"host": "db", "dbnam": "ops", "password": "hunter2"}, "no field dbnam; did you mean"),
        ("postgresql:etl:hunter2@db/ops", "begins with postgresql://"),
        ("hunter2", "has no scheme|has a scheme, and this one has none"),
        ("sqlit:///a.db", "did you mean sqlite"),
        ("sqlite://a.db", "names a file, no host"),
        ({"driver": "duckdb", "databse": "hunter2"}, "no field databse; did you mean database"),
        ({"user": "hunter2"}, "name no database"),
        ({"url": "sqlite://", "driver": "duckdb"}, "is of sqlite, its driver is duckdb"),
        ("duckdb:///w.duckdb?read_only=perhaps", "read_only should be true or false"),
        ({"driver": "sqlite", "timeout": "soon"}, "timeout is in seconds"),
    ],
)
@pytest.mark.anyio
async def test_wrong_parameters_are_refused_in_words_without_secrets(
    params: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        await create_connection(params)
    assert "hunter2" not in str(raised.value)


@pytest.mark.anyio
async def test_secrets_are_in_no_repr_and_no_error(tmp_path: Path) -> None:
    params = {
        "driver": "duckdb",
        "database": tmp_path / "no" / "w.duckdb",
        "config": {"x": "hunter2"},
    }
    managed = DatabaseConnection(params)
    assert "hunter2" not in repr(managed)
    assert "hunter2" not in repr(DatabaseConnection("postgresql://etl:hunter2@db/ops"))
    with pytest.raises(EtlError) as raised:
        await managed.__aenter__()
    assert "hunter2" not in str(raised.value)
    async with DatabaseConnection("duckdb://") as connection:
        assert repr(connection) == "<Connection duckdb:///:memory:>"


@DRIVERS
@pytest.mark.anyio
async def test_a_file_that_is_no_database_is_said(driver: str, tmp_path: Path) -> None:
    folder: Awaitable[Connection] = create_connection(f"{driver}:///{tmp_path}")
    with pytest.raises(StorageError, match="cannot be opened"):
        await folder


def test_a_duckdb_file_that_another_process_holds_is_busy(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    hold = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1])\nprint(flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", hold, str(path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline()
        with pytest.raises(BusyError, match="held by another process"):
            asyncio.run(create_connection(f"duckdb:///{path}"))
        holder.communicate()


def test_a_connection_that_nobody_closes_does_not_keep_the_program_from_its_end() -> None:
    source = (
        "import asyncio; from prefect_etl.utils.database import create_connection\n"
        "asyncio.run(create_connection('sqlite://'))"
    )
    subprocess.run([sys.executable, "-c", source], check=True, timeout=60)
