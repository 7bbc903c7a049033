"""DuckDB's CSV reader, told all and detecting nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from prefect_etl.connectors.files.reading import Reading, retyped
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.types import is_integer, whole_numbers

# An option of a reading that is for people: what was guessed of the file.
NOTES = "notes"


def integers(reading: Reading) -> list[str]:
    """Columns of whole numbers: they are read as text, because DuckDB's reader would round."""
    return [column.name for column in reading.columns if is_integer(column.type)]


def as_text(reading: Reading, names: Iterable[str]) -> Reading:
    """The same with some columns as text."""
    return reading.with_columns(retyped(reading.columns, dict.fromkeys(names, "VARCHAR")))


def converted(columns: TableSchema) -> str:
    """All columns, those of whole numbers from text; one of these checks all of them at once."""
    selected = {column.name: identifier(column.name) for column in columns}
    whole = {name: kind for name, kind in columns.pairs() if is_integer(kind)}
    for name, kind in whole.items():
        selected[name] = f"CAST({identifier(name)} AS {kind}) AS {identifier(name)}"
    if whole:
        name, kind = next(iter(whole.items()))
        selected[name] = f"{whole_numbers(list(whole), kind)} AS {identifier(name)}"
    return ", ".join(selected.values())


def csv_source(reading: Reading, files: Sequence[str], **more: Any) -> str:
    """A call of DuckDB's CSV reader."""
    options = {"columns": dict(reading.columns.pairs()), **reading.options, **more}
    told = {name: value for name, value in options.items() if name != NOTES}
    arguments = "".join(f", {name} = {literal(value)}" for name, value in told.items())
    return f"read_csv({literal(files)}, auto_detect = false{arguments})"
