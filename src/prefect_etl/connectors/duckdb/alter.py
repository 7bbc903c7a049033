"""Changes a DuckDB table's columns as an evolution says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect_etl.core.schema import Evolution
from prefect_etl.core.sql import identifier
from prefect_etl.errors import SchemaError

if TYPE_CHECKING:
    import duckdb


def alter(
    cursor: duckdb.DuckDBPyConnection, name: str, evolution: Evolution, what: str, hint: str
) -> None:
    """Add and widen columns, in the open transaction.

    Args:
        cursor: In a transaction on the table's file.
        name: The table, quoted.
        evolution: What to change.
        what: The dataset or transformation, for the error.
        hint: What its user can do about it.

    Raises:
        SchemaError: A value would not survive the widening of its column, or DuckDB cannot widen
            it because of an index.
    """
    import duckdb

    for column in evolution.added:
        cursor.execute(f"ALTER TABLE {name} ADD COLUMN {identifier(column.name)} {column.type}")
    for column_name, old, new in evolution.widened:
        column_id = identifier(column_name)
        back = f"TRY_CAST(CAST({column_id} AS {new}) AS {old})"
        changed = cursor.execute(
            f"SELECT {column_id} FROM {name} WHERE {back} IS DISTINCT FROM {column_id} LIMIT 1"
        ).fetchone()
        if changed is not None:
            raise SchemaError(
                f"{what}: column {column_name} would be widened from {old} to {new}, "
                f"and its value {changed[0]} would change",
                hint=hint,
            )
        try:
            cursor.execute(f"ALTER TABLE {name} ALTER COLUMN {column_id} TYPE {new}")
        except (
            duckdb.BinderException,
            duckdb.CatalogException,
            duckdb.DependencyException,
        ) as error:
            raise SchemaError(
                f"{what}: column {column_name} would be widened from {old} to {new}, and an index "
                "or constraint depends on it",
                hint="Drop the index or constraint, run, and make it again.",
            ) from error
