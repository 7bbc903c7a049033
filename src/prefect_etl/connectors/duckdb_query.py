"""Makes sure that a user's query reads tables of its database and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prefect_etl.core.nearest import did_you_mean
from prefect_etl.errors import ConfigError

if TYPE_CHECKING:
    import duckdb

# Table functions that make rows from their arguments alone. All others are refused: most of them
# read files, the network or the engine's own settings.
_HARMLESS = frozenset({"generate_series", "range", "unnest", "json_each", "json_tree"})


def assert_reads_tables_only(cursor: duckdb.DuckDBPyConnection, query: str, dataset: str) -> None:
    """Refuse a query that is no single SELECT, or that reads anything but tables.

    DuckDB would take a table name that it does not know for the path of a file.

    Args:
        cursor: On which the database is in use.
        query: The user's SQL.
        dataset: Named in errors.

    Raises:
        ConfigError: The query is not allowed.
    """
    row = cursor.execute("SELECT json_serialize_sql(?)", [query]).fetchone()
    tree: Any = json.loads(row[0]) if row else {"error": True}
    if tree["error"]:
        said = tree.get("error_message", "not understood")
        raise _refused(dataset, f"is not one SELECT: {said}")
    if len(tree["statements"]) != 1:
        raise _refused(dataset, "must be one SELECT")
    tables = {
        name.lower()
        for pair in cursor.execute(
            "SELECT table_name, table_schema || '.' || table_name FROM information_schema.tables "
            "WHERE table_catalog = current_database()"
        ).fetchall()
        for name in pair
    }
    tables |= {name.lower() for node in _nodes(tree) for name in _names_given(node)}
    for node in _nodes(tree):
        problem = _problem(node, tables)
        if problem:
            raise _refused(dataset, problem)


def _problem(node: dict[str, Any], tables: set[str]) -> str | None:
    if node.get("type") == "TABLE_FUNCTION":
        name = str(node["function"]["function_name"])
        if name.lower() not in _HARMLESS:
            return f"uses {name}(), which may read files or settings"
    if node.get("type") == "BASE_TABLE":
        name = str(node["table_name"])
        if node.get("schema_name"):
            name = f"{node['schema_name']}.{name}"
        if name.lower() not in tables:
            return f"reads {name}, which is no table of this file{did_you_mean(name, tables)}"
    return None


def _names_given(node: dict[str, Any]) -> Iterator[str]:
    """Names that the query itself gives to parts of it (WITH)."""
    cte_map = node.get("cte_map")
    if isinstance(cte_map, dict):
        yield from (str(entry["key"]) for entry in cte_map.get("map", ()))


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from _nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _nodes(value)


def _refused(dataset: str, problem: str) -> ConfigError:
    return ConfigError(
        f"{dataset}: its query {problem}",
        hint="A query of a DuckDB source is one SELECT over the tables of its file; for files use "
        "a connection file://.",
    )
