"""Gives rows that are open the shape of the table that they go to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.rows import ROW_NUMBER, UNIT_ID
from prefect_etl.core.schema import Evolution, TableSchema
from prefect_etl.core.sql import identifier, literal
from prefect_etl.errors import SchemaError
from prefect_etl.pipeline.copying.opening import Opened
from prefect_etl.pipeline.prepare import KEEP, Prepared, evolution_of, prepare_open

_NULL_KEY = "the key {} is null in a row"


@dataclass(frozen=True, slots=True)
class Shaped:
    """The rows of a copy, as its destination takes them.

    Attributes:
        evolution: The table's schema after the copy.
        rows: SQL: the table's columns, the number of the unit, and each row's place.
        anew: The table has to be made anew for them.
    """

    evolution: Evolution
    rows: str
    anew: bool

    @property
    def columns(self) -> str:
        """SQL: the table's columns alone."""
        names = ", ".join(map(identifier, self.evolution.schema.names))
        return f"SELECT {names} FROM ({self.rows})"


def shaped(opened: Opened, spec: DatasetSpec, table: TableSchema | None, unit_id: int) -> Shaped:
    """Shape rows.

    Args:
        opened: The rows.
        spec: What becomes of them.
        table: The table's schema now; None where it begins empty.
        unit_id: The number of their unit.

    Raises:
        SchemaError: They do not fit together, or not into the table.
    """
    evolution, anew = evolved([part.schema for part in opened.parts], spec, table)
    prepared = prepare_open(opened.parts, spec, None if anew else table, unit_id)
    return Shaped(evolution, _kept(prepared, spec), anew)


def evolved(
    schemas: Sequence[TableSchema], spec: DatasetSpec, table: TableSchema | None
) -> tuple[Evolution, bool]:
    """The table's schema after the copy, and whether the table is made anew.

    A table that is replaced gets the columns and types of the source, whatever it had.

    Raises:
        SchemaError: The rows do not fit together, or not into the table.
    """
    fresh = evolution_of(schemas, spec, None)
    if table is None:
        return fresh, False
    if spec.write != "replace":
        return evolution_of(schemas, spec, table), False
    gone = [name for name in table.names if fresh.schema.find(name) is None]
    try:
        kept = evolution_of(schemas, spec, table)
    except SchemaError:
        return fresh, True
    return (fresh, True) if gone else (kept, False)


def null_key(spec: DatasetSpec, error: Exception) -> str | None:
    """The key column that an error says is null; None where it says something else."""
    return next((name for name in spec.key if _NULL_KEY.format(name) in str(error)), None)


def _kept(prepared: Prepared, spec: DatasetSpec) -> str:
    """The rows that are loaded: those that the condition keeps; a key that is null fails."""
    keys = {name.lower(): name for name in spec.key} if spec.keyed else {}
    columns = []
    for column in prepared.evolution.schema:
        name = identifier(column.name)
        if column.name.lower() in keys:
            said = literal(_NULL_KEY.format(keys[column.name.lower()]))
            name = f"CASE WHEN {name} IS NULL THEN error({said}) ELSE {name} END AS {name}"
        columns.append(name)
    kept = f" WHERE {KEEP}" if spec.where else ""
    return f"SELECT {', '.join(columns)}, {UNIT_ID}, {ROW_NUMBER} FROM ({prepared.rows}){kept}"
