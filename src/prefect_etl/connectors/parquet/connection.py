"""Where a folder of tables is."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, unquote

from prefect_etl.connectors.base import ConnectionConfig
from prefect_etl.core.cursor import duration
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.errors import ConfigError, StorageError

_OPTIONS = ("keep",)


class ParquetConnection(ConnectionConfig):
    """A folder whose tables are folders of Parquet files.

    Example:
        >>> config = ParquetConnection.from_uri("parquet:///lake?keep=2 hours", Path("/project"))
        >>> str(config.path), config.keep
        ('/project/lake', datetime.timedelta(seconds=7200))
    """

    path: Path
    keep: timedelta = timedelta(hours=1)

    @classmethod
    def from_uri(cls, uri: str, root: Path) -> Self:
        """Parse ``parquet:///relative`` or ``parquet:////absolute``, and ``?keep=``.

        ``keep`` is how long readers may go on with a version of a table after it was replaced.

        Raises:
            ConfigError: It names no folder, or has an option that nobody knows.
        """
        place, _, query = uri.removeprefix("parquet:").removeprefix("//").partition("?")
        path = unquote(place.removeprefix("/"))
        if not path:
            raise ConfigError(
                "a parquet connection names a folder",
                hint="Write parquet:///lake, or with four slashes an absolute path.",
            )
        options = dict(parse_qsl(query, keep_blank_values=True))
        for name in options:
            if name not in _OPTIONS:
                raise ConfigError(
                    f"a parquet connection has no option {name}{did_you_mean(name, _OPTIONS)}",
                    hint="It has keep: how long a replaced version of a table stays for readers.",
                )
        folder = (root / path).absolute()
        if "keep" not in options:
            return cls(path=folder)
        try:
            return cls(path=folder, keep=duration(options["keep"]))
        except ValueError as error:
            raise ConfigError(f"keep: {error}", hint="Write keep=1 hour.") from error

    @property
    def display(self) -> str:
        """The URI."""
        return f"parquet:///{self.path}"

    @property
    def default_schema(self) -> str:
        """None: the table's folder lies in the connection's own."""
        return ""


def described(config: ParquetConnection) -> str:
    """To what a connection leads: ``folder /srv/lake, 3 tables``.

    Raises:
        StorageError: The folder, or the one that it is to be made in, may not be written.
    """
    folder = config.path
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        raise StorageError(f"{folder} may not be written", hint="Check who owns the folder.")
    if folder != config.path:
        return f"folder {config.path}, to be made by the first load"
    tables = sum(path.is_symlink() for path in (*folder.glob("*"), *folder.glob("*/*")))
    return f"folder {config.path}, {tables} table{'' if tables == 1 else 's'}"
