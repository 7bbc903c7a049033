"""What is in this process: a function, a table in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from prefect_etl.testing.exercise import Exercise, Row


class Python(Exercise):
    """A function in a module."""

    scheme: ClassVar[str] = "python"

    def uri(self, folder: Path) -> str:
        """The folder of the pipeline."""
        del folder
        return "python://"

    def put(self, folder: Path, rows: Sequence[Row]) -> None:
        """Write a module whose function gives the rows."""
        given = [dict(row) for row in rows]
        text = f"import datetime\n\n\ndef give():\n    return {given!r}\n"
        (folder / "exercise_rows.py").write_text(text, encoding="utf-8")

    def fields(self) -> dict[str, Any]:
        """That function."""
        return {"function": "exercise_rows:give"}


class Memory(Exercise):
    """A table in this process."""

    scheme: ClassVar[str] = "memory"

    def uri(self, folder: Path) -> str:
        """A store for each folder."""
        return f"memory://{quote(str(folder), safe='')}"

    def put(self, folder: Path, rows: Sequence[Row]) -> None:
        """Replace a table."""
        from prefect_etl.connectors.memory import store

        store(str(folder)).put("rows_given", [dict(row) for row in rows])

    def fields(self) -> dict[str, Any]:
        """That table."""
        return {"table": "rows_given"}

    def rows(self, folder: Path, schema: str, table: str) -> list[dict[str, Any]]:
        """What the store holds."""
        from prefect_etl.connectors.memory import store

        return store(str(folder)).rows(table, schema)
