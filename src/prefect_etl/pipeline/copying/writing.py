"""Writes rows to a file, at once, or to standard output, as they come."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.base import ArrowRows
from prefect_etl.core.rows import STREAM
from prefect_etl.core.sql import literal
from prefect_etl.engine.duckdb import storage_error
from prefect_etl.pipeline.copying.ends import Output
from prefect_etl.pipeline.copying.request import Work
from prefect_etl.storage.durable import storage_errors, sync_file, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

_FORMATS = {
    "csv": "FORMAT csv, HEADER",
    "tsv": "FORMAT csv, HEADER, DELIMITER '\t'",
    "json": "FORMAT json, ARRAY true",
    "jsonl": "FORMAT json",
    "parquet": "FORMAT parquet, COMPRESSION zstd",
}
_WINDOW = 1 << 20


class Enough(Exception):
    """Standard output is closed. No OSError: sources take those for their own."""


def write_out(
    work: Work,
    sql: str,
    stream: ArrowRows | None,
    output: Output,
    confirm: Callable[[], None],
) -> int:
    """Write rows in the source's order.

    Args:
        work: The engine.
        sql: The SELECT.
        stream: What it reads, where that is a stream.
        output: Where to.
        confirm: Called before a file gets its name; raises where the source cannot be trusted.

    Returns:
        How many rows.

    Raises:
        StorageError: The file cannot be written.
        Enough: Whoever reads standard output has seen enough.
    """
    with work.session.cursor() as cursor:
        cursor.execute("SET preserve_insertion_order = true")
        if stream is not None:
            cursor.register(STREAM, stream.stream)
        if output.path is None:
            return _to_descriptor(cursor, sql, output.format, work.means.stdout, confirm)
        return _to_file(cursor, sql, output.path, output.format, confirm)


def _to_file(
    cursor: duckdb.DuckDBPyConnection,
    sql: str,
    path: Path,
    kind: str,
    confirm: Callable[[], None],
) -> int:
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    packed = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix)
    compression = f", COMPRESSION {packed}" if packed else ""
    with storage_errors(str(path)):
        try:
            rows = _copy(cursor, sql, str(new), kind, compression)
            confirm()
            sync_file(new)
            new.replace(path)
        except BaseException:  # also Ctrl-C: nobody else knows of the file
            new.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    return rows


def _to_descriptor(
    cursor: duckdb.DuckDBPyConnection,
    sql: str,
    kind: str,
    descriptor: int,
    confirm: Callable[[], None],
) -> int:
    """Through a pipe: the engine opens what it writes by name, and would cut a file short."""
    with _pumped(descriptor) as (path, broken):
        try:
            rows = _copy(cursor, sql, path, kind, "")
        except Exception:
            if broken:
                raise Enough from None
            raise
    if broken:
        raise Enough
    confirm()
    return rows


@contextmanager
def _pumped(descriptor: int) -> Iterator[tuple[str, list[OSError]]]:
    """A name to write to; what is written there goes to a descriptor."""
    reading, writing = os.pipe()
    broken: list[OSError] = []

    def pump() -> None:
        with open(reading, "rb", buffering=0) as pipe:  # noqa: PTH123 - a descriptor has no path
            while window := pipe.read(_WINDOW):
                view = memoryview(window)
                try:
                    while view:
                        view = view[os.write(descriptor, view) :]
                except OSError as error:
                    broken.append(error)
                    return

    thread = threading.Thread(target=pump, name="standard output")
    thread.start()
    try:
        yield f"/dev/fd/{writing}", broken
    finally:
        os.close(writing)
        thread.join()


def _copy(cursor: duckdb.DuckDBPyConnection, sql: str, path: str, kind: str, more: str) -> int:
    import duckdb

    options = f"{_FORMATS[kind]}{more}"
    try:
        row: Any = cursor.execute(f"COPY ({sql}) TO {literal(path)} ({options})").fetchone()
    except duckdb.IOException as error:
        raise storage_error(error, path) from error
    return int(row[0]) if row else 0
