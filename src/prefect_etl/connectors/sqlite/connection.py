"""Where a SQLite file is, and how it is opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import quote, unquote

from prefect_etl.connectors.base import ConnectionConfig
from prefect_etl.connectors.sqlite.faults import translate
from prefect_etl.errors import ConfigError, StorageError

# UPDATE … FROM came with 3.33, DROP COLUMN with 3.35.
_OLDEST = (3, 35, 0)


class SqliteConnection(ConnectionConfig):
    """A SQLite database file.

    Example:
        >>> SqliteConnection.from_uri("sqlite:///shop.sqlite", Path("/project")).path.name
        'shop.sqlite'
    """

    path: Path

    @classmethod
    def from_uri(cls, uri: str, root: Path) -> Self:
        """Parse ``sqlite:///relative.sqlite`` or ``sqlite:////absolute.sqlite``.

        Raises:
            ConfigError: It names no file.
        """
        path = unquote(uri.removeprefix("sqlite:").removeprefix("//").removeprefix("/"))
        if not path or path.startswith(":") or "?" in path:
            raise ConfigError(
                "a SQLite connection names a file, without options",
                hint="Write sqlite:///shop.sqlite, or with four slashes an absolute path.",
            )
        return cls(path=(root / path).absolute())

    @property
    def display(self) -> str:
        """The URI."""
        return f"sqlite:///{self.path}"

    def connect(self, *, write: bool = False, wait: float = 60.0) -> sqlite3.Connection:
        """Open the file; transactions are begun and ended by the caller.

        Args:
            write: Make the file where it is missing.
            wait: Seconds to wait where another process writes.

        Raises:
            StorageError: The file is not there, or no SQLite database.
            BusyError: Another process holds it.
            ConfigError: SQLite is too old.
        """
        if sqlite3.sqlite_version_info < _OLDEST:
            raise ConfigError(
                f"SQLite {sqlite3.sqlite_version} is too old; 3.35 or later is needed",
                hint="Use a newer build of Python.",
            )
        if not write and not self.path.exists():
            raise StorageError(
                f"there is no SQLite file {self.path}",
                hint="Check connection: in the pipeline file.",
            )
        # Not ro: who reads first after a kill has to roll back what that left half done.
        mode = "rwc" if write else "rw"
        with translated(str(self.path)):
            # Threads take turns: the caller uses a connection in one thread at a time.
            connection = sqlite3.connect(
                f"file:{quote(str(self.path))}?mode={mode}",
                uri=True,
                timeout=wait,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
            except BaseException:  # also Ctrl-C: nobody else would close it
                connection.close()
                raise
        return connection


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Make our errors of SQLite's.

    Args:
        what: What is done, or where, for the message.

    Raises:
        EtlError: As :func:`prefect_etl.connectors.sqlite.faults.translate` says.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, what) from error
