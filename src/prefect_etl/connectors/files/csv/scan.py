"""DuckDB's CSV reader, told all and detecting nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from prefect_etl.connectors.files.config import FilesDataset
from prefect_etl.connectors.files.reading import Reading, retyped
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.types import is_integer, whole_numbers

# An option of a reading that is for people: what was guessed of the file.
NOTES = "notes"
# Columns whose type holds: what does not fit is put aside.
HELD = "held"
# Columns of whole numbers, as far as nobody but we know.
GUESSED = "guessed"
_NO_ROW = "a line repeats the header, or begins with a byte order mark"
_OURS = frozenset((NOTES, HELD, GUESSED))


def integers(reading: Reading) -> list[str]:
    """Columns of whole numbers: they are read as text, because DuckDB's reader would round."""
    return [column.name for column in reading.columns if is_integer(column.type)]


def with_guessed(reading: Reading, dataset: FilesDataset, table: TableSchema | None) -> Reading:
    """The same, with the columns of whole numbers that neither the user nor the table calls so.

    In these ``007`` and ``+49`` are no numbers, wherever they come first: they would be 7 and 49.
    """
    # A table that is replaced says nothing: files that stayed are read as they were.
    known = TableSchema(()) if table is None or dataset.write == "replace" else table
    guessed = [
        name
        for name in integers(reading)
        if name not in dataset.types and known.find(dataset.table_name_of(name)) is None
    ]
    return replace(reading, options={**reading.options, GUESSED: guessed}) if guessed else reading


def guessed_integers(reading: Reading) -> list[str]:
    """The columns of whole numbers whose type is still what was guessed."""
    guessed = reading.options.get(GUESSED, ())
    firm = reading.options.get(HELD, ())
    return [name for name in integers(reading) if name in guessed and name not in firm]


def held(dataset: FilesDataset, options: Mapping[str, Any]) -> set[str]:
    """Columns whose type is not a guess."""
    return {*dataset.types, *options.get(HELD, ())}


def as_text(reading: Reading, names: Iterable[str]) -> Reading:
    """The same with some columns as text."""
    return reading.with_columns(retyped(reading.columns, dict.fromkeys(names, "VARCHAR")))


def converted(columns: TableSchema, guessed: Sequence[str] = (), unread: str | None = None) -> str:
    """All columns, those of whole numbers from text; one of these checks all of them at once.

    Args:
        columns: Names and types.
        guessed: Columns of whole numbers for which nobody but we say so.
        unread: SQL: whether a row is none; it fails there. The first column is text then.
    """
    selected = {column.name: identifier(column.name) for column in columns}
    if unread is not None:
        first = columns.names[0]
        fail = f"error({literal(_NO_ROW)})"
        selected[first] = (
            f"CASE WHEN {unread} THEN {fail} ELSE {identifier(first)} END AS {identifier(first)}"
        )
    whole = {name: kind for name, kind in columns.pairs() if is_integer(kind)}
    for name, kind in whole.items():
        selected[name] = f"CAST({identifier(name)} AS {kind}) AS {identifier(name)}"
    if whole:
        name, kind = next(iter(whole.items()))
        selected[name] = f"{whole_numbers(list(whole), kind, guessed)} AS {identifier(name)}"
    return ", ".join(selected.values())


def csv_source(reading: Reading, files: Sequence[str], **more: Any) -> str:
    """A call of DuckDB's CSV reader."""
    options = {"columns": dict(reading.columns.pairs()), **reading.options, **more}
    told = {name: value for name, value in options.items() if name not in _OURS}
    arguments = "".join(f", {name} = {literal(value)}" for name, value in told.items())
    return f"read_csv({literal(files)}, auto_detect = false{arguments})"
