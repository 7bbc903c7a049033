"""How files are read: dialect and types, fixed before the first row and kept in manifests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from prefect_etl.connectors.files.config import Format, compression_of
from prefect_etl.connectors.files.listing import glob_literal
from prefect_etl.connectors.files.parts import ROW, file_of
from prefect_etl.core.rows import UNIT_INDEX, Relation
from prefect_etl.core.schema import Column, TableSchema
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.types import is_integer, whole_numbers
from prefect_etl.core.unit import Unit

_SMALL = 8 << 20


@dataclass(frozen=True, slots=True)
class Reading:
    """How a batch of files is read.

    Attributes:
        format: Their format.
        columns: Names and DuckDB types in the files' order.
        options: Further options of DuckDB's reader.
        rows: First row and end, for a part of a large Parquet file; None for all.
    """

    format: Format
    columns: TableSchema
    options: Mapping[str, Any]
    rows: tuple[int, int] | None = None

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        columns = [list(pair) for pair in self.columns.pairs()]
        rows = {"rows": list(self.rows)} if self.rows else {}
        whole = {name: value for name, value in asdict(self).items() if name != "rows"}
        return whole | {"columns": columns, "options": dict(self.options)} | rows

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Reading:
        """From JSON values."""
        columns = TableSchema.from_pairs((name, kind) for name, kind in data["columns"])
        rows = data.get("rows")
        return cls(data["format"], columns, data["options"], tuple(rows) if rows else None)

    @property
    def empty(self) -> bool:
        """Whether it is a part that its file no longer has."""
        return self.rows is not None and self.rows[0] == self.rows[1]

    def with_columns(self, columns: TableSchema) -> Reading:
        """The same with other types."""
        return replace(self, columns=columns)


def relation(folder: Path, reading: Reading, units: Sequence[Unit]) -> Relation:
    """The rows of files, with the index of the file where there are several."""
    files = [glob_literal(str(folder / file_of(unit.position))) for unit in units]
    if reading.empty:
        return Relation(_nothing(reading.columns))
    index = f", file_index AS {UNIT_INDEX}" if len(units) > 1 else ""
    match reading.format:
        case "csv" | "tsv":
            source = csv_source(as_text(reading, integers(reading)), files)
            columns = _converted(reading.columns)
        case "json" | "jsonl":
            types = literal(dict(reading.columns.pairs()))
            source, columns = f"read_json({literal(files)}, columns = {types})", "*"
        case "parquet":
            source, columns = f"read_parquet({literal(files)})", "*"
            if reading.rows:
                return Relation(_part(files[0], *reading.rows))
        case "arrow":
            raise AssertionError("Arrow files are streamed, not scanned")
    return Relation(
        f"SELECT {columns}{index} FROM {source}",
        whole_units=_all_small(reading, units),
    )


def _nothing(columns: TableSchema) -> str:
    nulls = (f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in columns.pairs())
    return f"SELECT {', '.join(nulls)} LIMIT 0"


def _part(file: str, start: int, end: int) -> str:
    # DuckDB skips row groups by this number.
    return (
        f"SELECT * EXCLUDE ({ROW}) FROM read_parquet({literal(file)}, {ROW} = true) "
        f"WHERE {ROW} >= {start} AND {ROW} < {end}"
    )


def integers(reading: Reading) -> list[str]:
    """Columns of whole numbers: they are read as text, because DuckDB's reader would round."""
    return [column.name for column in reading.columns if is_integer(column.type)]


def as_text(reading: Reading, names: Iterable[str]) -> Reading:
    """The same with some columns as text."""
    return reading.with_columns(retyped(reading.columns, dict.fromkeys(names, "VARCHAR")))


def retyped(schema: TableSchema, types: Mapping[str, str]) -> TableSchema:
    """The same columns with other types for those that are named."""
    return TableSchema(tuple(Column(c.name, types.get(c.name, c.type)) for c in schema))


def _converted(columns: TableSchema) -> str:
    """All columns, those of whole numbers from text; one of these checks all of them at once."""
    selected = {column.name: identifier(column.name) for column in columns}
    whole = {name: kind for name, kind in columns.pairs() if is_integer(kind)}
    for name, kind in whole.items():
        selected[name] = f"CAST({identifier(name)} AS {kind}) AS {identifier(name)}"
    if whole:
        name, kind = next(iter(whole.items()))
        selected[name] = f"{whole_numbers(list(whole), kind)} AS {identifier(name)}"
    return ", ".join(selected.values())


def _all_small(reading: Reading, units: Sequence[Unit]) -> bool:
    # The readers of text hand a thread 32 MB at a time. Parquet is read by row groups.
    return reading.format in ("csv", "tsv", "json", "jsonl") and all(
        compression_of(unit.position) is None and (unit.size or 0) <= _SMALL for unit in units
    )


def csv_source(reading: Reading, files: Sequence[str], **more: Any) -> str:
    """A call of DuckDB's CSV reader that detects nothing."""
    options = {"columns": dict(reading.columns.pairs()), **reading.options, **more}
    arguments = "".join(f", {name} = {literal(value)}" for name, value in options.items())
    return f"read_csv({literal(files)}, auto_detect = false{arguments})"
