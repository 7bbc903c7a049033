"""Checks of the pipeline file, its warehouse and its raw zone."""

from __future__ import annotations

import fcntl
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from prefect_etl.cli.checks.finding import Check, failed
from prefect_etl.cli.checks.machine import existing
from prefect_etl.errors import BusyError, EtlError
from prefect_etl.reporting.numbers import counted, size

if TYPE_CHECKING:
    from prefect_etl.pipeline.spec import PipelineSpec
    from prefect_etl.storage.raw_zone import RawZone


def check_pipeline(spec: PipelineSpec) -> Check:
    """What the pipeline file says, in numbers."""
    parts = f"{counted(len(spec.datasets), 'dataset')}, " + counted(
        len(spec.transformations), "transformation"
    )
    return Check("pipeline", "ok", f"{spec.name}: {parts}")


def check_warehouse(spec: PipelineSpec) -> Check:
    """Whether the destination exists and could be written now."""
    config = spec.destination.config
    path = getattr(config, "path", None)
    if spec.destination.connector.name != "duckdb" or not isinstance(path, Path):
        return Check("warehouse", "ok", f"{config.display} (a run will tell)")
    if not path.exists():
        return _new_warehouse(path)
    try:
        if is_locked(path):
            return _locked(path)
        tables = _tables(path)
    except EtlError as error:
        return failed("warehouse", error)
    except OSError as error:
        mend = "Make it readable and writable for this user."
        return Check("warehouse", "fail", f"{path}: {error.strerror}", mend)
    return Check("warehouse", "ok", f"{path}: {counted(tables, 'table')}, {_size(path)}, free")


def _new_warehouse(path: Path) -> Check:
    import os

    place = existing(path.parent)
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        return Check("warehouse", "ok", f"{path}: will be made by the first run")
    mend = "Make the folder writable, or change destination in the pipeline file."
    return Check("warehouse", "fail", f"{path} cannot be made: {place} is not writable", mend)


def is_locked(path: Path) -> bool:
    """Whether another process has a DuckDB file open; asks for the lock that DuckDB takes.

    Raises:
        OSError: The file cannot be opened for writing.
    """
    with path.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False  # closing the file gives the lock up


def _locked(path: Path) -> Check:
    mend = (
        "Close the program that has it open; a run waits for it PREFECT_ETL_LOCK_TIMEOUT seconds."
    )
    try:
        _tables(path)
    except BusyError as error:
        return Check("warehouse", "warn", error.message.partition(";")[0], mend)
    return Check("warehouse", "warn", f"{path} is read by another process", mend)


def _tables(path: Path) -> int:
    from prefect_etl.engine.duckdb import Session

    session = Session(memory_limit="256MiB", threads=1, wait=0)
    try:
        with session.attached(path, read_only=True) as cursor:
            sql = "SELECT count(*) FROM duckdb_tables() WHERE NOT internal AND NOT temporary"
            row = cursor.execute(sql).fetchone()
            return int(row[0]) if row else 0
    finally:
        session.close()


def check_raw_zone(spec: PipelineSpec, data_dir: Path) -> Iterable[Check]:
    """Size of the raw zone, and whether everything in it can be read.

    Args:
        spec: The pipeline.
        data_dir: The folder of the settings.
    """
    from prefect_etl.pipeline.workspace import Options, Workspace

    raw = Workspace(spec, Options(data_dir=data_dir), run_id="doctor").raw
    if not raw.root.is_dir():
        yield Check("raw zone", "ok", f"{raw.root}: empty")
        return
    try:
        batches = [raw.dataset(name).manifest(i) for name, i in _batches(raw)]
    except EtlError as error:
        yield failed("raw zone", error)
        return
    unfinished = [path for path in raw.root.glob("*/batches/.*") if path.is_dir()]
    detail = f"{raw.root}: {counted(len(batches), 'batch', 'batches')}, {_size(raw.root)}"
    if unfinished:
        detail += f"; {counted(len(unfinished), 'unfinished one')}, which the next run sweeps"
    yield Check("raw zone", "ok", detail)


def _batches(raw: RawZone) -> Iterable[tuple[str, str]]:
    return [(name, batch) for name in raw.datasets() for batch in raw.dataset(name).batch_ids()]


def _size(path: Path) -> str:
    files = [path] if path.is_file() else [part for part in path.rglob("*") if part.is_file()]
    return size(sum(file.stat().st_size for file in files))
