"""Writes rows to the Parquet files of a version, and makes a version durable."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prefect_etl.connectors.parquet.columns import written
from prefect_etl.connectors.parquet.layout import LEDGER, link_file
from prefect_etl.connectors.parquet.ledger import DataFile, Ledger, ledger_text
from prefect_etl.core.schema import Column
from prefect_etl.core.sql import identifier, literal
from prefect_etl.errors import StorageError
from prefect_etl.storage.durable import sync_file, sync_folder, write_file

if TYPE_CHECKING:
    import duckdb

# Of a file that is not in a partition; one of a partition is as large as the partition's rows.
_FILE_SIZE = "128MB"
# Rows that are kept in memory until their partitions are written; DuckDB's own is eight times this.
_FLUSH_ROWS = 65_536
# Large enough to be read fast, small enough that rows of megabytes fit in memory.
_ROW_GROUP = "32MB"
COMPRESSION = "zstd"


def write_rows(
    cursor: duckdb.DuckDBPyConnection,
    select: str,
    folder: Path,
    *,
    columns: Sequence[Column],
    partitions: Sequence[str],
    stem: str,
) -> list[DataFile]:
    """Run a SELECT and write its rows to new files; neither they nor their names are durable yet.

    Args:
        cursor: Knows what the SELECT reads.
        select: The rows, in the table's own types.
        folder: Where to write; nothing is in it.
        columns: Of the table; any others of the SELECT are left out.
        partitions: The columns whose values make folders.
        stem: What the names of the files begin with; no other load's do.
    """
    names = {name.lower() for name in partitions}
    listed = ", ".join(written(c, partition=c.name.lower() in names) for c in columns)
    rows = f"SELECT {listed} FROM ({select})"
    options = [f"FILENAME_PATTERN {literal(stem + '-{i}')}", "RETURN_STATS"]
    if partitions:
        # Sorted, each partition is written once and whole; else each thread writes many pieces.
        by = ", ".join(identifier(name) for name in partitions)
        rows = f"SELECT * FROM ({rows}) ORDER BY {by}"
        options.append(f"PARTITION_BY ({by})")
        cursor.execute(f"SET partitioned_write_flush_threshold = {_FLUSH_ROWS}")
    else:
        options.append(f"FILE_SIZE_BYTES {literal(_FILE_SIZE)}")
    options += [f"COMPRESSION {COMPRESSION}", f"ROW_GROUP_SIZE_BYTES {literal(_ROW_GROUP)}"]
    # Where rows had to keep their order, they were staged in it; sizes of row groups need none.
    cursor.execute("SET SESSION preserve_insertion_order = false")
    copy = f"COPY ({rows}) TO {literal(folder)} (FORMAT parquet, {', '.join(options)})"
    found = cursor.execute(copy).fetchall()
    return [
        DataFile(Path(path).relative_to(folder).as_posix(), rows, size)
        for path, rows, size, *_ in found
    ]


def link_files(files: Iterable[DataFile], before: Path, folder: Path) -> None:
    """Give files of the version before a place in the new one."""
    for file in files:
        new = folder / file.path
        new.parent.mkdir(parents=True, exist_ok=True)
        link_file(before / file.path, new)


def settle(folder: Path, ledger: Ledger, made: Iterable[DataFile]) -> None:
    """Write the ledger of a version, and make all of it durable.

    Args:
        folder: The version's folder.
        ledger: What it says of itself.
        made: The files that were written for it.

    Raises:
        StorageError: Two names became one.
    """
    _assert_all_there(folder, ledger)
    for file in made:
        sync_file(folder / file.path)
    write_file(folder / LEDGER, ledger_text(ledger))
    for path, _, _ in os.walk(folder, topdown=False):
        sync_folder(Path(path))


def _assert_all_there(folder: Path, ledger: Ledger) -> None:
    # A folder may have such a name, too: that of a partition whose value ends like this.
    files = (path for path in folder.rglob("*.parquet") if path.is_file())
    found = {path.relative_to(folder).as_posix() for path in files}
    wrong = sorted(found.symmetric_difference(file.path for file in ledger.files))
    if wrong:
        raise StorageError(
            f"{folder}: {wrong[0]} is not where it was written",
            hint="The file system may not tell upper from lower case: then values that differ in "
            "nothing else cannot be partitions.",
        )
