"""Finds the tables of a source that a pipeline names by a pattern: ``tables: [public.*]``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from pydantic import ValidationError

from prefect_etl.connectors.base import FoundTable
from prefect_etl.core.naming import snake_case
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import ConfigError
from prefect_etl.pipeline.spec import PipelineSpec, SourcedDataset, SourcedTables
from prefect_etl.pipeline.spec.claims import claim_mistakes, partition_mistakes


def discovered(spec: PipelineSpec, session: Callable[[], Session]) -> PipelineSpec:
    """A pipeline with a dataset for each table that its patterns match now.

    Args:
        spec: The pipeline as it was written.
        session: Gives the engine; called only where there are patterns.

    Raises:
        ConfigError: A pattern matches nothing, or two tables claim one name.
        EtlError: A source cannot be asked.
    """
    if not spec.tables:
        return spec
    found = [dataset for tables in spec.tables for dataset in _datasets(tables, spec, session())]
    whole = replace(spec, datasets=(*spec.datasets, *found), tables=())
    parts = [(("sources", d.source, "tables", d.spec.name), d.spec) for d in whole.datasets]
    clashes = claim_mistakes(parts, spec.destination.config.default_schema)
    clashes += partition_mistakes(parts, spec.destination.connector)
    if clashes:
        raise ConfigError(
            "; ".join(clash.text for clash in clashes),
            hint="Leave a table out with exclude:, or give it a dataset of its own with into:.",
        )
    return whole


def matches(table: FoundTable, pattern: str, default_schema: str) -> bool:
    """Whether a pattern means a table; one without a schema means the default schema's.

    Example:
        >>> from prefect_etl.core.schema import TableSchema
        >>> orders = FoundTable("public", "orders", "table", TableSchema.of(id="BIGINT"))
        >>> matches(orders, "public.*", "public"), matches(orders, "ord*", "public")
        (True, True)
    """
    schema, dot, name = pattern.partition(".")
    if dot and fnmatchcase(table.schema, schema) and fnmatchcase(table.name, name):
        return True
    return table.schema in ("", default_schema) and fnmatchcase(table.name, pattern)


def chosen(
    found: Sequence[FoundTable], patterns: Sequence[str], exclude: Sequence[str], schema: str
) -> list[FoundTable]:
    """The tables that patterns mean, in their own order.

    Raises:
        ConfigError: A pattern matches nothing.
    """
    for pattern in patterns:
        if not any(matches(table, pattern, schema) for table in found):
            names = [table.name for table in found]
            raise ConfigError(
                f"the source has no table {pattern}{did_you_mean(pattern, names)}",
                hint="`prefect-etl connections discover` lists all.",
            )
    return [
        table
        for table in found
        if any(matches(table, pattern, schema) for pattern in patterns)
        and not any(matches(table, pattern, schema) for pattern in exclude)
    ]


def _datasets(
    tables: SourcedTables, spec: PipelineSpec, session: Session
) -> Iterator[SourcedDataset]:
    connection = tables.connection
    discover, model = connection.connector.discover, connection.connector.dataset
    if discover is None or model is None:
        raise ConfigError(
            f"source {tables.source}: {connection.connector.name} cannot list its tables",
            hint="Name each under datasets: instead of tables:.",
        )
    default = connection.config.default_schema
    found = discover(connection.config, session)
    taken = {_read(d.spec, default) for d in spec.datasets if d.source == tables.source}
    for table in chosen(found, tables.patterns, tables.exclude, default):
        if (table.schema, table.name) not in taken:
            yield SourcedDataset(tables.source, connection, _spec(model, table, tables, default))


def _read(spec: Any, default: str) -> tuple[str, str]:
    """The table that a dataset of its own reads already."""
    schema, dot, name = (getattr(spec, "table_", None) or "").rpartition(".")
    return (schema if dot else default), name


def _spec(model: Any, table: FoundTable, tables: SourcedTables, default: str) -> Any:
    fields = dict(tables.defaults)
    name = table.name if table.schema in ("", default) else f"{table.schema}.{table.name}"
    if fields.get("naming") == "snake_case":
        name = snake_case(name)
    if fields.get("write") in ("merge", "scd2"):
        fields.setdefault("key", table.key)
    where = f"{table.schema}.{table.name}" if table.schema else table.name
    try:
        return model.model_validate({**fields, "name": name, "table": where})
    except ValidationError as error:
        said = "; ".join(part["msg"] for part in error.errors(include_url=False))
        raise ConfigError(
            f"source {tables.source}: defaults do not fit table {where}: {said}",
            hint="Give it a dataset of its own, or leave it out with exclude:.",
        ) from error
