"""The rows of a version as SQL, each with the place that it is at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from glob import escape
from pathlib import Path

from prefect_etl.connectors.parquet.columns import kept_type, read
from prefect_etl.connectors.parquet.ledger import DataFile
from prefect_etl.core.schema import Column
from prefect_etl.core.sql import identifier, literal

# Where a row is: the file's index among those that are read, and the row's in the file.
AT = "_etl_at"
_FILE_BITS = 40
_FILE = "_etl_file"


def relation(
    folder: Path, files: Sequence[DataFile], columns: Iterable[Column], partitions: Sequence[str]
) -> str:
    """A SELECT of the columns in the table's own types, and of ``_etl_at``.

    A file that was written before a column was there has nulls in it.

    Args:
        folder: Of the version.
        files: Those to read.
        columns: Those to read, whether any file has them or not.
        partitions: The columns that are in the names of folders.
    """
    columns = list(columns)
    names = {name.lower() for name in partitions}
    kept = [(column.name, kept_type(column)) for column in columns]
    empty = ", ".join(
        f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in [*kept, (AT, "BIGINT")]
    )
    whole = f"SELECT {empty} WHERE FALSE"
    # The only file of an empty table has no rows, and is in no partition.
    if any(file.rows for file in files):
        paths = [str(folder / file.path) for file in files]
        options = f"union_by_name = true, filename = {literal(_FILE)}"
        if names:
            types = {name: kind for name, kind in kept if name.lower() in names}
            options += f", hive_partitioning = true, hive_types = {literal(types)}"
        else:
            options += ", hive_partitioning = false"
        # Not DuckDB's own index of the file, which does not count those that it need not read.
        index = f"list_position({literal(paths)}, {_FILE}) - 1"
        index = f"coalesce(CAST({index} AS BIGINT), error('a file of a table has another name'))"
        scan = f"read_parquet({literal([escape(path) for path in paths])}, {options})"
        whole = (
            f"SELECT *, ({index} << {_FILE_BITS}) + file_row_number AS {AT} FROM {scan} "
            f"UNION ALL BY NAME {whole}"
        )
    return f"SELECT {''.join(f'{read(column)}, ' for column in columns)}{AT} FROM ({whole})"


def file_of(at: str) -> str:
    """The index of the file that a place is in.

    Example:
        >>> file_of("_etl_at")
        '(_etl_at >> 40)'
    """
    return f"({at} >> {_FILE_BITS})"


def moved(at: str, file: str) -> str:
    """The same place in a file that has another index now."""
    return f"({file} << {_FILE_BITS}) + ({at} & {2**_FILE_BITS - 1})"
