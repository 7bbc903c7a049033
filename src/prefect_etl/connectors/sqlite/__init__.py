"""SQLite: a file as source and as destination."""

from prefect_etl.connectors.base import Connector
from prefect_etl.connectors.sqlite.connection import SqliteConnection
from prefect_etl.connectors.sqlite.destination import SqliteDestination
from prefect_etl.connectors.sqlite.reflecting import described, discover
from prefect_etl.connectors.sqlite.source import SqliteDataset, SqliteSource

CONNECTOR = Connector(
    name="sqlite",
    schemes=("sqlite",),
    connection=SqliteConnection,
    dataset=SqliteDataset,
    source=SqliteSource,
    destination=SqliteDestination,
    discover=discover,
    test=described,
)
