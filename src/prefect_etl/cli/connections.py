"""The command that lists connections."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect_etl.cli.console import make_table, out, print_json, print_lines
from prefect_etl.cli.options import (
    DEFAULT_PIPELINE,
    AsJson,
    PipelineFile,
    pipeline_path,
)

if TYPE_CHECKING:
    from rich.table import Table


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
