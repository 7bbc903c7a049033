"""Finds files whose own account of what is in them cannot be true, before a row is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from prefect_etl.connectors.files.listing import glob_literal
from prefect_etl.connectors.files.parts import ROW
from prefect_etl.connectors.files.reading import Reading
from prefect_etl.core.sql import literal
from prefect_etl.core.unit import Unit
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import SourceReadError

_FOOTERS = """
SELECT f.file_name, f.num_rows, coalesce(g.num_rows, 0)
FROM parquet_file_metadata({files}) f LEFT JOIN (
    SELECT file_name, sum(row_group_num_rows) AS num_rows
    FROM parquet_metadata({files}) WHERE column_id = 0 GROUP BY file_name
) g ON g.file_name = f.file_name
WHERE f.num_rows <> coalesce(g.num_rows, 0) ORDER BY 1 LIMIT 1
"""


def assert_sound(session: Session, folder: Path, reading: Reading, units: Sequence[Unit]) -> None:
    """Refuse files that read without an error and give something else than they hold.

    Raises:
        SourceReadError: A column has a name that cannot be written; or a Parquet file's footer
            counts other rows than its row groups, of which readers take the latter's word.
    """
    if any("\0" in column.name for column in reading.columns):
        raise SourceReadError(
            f"{units[0].position} cannot be read: its first line has NUL characters",
            hint="It is not text. Mend or remove the file, then run again.",
        )
    if any(column.name.lower() == ROW for column in reading.columns):
        raise SourceReadError(
            f"{units[0].position} has a column {ROW}, a name that DuckDB keeps for itself",
            hint="Give the column another name at the source.",
        )
    if reading.format != "parquet":
        return
    files = [glob_literal(str(folder / unit.position)) for unit in units]
    # As text: a statement with parameters makes DuckDB import pandas, for a quarter of a second.
    for name, said, found in session.query(_FOOTERS.format(files=literal(files))):
        raise SourceReadError(
            f"{Path(name).relative_to(folder)} is damaged: its footer speaks of {said} rows, and "
            f"its row groups have {found}",
            hint="Mend or remove the file, then run again; nothing of it was loaded.",
        )
