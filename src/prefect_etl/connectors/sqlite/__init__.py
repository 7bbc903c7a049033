"""SQLite: a file as source and as destination."""

from prefect_etl.connectors.base import Connector
from prefect_etl.connectors.sqlite.connection import SqliteConnection
from prefect_etl.connectors.sqlite.destination import SqliteDestination

CONNECTOR = Connector(
    name="sqlite",
    schemes=("sqlite",),
    connection=SqliteConnection,
    destination=SqliteDestination,
)
