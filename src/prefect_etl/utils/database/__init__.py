"""Database connections for use in tasks, alone (``DatabaseConnection``) and pooled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect_etl.errors import ConfigError
from prefect_etl.utils.database.connecting import connect_to, described, resolve
from prefect_etl.utils.database.connection import Connection
from prefect_etl.utils.database.pool import Pool
from prefect_etl.utils.resources import ResourceManager

__all__ = [
    "Connection",
    "DatabaseConnection",
    "DatabasePool",
    "Pool",
    "create_connection",
    "create_pool",
]

Parameters = str | Mapping[str, Any]


async def create_connection(params: Parameters) -> Connection:
    """Connect to a database.

    Args:
        params: A URL: ``duckdb:///warehouse.duckdb``, ``sqlite:////tmp/shop.db``, either without
            a path for a database in memory, ``postgresql://user@host:5432/shop``; or a mapping
            with ``url`` or ``driver``, and the driver's own fields. DuckDB: ``database``,
            ``read_only``, ``config``. SQLite: ``database``, ``timeout`` (seconds to wait for a
            lock, default 5), ``uri``. PostgreSQL: ``host``, ``port``, ``dbname`` or ``database``,
            ``user``, ``password`` (text or a ``SecretStr``), ``sslmode`` and others of libpq's.

    Raises:
        ConfigError: The parameters are wrong, or name a database that is not supported.
        AccessError: The server refuses.
        UnreachableError: The server does not answer.
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


async def create_pool(params: Parameters, size: int = 4) -> Pool:
    """Make a pool of connections to a database.

    Args:
        params: As for :func:`create_connection`; of a database in memory each connection has its
            own.
        size: How many connections there may be. One is opened at once, others when needed.

    Raises:
        EtlError: As for :func:`create_connection`.
    """
    pool = Pool(resolve(params), size)
    async with pool.connection():
        return pool


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
        return f"{type(self).__name__}({_shown(self.params)})"

    async def setup(self) -> Connection:
        """Connect."""
        self._conn = await create_connection(self.params)
        return self._conn

    async def cleanup(self) -> None:
        """Close the connection."""
        if self._conn:
            await self._conn.close()
            self._conn = None


class DatabasePool(ResourceManager[Pool]):
    """A pool of database connections that are closed in any case.

    Args:
        connection_params: As for :func:`create_connection`.
        size: How many connections there may be.

    Raises:
        ConfigError: The parameters are wrong; when it is opened.

    Example:
        >>> with DatabasePool("sqlite://", size=2) as pool:
        ...     pool.blocking.fetchall("SELECT 40 + 2")
        [(42,)]
    """

    def __init__(self, connection_params: Parameters, size: int = 4) -> None:
        self.params = connection_params
        self.size = size
        self._pool: Pool | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_shown(self.params)}, size={self.size})"

    async def setup(self) -> Pool:
        """Connect."""
        self._pool = await create_pool(self.params, self.size)
        return self._pool

    async def cleanup(self) -> None:
        """Close the connections."""
        if self._pool:
            await self._pool.close()
            self._pool = None


def _shown(params: Parameters) -> str:
    try:
        return repr(described(resolve(params)))
    except ConfigError:  # told when it is opened; the parameters may hold a password
        return "..."
