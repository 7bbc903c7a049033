"""How files are read: dialect and types, fixed before the first row and kept in manifests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from prefect_etl.connectors.files.config import Format, compression_of
from prefect_etl.connectors.files.listing import glob_literal
from prefect_etl.core.rows import UNIT_INDEX, Relation
from prefect_etl.core.schema import Column, TableSchema
from prefect_etl.core.sql import identifier
from prefect_etl.core.types import is_integer, whole_number
from prefect_etl.core.unit import Unit

_SMALL = 8 << 20


@dataclass(frozen=True, slots=True)
class Reading:
    """How a batch of files is read.

    Attributes:
        format: Their format.
        columns: Names and DuckDB types in the files' order.
        options: Further options of DuckDB's reader.
    """

    format: Format
    columns: TableSchema
    options: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        columns = [list(pair) for pair in self.columns.pairs()]
        return asdict(self) | {"columns": columns, "options": dict(self.options)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Reading:
        """From JSON values."""
        columns = TableSchema.from_pairs((name, kind) for name, kind in data["columns"])
        return cls(data["format"], columns, data["options"])

    def with_columns(self, columns: TableSchema) -> Reading:
        """The same with other types."""
        return replace(self, columns=columns)


def relation(folder: Path, reading: Reading, units: Sequence[Unit]) -> Relation:
    """The rows of files, with the index of the file where there are several."""
    files = [glob_literal(str(folder / unit.position)) for unit in units]
    index = f", file_index AS {UNIT_INDEX}" if len(units) > 1 else ""
    match reading.format:
        case "csv" | "tsv":
            source, parameters = csv_source(as_text(reading, integers(reading)), files)
            columns = ", ".join(_converted(column) for column in reading.columns)
        case "json" | "jsonl":
            source, columns = "read_json($files, columns = $columns)", "*"
            parameters = {"files": files, "columns": dict(reading.columns.pairs())}
        case "parquet":
            source, columns, parameters = "read_parquet($files)", "*", {"files": files}
        case "arrow":
            raise AssertionError("Arrow files are streamed, not scanned")
    return Relation(
        f"SELECT {columns}{index} FROM {source}",
        parameters,
        whole_units=_all_small(reading, units),
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


def _converted(column: Column) -> str:
    name = identifier(column.name)
    if not is_integer(column.type):
        return name
    return f"{whole_number(name, column.type, column.name)} AS {name}"


def _all_small(reading: Reading, units: Sequence[Unit]) -> bool:
    # The readers of text hand a thread 32 MB at a time. Parquet is read by row groups.
    return reading.format in ("csv", "tsv", "json", "jsonl") and all(
        compression_of(unit.position) is None and (unit.size or 0) <= _SMALL for unit in units
    )


def csv_source(reading: Reading, files: Sequence[str], **more: Any) -> tuple[str, dict[str, Any]]:
    """A call of DuckDB's CSV reader that detects nothing, and its parameters."""
    options = {**reading.options, **more}
    arguments = "".join(f", {name} = ${name}" for name in options)
    source = f"read_csv($files, auto_detect = false, columns = $columns{arguments})"
    return source, {"files": list(files), "columns": dict(reading.columns.pairs()), **options}
