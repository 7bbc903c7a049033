"""How files are read: dialect and types, fixed before the first row and kept in manifests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from prefect_etl.connectors.files.config import Format, compression_of
from prefect_etl.core.rows import UNIT_INDEX
from prefect_etl.core.schema import Column, TableSchema
from prefect_etl.core.sql import identifier
from prefect_etl.core.unit import Unit

_SMALL = 8 << 20
# DuckDB's name for the number of a file; a column of that name hides it.
_FILE = "file_index"


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


def unit_index(units: Sequence[Unit]) -> str:
    """The column that tells files of one batch apart; nothing where there is one."""
    return f", {_FILE} AS {UNIT_INDEX}" if len(units) > 1 else ""


def are_read_alone(reading: Reading) -> bool:
    """Whether files cannot share a batch, because nothing would tell them apart."""
    return reading.format == "arrow" or reading.columns.find(_FILE) is not None


def retyped(schema: TableSchema, types: Mapping[str, str]) -> TableSchema:
    """The same columns with other types for those that are named."""
    return TableSchema(tuple(Column(c.name, types.get(c.name, c.type)) for c in schema))


def all_small(units: Sequence[Unit]) -> bool:
    """Whether one thread reads each file of text from end to end; it takes 32 MB at a time."""
    return all(compression_of(u.position) is None and (u.size or 0) <= _SMALL for u in units)


def nothing(columns: TableSchema) -> str:
    """A SELECT of no rows of these columns."""
    nulls = (f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in columns.pairs())
    return f"SELECT {', '.join(nulls)} LIMIT 0"
