"""What is asked of a copy, and with what means it is done."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from prefect_etl.engine.duckdb import Session
from prefect_etl.pipeline.progress import Progress, Silent

STANDARD = "-"


@dataclass(frozen=True, slots=True)
class Request:
    """One copy, as its user says it.

    Attributes:
        source: A URI, the name of a connection, a path or glob, or ``-`` for standard input.
        destination: A URI, the name of a connection, a file, or ``-`` for standard output.
        table: The table to read: name, or schema.name.
        query: A SELECT to read instead, in the source's SQL.
        into: The table to write: name, or schema.name.
        mode: ``append``, ``replace``, ``merge`` or ``scd2``; None where the table must be new.
        key: The columns that identify a row.
        cursor: The column that grows: only rows from its highest value that was copied are read.
        lag: How late rows may come, as in pipelines.
        where: A condition on the source's rows, in its SQL; for files, in DuckDB's.
        columns: Only these columns, in this order.
        missing: ``keep`` or ``delete`` keys that the source does not have any more.
        format: Of files and of standard input and output, where no name tells it.
        trusted: Whether nobody else could have made the files: they are read without limits.
    """

    source: str
    destination: str
    table: str | None = None
    query: str | None = None
    into: str | None = None
    mode: str | None = None
    key: tuple[str, ...] = ()
    cursor: str | None = None
    lag: str | int | None = None
    where: str | None = None
    columns: tuple[str, ...] = ()
    missing: str | None = None
    format: str | None = None
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class Means:
    """With what a copy is done.

    Attributes:
        root: The folder that paths are relative to.
        connections: URIs by name; they may hold secrets.
        environment: What ``${NAME}`` stands for in URIs.
        memory_limit: What the engine may use.
        threads: The engine's threads; all cores if None.
        lock_timeout: Seconds to wait for a database that another process holds.
        progress: Told what happens.
        stdin: Standard input.
        stdout: The descriptor of standard output.
    """

    root: Path = field(default_factory=Path.cwd)
    connections: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    memory_limit: str = "1GiB"
    threads: int | None = None
    lock_timeout: float = 60.0
    progress: Progress = field(default_factory=Silent)
    stdin: BinaryIO | None = None
    stdout: int = 1


@dataclass(frozen=True, slots=True)
class Work:
    """The means of copies that run one after the other.

    Attributes:
        means: As they were given.
        session: The engine.
        folder: For temporary files; gone in the end.
    """

    means: Means
    session: Session
    folder: Path


@contextmanager
def working(means: Means) -> Iterator[Work]:
    """The engine and a folder, until the context ends."""
    with TemporaryDirectory(prefix="prefect_etl-copy-") as name:
        folder = Path(name)
        session = Session(means.memory_limit, folder / "spill", means.threads, means.lock_timeout)
        try:
            yield Work(means, session, folder)
        finally:
            session.close()
