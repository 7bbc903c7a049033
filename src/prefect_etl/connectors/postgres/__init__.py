"""PostgreSQL: as source, as destination, and as the place of transformations."""

from prefect_etl.connectors.base import Connector
from prefect_etl.connectors.postgres.connection import PostgresConnection
from prefect_etl.connectors.postgres.destination import PostgresDestination

CONNECTOR = Connector(
    name="postgres",
    schemes=("postgresql", "postgres"),
    connection=PostgresConnection,
    destination=PostgresDestination,
)
