"""MySQL and MariaDB: as a source."""

from prefect_etl.connectors.base import Connector
from prefect_etl.connectors.mysql.connection import MySqlConnection
from prefect_etl.connectors.mysql.reflecting import described, discover
from prefect_etl.connectors.mysql.source import MySqlDataset, MySqlSource

CONNECTOR = Connector(
    name="mysql",
    schemes=("mysql", "mariadb"),
    connection=MySqlConnection,
    dataset=MySqlDataset,
    source=MySqlSource,
    discover=discover,
    test=described,
)
