"""A reader of the warehouse sees the table before a load or after it, never between."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.workspace import Options, open_workspace

ROWS = 50_000


def publish(root: Path, write: str, generation: int) -> None:
    (root / "data" / "a.csv").write_text(
        "id,generation\n" + "".join(f"{n},{generation}\n" for n in range(ROWS))
    )
    spec = pipeline_from(
        name="p",
        destination="duckdb:///w.duckdb",
        sources={
            "s": {
                "connection": "file://./data",
                "datasets": {"t": {"path": "a.csv", "write": write, "key": "id"}},
            }
        },
        transformations={"u": {"sql": "SELECT generation, count(*) AS n FROM t GROUP BY 1"}},
        root=root,
    )
    with open_workspace(spec, Options(lock_timeout=60)) as workspace:
        assert not run_pipeline(workspace).failures


def watch(warehouse: Path, seen: Any, stop: Any) -> None:
    """Read as often as the file is free, and keep every picture of the tables."""
    pictures = set()
    while not stop.is_set():
        try:
            with duckdb.connect(str(warehouse), read_only=True) as connection:
                rows = connection.execute(
                    "SELECT generation, count(*) FROM t GROUP BY 1 ORDER BY 1"
                ).fetchall()
                pictures.add(tuple(rows))
        except (duckdb.IOException, duckdb.CatalogException):
            pass  # a load is being published, or the first one is to come
        time.sleep(0.001)
    seen.put(pictures)


@pytest.mark.parametrize("write", ["append", "merge", "replace"])
def test_a_reader_never_sees_half_a_load(tmp_path: Path, write: str) -> None:
    (tmp_path / "data").mkdir()
    publish(tmp_path, write, 0)
    context = multiprocessing.get_context("spawn")
    seen, stop = context.Queue(), context.Event()
    reader = context.Process(target=watch, args=(tmp_path / "w.duckdb", seen, stop))
    reader.start()
    for generation in range(1, 6):
        publish(tmp_path, write, generation)
    stop.set()
    pictures = seen.get(timeout=60)
    reader.join()
    assert len(pictures) > 1
    assert all(len(picture) == 1 and picture[0][1] == ROWS for picture in pictures)
