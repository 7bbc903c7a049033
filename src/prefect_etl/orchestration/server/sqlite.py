"""Prefect's SQLite database without its "database is locked".

In WAL mode a transaction that began DEFERRED, read, and then writes, fails at once when another
one wrote in between; no busy timeout helps. Prefect's server answers 503, and its client sleeps
for seconds before it tries again. A transaction that begins IMMEDIATE queues up instead.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from prefect.server.database.configurations import SQLITE_BEGIN_MODE, AioSqliteConfiguration
from prefect.server.database.dependencies import MODELS_DEPENDENCIES
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction


class ImmediateSqlite(AioSqliteConfiguration):
    """Prefect's configuration of SQLite, with every outermost transaction begun IMMEDIATE."""

    @asynccontextmanager
    async def begin_transaction(
        self, session: AsyncSession, with_for_update: bool = False
    ) -> AsyncGenerator[AsyncSessionTransaction, None]:
        """Begin a transaction that may write from its start.

        One that is begun inside another one keeps Prefect's choice: on a connection of its own it
        would wait for the outer one, which waits for it.
        """
        outermost = SQLITE_BEGIN_MODE.get() is None
        async with super().begin_transaction(session, with_for_update or outermost) as transaction:
            yield transaction


def begin_immediate(connection_url: str) -> None:
    """Make this process's Prefect server use :class:`ImmediateSqlite`; before its app is made."""
    MODELS_DEPENDENCIES["database_config"] = ImmediateSqlite(connection_url=connection_url)
