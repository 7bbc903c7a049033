"""One file into the raw zone, or Parquet by DuckDB alone; then the table, to see how it reads.

Arguments: ``ours`` or ``duckdb``, the pipeline file, COMPRESSION of DuckDB's COPY, the CSV file.
Prints the seconds of both steps, without start-up, and the size.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from prefect_etl.engine.duckdb import Session
from prefect_etl.pipeline.extract import extract_batch
from prefect_etl.pipeline.planner import plan_dataset
from prefect_etl.pipeline.spec import load_pipeline
from prefect_etl.pipeline.workspace import Workspace, open_workspace
from prefect_etl.storage import parquet

DATASET = "lineitem"


@dataclass(frozen=True)
class Written:
    """A Parquet file, with the wall and processor seconds that it took."""

    seconds: float
    cpu: float
    path: Path


def ours(workspace: Workspace) -> Written:
    plan = plan_dataset(workspace, DATASET)
    (batch,) = plan.batches
    started, cpu = time.perf_counter(), time.process_time()
    manifest = extract_batch(workspace, plan, batch)
    return Written(
        time.perf_counter() - started,
        time.process_time() - cpu,
        workspace.raw.dataset(DATASET).data(manifest.batch_id),
    )


def duckdbs(workspace: Workspace, compression: str) -> Written:
    """DuckDB's own COPY of the file, left to itself but for the order of the rows."""
    target = workspace.spec.root / "copy.parquet"
    started, cpu = time.perf_counter(), time.process_time()
    with workspace.session.cursor() as cursor:
        cursor.execute(
            f"COPY (FROM read_csv('{sys.argv[4]}')) TO '{target}' "
            f"(FORMAT parquet, COMPRESSION {compression}, PRESERVE_ORDER true)"
        )
    return Written(time.perf_counter() - started, time.process_time() - cpu, target)


def load_seconds(session: Session, source: Path, folder: Path) -> float:
    started = time.perf_counter()
    with session.attached(folder / "table.duckdb", read_only=False) as cursor:
        cursor.execute(f"CREATE TABLE {DATASET} AS FROM read_parquet('{source}')")
    return time.perf_counter() - started


def main() -> None:
    how, file, compression = sys.argv[1:4]
    parquet.COMPRESSION = compression
    with open_workspace(load_pipeline(Path(file))) as workspace:
        written = ours(workspace) if how == "ours" else duckdbs(workspace, compression)
        os.sync()
        loading = load_seconds(workspace.session, written.path, workspace.spec.root)
        size = written.path.stat().st_size
    figures = {"write": written.seconds, "cpu": written.cpu, "load": loading}
    print(json.dumps(figures | {"megabytes": size / 1e6}))


if __name__ == "__main__":
    main()
