"""The commands that list connections, try them, and show what tables they have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from prefect_etl.cli.console import make_table, out, print_json, print_lines
from prefect_etl.cli.failure import failures
from prefect_etl.cli.options import (
    DEFAULT_PIPELINE,
    AsJson,
    NamedPipelineFile,
    PipelineFile,
    pipeline_path,
)

if TYPE_CHECKING:
    from rich.table import Table

    from prefect_etl.connectors.base import FoundTable
    from prefect_etl.pipeline.spec.connection import Connection

Named = Annotated[
    str, Parameter(help="The name of a connection in the settings, a URI, or block:TYPE/NAME.")
]


def list_connections(pipeline: PipelineFile = DEFAULT_PIPELINE, *, as_json: AsJson = False) -> int:
    """List the connections of the settings that hold for a pipeline, and all URI schemes."""
    from prefect_etl.connectors.registry import schemes

    root = pipeline_path(pipeline).absolute().parent
    rows = described_connections(root)
    if as_json:
        print_json({"connections": rows, "schemes": schemes()})
        return 0
    if rows:
        out().print(_table(rows))
    else:
        print_lines(
            "The settings name no connections. To add one:",
            "  PREFECT_ETL_CONNECTIONS__OPS=duckdb:///ops.duckdb",
        )
    print_lines("", f"Schemes: {', '.join(schemes())}")
    return 0


def try_one(
    connection: Named, *, pipeline: NamedPipelineFile = DEFAULT_PIPELINE, as_json: AsJson = False
) -> int:
    """Connect, and say to what."""
    from prefect_etl.errors import ConfigError

    found = _resolved(connection, pipeline)
    if found.connector.test is None:
        raise ConfigError(f"connections of {found.connector.name} cannot be tested")
    with failures():
        said = found.connector.test(found.config)
    if as_json:
        print_json({"uri": found.config.display, "connector": found.connector.name, "found": said})
    else:
        print_lines(f"{found.config.display}: {said}")
    return 0


def discover(
    connection: Named,
    *,
    pipeline: NamedPipelineFile = DEFAULT_PIPELINE,
    table: Annotated[
        list[str] | None,
        Parameter(negative=(), help="Only tables that match: public.*, with their columns."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """List tables and views with their keys and about how many rows they have."""
    from prefect_etl.engine.duckdb import Session
    from prefect_etl.errors import ConfigError
    from prefect_etl.pipeline.discovery import chosen

    found = _resolved(connection, pipeline)
    if found.connector.discover is None:
        raise ConfigError(f"connections of {found.connector.name} have no tables to list")
    with failures():
        tables = list(found.connector.discover(found.config, Session()))
        if table:
            tables = chosen(tables, table, (), found.config.default_schema)
    if as_json:
        print_json([_as_json(one) for one in tables])
    elif tables:
        out().print(_columns_table(tables) if table else _tables_table(tables))
    else:
        print_lines(f"{found.config.display} has no tables.")
    return 0


def _resolved(text: str, pipeline: Path) -> Connection:
    from prefect_etl.cli.ends import resolved

    return resolved(text, pipeline_path(pipeline).absolute().parent)


def _as_json(table: FoundTable) -> dict[str, Any]:
    return {
        "schema": table.schema,
        "name": table.name,
        "kind": table.kind,
        "key": table.key,
        "rows": table.rows,
        "columns": dict(table.columns.pairs()),
    }


def _tables_table(tables: list[FoundTable]) -> Table:
    shown = make_table("Table", "Kind", "About rows", "Columns", "Key", numbers=("About rows",))
    for table in tables:
        rows = "?" if table.rows is None else f"{table.rows:,}"
        columns = str(len(table.columns))
        shown.add_row(_full_name(table), table.kind, rows, columns, ", ".join(table.key))
    return shown


def _columns_table(tables: list[FoundTable]) -> Table:
    shown = make_table("Table", "Column", "Type", "Key")
    for table in tables:
        for name, kind in table.columns.pairs():
            shown.add_row(_full_name(table), name, kind, "key" if name in table.key else "")
    return shown


def _full_name(table: FoundTable) -> str:
    return f"{table.schema}.{table.name}" if table.schema else table.name


def described_connections(root: Path) -> list[dict[str, Any]]:
    """Name, URI without secrets and origin of each connection; what is wrong with it, if anything.

    Args:
        root: The folder of the pipeline file.

    Raises:
        ConfigError: The settings are wrong.
    """
    from prefect_etl.config.settings import load_settings

    uris = load_settings(root).connection_uris()
    return [{"name": name, **_described(uri, root)} for name, uri in sorted(uris.items())]


def _described(uri: str, root: Path) -> dict[str, Any]:
    from prefect_etl.connectors.registry import connector_for
    from prefect_etl.errors import ConfigError

    try:
        connector = connector_for(uri)
        config = connector.connection.from_uri(uri, root)
    except ConfigError as error:
        return {"connector": None, "uri": None, "error": error.message}
    except ValueError:  # pydantic's; its text would show the URI
        return {"connector": None, "uri": None, "error": "not a valid URI of its connector"}
    uses = [use for use in ("source", "destination") if getattr(connector, use) is not None]
    return {"connector": connector.name, "uri": config.display, "uses": uses, "error": None}


def _table(rows: list[dict[str, Any]]) -> Table:
    table = make_table("Name", "Connector", "URI", "Use")
    for row in rows:
        told = row["uri"] or row["error"]
        table.add_row(row["name"], row["connector"] or "-", told, " and ".join(row.get("uses", ())))
    return table
