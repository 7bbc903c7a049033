"""Files of a local folder: CSV, TSV, JSON, JSON Lines, Parquet, Arrow IPC; gzip and zstd.

A file is a unit. Its position is its path below the connection's folder, its version the digest of
its bytes.
"""

from __future__ import annotations

from prefect_etl.connectors.base import Connector
from prefect_etl.connectors.files.config import FilesConnection, FilesDataset
from prefect_etl.connectors.files.listing import described
from prefect_etl.connectors.files.source import FilesSource

CONNECTOR = Connector(
    name="files",
    schemes=("file",),
    connection=FilesConnection,
    dataset=FilesDataset,
    source=FilesSource,
    test=described,
)

__all__ = ["CONNECTOR", "FilesConnection", "FilesDataset", "FilesSource"]
