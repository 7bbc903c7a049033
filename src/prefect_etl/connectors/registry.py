"""Finds connectors by URI scheme and imports them only then."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from prefect_etl.connectors.base import Connector
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.errors import ConfigError

ENTRY_POINT_GROUP = "prefect_etl.connectors"

# One module may answer several schemes. A module is imported when a scheme of its is asked for.
_BUILT_IN = {
    "file": "prefect_etl.connectors.files",
    "duckdb": "prefect_etl.connectors.duckdb",
    "python": "prefect_etl.connectors.python",
    "memory": "prefect_etl.connectors.memory",
    "postgresql": "prefect_etl.connectors.postgres",
    "postgres": "prefect_etl.connectors.postgres",
    "parquet": "prefect_etl.connectors.parquet",
    "sqlite": "prefect_etl.connectors.sqlite",
    "mysql": "prefect_etl.connectors.mysql",
    "mariadb": "prefect_etl.connectors.mysql",
}


def schemes() -> list[str]:
    """All URI schemes that can be used, built in or from other packages.

    Example:
        >>> "duckdb" in schemes()
        True
    """
    return sorted({*_BUILT_IN, *(point.name for point in _third_party())})


def connector_for(uri: str) -> Connector:
    """The connector that answers a URI.

    Raises:
        ConfigError: The URI has no scheme, or one that no connector answers.

    Example:
        >>> connector_for("file://./data").name
        'files'
    """
    scheme, colon, _ = uri.partition(":")
    if not colon:
        # The text may be a secret that was given in the wrong place; it is not shown.
        raise ConfigError(
            "a connection is a URI such as duckdb:///warehouse.duckdb, and this one has no scheme",
            hint=f"Known schemes: {', '.join(schemes())}.",
        )
    if scheme in _BUILT_IN:
        module = import_module(_BUILT_IN[scheme])
        connector: Connector = module.CONNECTOR
        return connector
    for point in _third_party():
        if point.name == scheme:
            found: Connector = point.load()
            return found
    raise ConfigError(
        f"no connector answers {scheme}://{did_you_mean(scheme, schemes())}",
        hint=f"Known schemes: {', '.join(schemes())}.",
    )


def connectors() -> list[Connector]:
    """All connectors, imported.

    Example:
        >>> [connector.name for connector in connectors()][:2]
        ['duckdb', 'files']
    """
    found = {(c := connector_for(f"{scheme}:")).name: c for scheme in schemes()}
    return [found[name] for name in sorted(found)]


def _third_party() -> list[EntryPoint]:
    return list(entry_points(group=ENTRY_POINT_GROUP))
