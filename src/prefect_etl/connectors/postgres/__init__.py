"""PostgreSQL: as source, as destination, and as the place of transformations."""

from prefect_etl.connectors.base import Connector
from prefect_etl.connectors.postgres.connection import PostgresConnection
from prefect_etl.connectors.postgres.destination import PostgresDestination
from prefect_etl.connectors.postgres.reflecting import described, discover
from prefect_etl.connectors.postgres.source import PostgresDataset, PostgresSource

CONNECTOR = Connector(
    name="postgres",
    schemes=("postgresql", "postgres"),
    connection=PostgresConnection,
    dataset=PostgresDataset,
    source=PostgresSource,
    destination=PostgresDestination,
    discover=discover,
    test=described,
)
