"""Database connections for use in tasks: ``DatabaseConnection`` and ``create_connection``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect_etl.errors import ConfigError
from prefect_etl.utils.database.connecting import connect_to, described, resolve
from prefect_etl.utils.database.connection import Connection
from prefect_etl.utils.resources import ResourceManager

__all__ = ["Connection", "DatabaseConnection", "create_connection"]

Parameters = str | Mapping[str, Any]


async def create_connection(params: Parameters) -> Connection:
    """Connect to a database.

    Args:
        params: A URL: ``duckdb:///warehouse.duckdb``, ``sqlite:////tmp/shop.db``, either without
            a path for a database in memory; or a mapping with ``url`` or ``driver``, and the
            driver's own fields. DuckDB: ``database``, ``read_only``, ``config``. SQLite:
            ``database``, ``timeout`` (seconds to wait for a lock, default 5), ``uri``.

    Raises:
        ConfigError: The parameters are wrong, or name a database that is not supported.
        BusyError: Another process holds the file.
        StorageError: The database cannot be opened.

    Example:
        >>> import asyncio
        >>> async def answer() -> list[tuple[int]]:
        ...     connection = await create_connection("sqlite://")
        ...     try:
        ...         return await connection.fetchall("SELECT ? + 2", [40])
        ...     finally:
        ...         await connection.close()
        >>> asyncio.run(answer())
        [(42,)]
    """
    target = resolve(params)
    return await Connection.open(described(target), lambda: connect_to(target))


class DatabaseConnection(ResourceManager[Connection]):
    """A database connection that is closed in any case.

    Args:
        connection_params: As for :func:`create_connection`.

    Raises:
        ConfigError: The parameters are wrong; when it is opened.

    Example:
        >>> with DatabaseConnection("sqlite://") as connection:
        ...     connection.blocking.fetchall("SELECT 40 + 2")
        [(42,)]
    """

    def __init__(self, connection_params: Parameters) -> None:
        self.params = connection_params
        self._conn: Connection | None = None

    def __repr__(self) -> str:
        try:
            what = repr(described(resolve(self.params)))
        except ConfigError:  # told when it is opened; the parameters may hold a password
            what = "..."
        return f"{type(self).__name__}({what})"

    async def setup(self) -> Connection:
        """Connect."""
        self._conn = await create_connection(self.params)
        return self._conn

    async def cleanup(self) -> None:
        """Close the connection."""
        if self._conn:
            await self._conn.close()
            self._conn = None
