"""Bends the types that were detected towards those that the user and the table say."""

from __future__ import annotations

import re

from prefect_etl.connectors.files.config import FilesDataset
from prefect_etl.connectors.files.reading import Reading, retyped
from prefect_etl.core.schema import TableSchema, widen
from prefect_etl.core.types import is_integer

NUMBER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|DECIMAL.*")


def settle(reading: Reading, dataset: FilesDataset, table: TableSchema | None) -> Reading:
    """Bend detected types towards pins and towards the table that exists.

    A column that is text in the table is read as text, so that ``007`` stays what it is; a number
    is read as the table's type unless a wider one was detected. JSON was looked at whole, and its
    reader rounds: what has no whole numbers is read as it is, and converted later with a check.
    """
    schema = reading.columns
    cast = converted_later(dataset)
    types: dict[str, str] = {}
    for column in schema:
        pinned = dataset.types.get(column.name)
        name = dataset.table_name_of(column.name)
        present = table.find(name) if table is not None else None
        if pinned is not None:
            types[column.name] = pinned
        elif present is not None and name not in cast:
            both = NUMBER.fullmatch(present.type) and NUMBER.fullmatch(column.type)
            wider = widen(present.type, column.type) if both else None
            types[column.name] = wider or present.type
        wanted = types.get(column.name, column.type)
        rounds = is_integer(wanted) and not is_integer(column.type) and column.type != "JSON"
        if reading.format in ("json", "jsonl") and rounds:
            types[column.name] = column.type
    return reading.with_columns(retyped(schema, types))


def converted_later(dataset: FilesDataset) -> set[str]:
    """Columns of the table whose type is made after reading, whatever the file's is."""
    columns = dataset.contract.columns if dataset.contract else {}
    typed = {name for name, rules in columns.items() if rules.type is not None}
    return {*dataset.columns.cast, *typed}
