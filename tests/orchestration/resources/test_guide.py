"""The guide's snippet of resource management, with its import lines changed."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import prefect
import pytest
from prefect.tasks import task_input_hash

from prefect_etl.errors import Fatal
from prefect_etl.orchestration.decorators import task
from prefect_etl.utils.database import create_connection
from prefect_etl.utils.resources import ResourceManager

SNIPPET = """
class DatabaseConnection(ResourceManager):
    def __init__(self, connection_params: Dict):
        self.params = connection_params
        self._conn = None

    async def setup(self):
        self._conn = await create_connection(self.params)
        return self._conn

    async def cleanup(self):
        if self._conn:
            await self._conn.close()

@task(retries=3, cache_key_fn=task_input_hash)
async def database_operation():
    async with DatabaseConnection(connection_params) as conn:
        # Guaranteed cleanup after operation
        await body(conn)
"""


@pytest.mark.usefixtures("prefect_server")
def test_the_guides_snippet_opens_runs_and_closes(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    failures = [OSError("try again")]

    async def body(connection: Any) -> None:
        await connection.execute("CREATE TABLE IF NOT EXISTS runs(i INT)")
        await connection.execute("INSERT INTO runs VALUES (1)")
        if failures:
            raise failures.pop()

    names: dict[str, Any] = {
        "Dict": dict,
        "ResourceManager": ResourceManager,
        "body": body,
        "connection_params": {"url": f"sqlite:///{path}"},
        "create_connection": create_connection,
        "task": task,
        "task_input_hash": task_input_hash,
    }
    exec(SNIPPET, names)
    opened: list[Any] = []
    setup = names["DatabaseConnection"].setup

    async def noted(self: Any) -> Any:
        opened.append(await setup(self))
        return opened[-1]

    names["DatabaseConnection"].setup = noted

    # A task without arguments has one key for ever: its results are kept in a place of their own.
    @prefect.flow(persist_result=True, result_storage=_storage(tmp_path))
    async def run() -> None:
        await names["database_operation"]()

    asyncio.run(run())
    with sqlite3.connect(path, timeout=0, isolation_level=None) as database:
        assert database.execute("SELECT count(*) FROM runs").fetchone() == (2,)  # it retried
        database.execute("BEGIN EXCLUSIVE")  # nothing else has it open
        database.execute("ROLLBACK")
    database.close()
    assert len(opened) == 2
    for connection in opened:
        with pytest.raises(Fatal, match="is closed"):
            connection.blocking.fetchall("SELECT 1")


def _storage(tmp_path: Path) -> Any:
    from prefect.filesystems import LocalFileSystem

    storage = LocalFileSystem(basepath=str(tmp_path / "results"))
    storage.save("guide-resources", overwrite=True)
    return storage
