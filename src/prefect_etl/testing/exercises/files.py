"""Files of each format as a source, and a folder of them as a destination."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from prefect_etl.core.sql import literal
from prefect_etl.testing.exercise import Exercise, Row, arrow_table, without_ledger


class Files(Exercise):
    """Two files in a folder, so that there are several units."""

    scheme: ClassVar[str] = "file"
    ending: ClassVar[str]

    def uri(self, folder: Path) -> str:
        """The folder."""
        return f"file://{quote(str(folder))}"

    def put(self, folder: Path, rows: Sequence[Row]) -> None:
        """Write the first row to one file and the others to another."""
        for name, part in (("a", rows[:1]), ("b", rows[1:])):
            path = folder / f"{name}.{self.ending}"
            path.unlink(missing_ok=True)
            self.write(arrow_table(rows).slice(0 if name == "a" else 1, len(part)), path)

    def write(self, table: Any, path: Path) -> None:
        """Write one file."""
        raise NotImplementedError("abstract: each exercise says it")

    def fields(self) -> dict[str, Any]:
        """All files of this format."""
        return {"path": f"*.{self.ending}"}


class Parquet(Files):
    """Parquet files."""

    ending = "parquet"

    def write(self, table: Any, path: Path) -> None:
        """Write one file."""
        import pyarrow.parquet as pq

        pq.write_table(table, path)


class Arrow(Files):
    """Arrow IPC files."""

    ending = "arrow"

    def write(self, table: Any, path: Path) -> None:
        """Write one file."""
        import pyarrow as pa

        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as out:
            out.write_table(table)


class Csv(Files):
    """CSV files, written as most programs write them."""

    ending = "csv"

    def write(self, table: Any, path: Path) -> None:
        """Write one file."""
        import csv

        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, table.schema.names)
            writer.writeheader()
            writer.writerows(table.to_pylist())


class JsonLines(Files):
    """JSON Lines files."""

    ending = "jsonl"

    def write(self, table: Any, path: Path) -> None:
        """Write one file."""
        lines = [json.dumps(row, default=str, ensure_ascii=False) for row in table.to_pylist()]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


class ParquetFolder(Exercise):
    """A folder of Parquet files; read through its link, as anybody would."""

    scheme: ClassVar[str] = "parquet"

    def uri(self, folder: Path) -> str:
        """One folder."""
        return f"parquet:///{quote(str(folder / 'lake'))}"

    def rows(self, folder: Path, schema: str, table: str) -> list[dict[str, Any]]:
        """All files of the table."""
        import duckdb

        from prefect_etl.connectors.parquet.layout import TableFolder

        link = TableFolder.of(folder / "lake", schema, table).link
        with duckdb.connect() as connection:
            found = connection.execute(
                f"FROM read_parquet({literal(f'{link}/**/*.parquet')}, union_by_name = true)"
            )
            names = [name for name, *_ in found.description or ()]
            return [without_ledger(dict(zip(names, row, strict=True))) for row in found.fetchall()]
