"""What reading files of JSON leaves beside their rows: rejects, and repairs told."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from prefect_etl.connectors.files.config import BadRows
from prefect_etl.connectors.files.json.exact import Fault
from prefect_etl.connectors.files.json.found import Found
from prefect_etl.core.aside import REJECT_COLUMNS, Aside, Repair
from prefect_etl.errors import SourceReadError

_TOGETHER = 10_000


class Rejects:
    """Collects what is put aside of the files of a batch.

    Args:
        path: Where the file of rejects is to be written.
        bad_rows: What the user wants to be done.
    """

    def __init__(self, path: Path, bad_rows: BadRows) -> None:
        self._path = path
        self._bad_rows = bad_rows
        self._writer: Any = None
        self._waiting: list[dict[str, Any]] = []
        self._counts: Counter[int] = Counter()
        self._repairs: dict[tuple[str, str], Repair] = {}

    def add(self, unit: int, position: str, found: Found, fault: Fault) -> None:
        """Put a record aside.

        Raises:
            SourceReadError: The user wants the file to be refused.
        """
        if self._bad_rows == "fail":
            raise SourceReadError(
                f"{position}: line {found.line}: {fault.reason}",
                hint="Mend the file, or say bad_rows: quarantine to load the other records.",
            )
        self._counts[unit] += 1
        self._waiting.append(
            {
                "unit": unit,
                "line": found.line,
                "byte": found.byte,
                "rule": fault.rule,
                "reason": fault.reason,
                "text": found.text,
            }
        )
        if len(self._waiting) >= _TOGETHER:
            self._write()

    def mended(self, kind: str, said: str, position: str, line: int | None = None) -> None:
        """Tell of a repair.

        Raises:
            SourceReadError: The user wants the file to be refused.
        """
        if self._bad_rows == "fail":
            where = position if line is None else f"{position}: line {line}"
            raise SourceReadError(
                f"{where}: {said}", hint="Mend the file, or say bad_rows: quarantine."
            )
        known = self._repairs.get((position, kind))
        first = Repair(kind, said, 0, position, line) if known is None else known
        self._repairs[position, kind] = Repair(
            kind, first.said, first.count + 1, position, first.line
        )

    def count(self, unit: int) -> int:
        """How many records of a unit are aside."""
        return self._counts[unit]

    @property
    def any(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self._counts or self._repairs)

    def aside(self) -> Aside:
        """All of it, once all was read."""
        self._write()
        if self._writer is None:
            return Aside(repairs=tuple(self._repairs.values()))
        self._writer.close()
        return Aside(self._path, dict(self._counts), tuple(self._repairs.values()))

    def _write(self) -> None:
        if not self._waiting:
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        types = {"INTEGER": pa.int32(), "BIGINT": pa.int64(), "VARCHAR": pa.string()}
        schema = pa.schema([(name, types[kind]) for name, kind in REJECT_COLUMNS.items()])
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, schema)
        self._writer.write_table(pa.Table.from_pylist(self._waiting, schema=schema))
        self._waiting.clear()
