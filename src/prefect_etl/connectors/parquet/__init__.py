"""Folders of Parquet files as tables: any engine reads them, and loads are exactly once."""

from prefect_etl.connectors.base import Connector
from prefect_etl.connectors.parquet.connection import ParquetConnection, described
from prefect_etl.connectors.parquet.destination import ParquetDestination

CONNECTOR = Connector(
    name="parquet",
    schemes=("parquet",),
    connection=ParquetConnection,
    destination=ParquetDestination,
    test=described,
    partitions=True,
)

__all__ = ["CONNECTOR", "ParquetConnection", "ParquetDestination"]
