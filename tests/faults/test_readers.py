"""A reader of the warehouse sees the table before a load or after it, never between."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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


# Reads as often as the file is free, until it is told to stop; then tells what it saw.
WATCH = """
import json, select, sys, time
import duckdb
pictures = set()
while not select.select([sys.stdin], [], [], 0.001)[0]:
    try:
        with duckdb.connect(sys.argv[1], read_only=True) as connection:
            rows = connection.execute("SELECT generation, count(*) FROM t GROUP BY 1").fetchall()
            pictures.add(tuple(sorted(rows)))
    except (duckdb.IOException, duckdb.CatalogException):
        pass  # a load is being published, or the first one is to come
print(json.dumps(sorted(pictures)))
"""


@pytest.mark.parametrize("write", ["append", "merge", "replace"])
def test_a_reader_never_sees_half_a_load(tmp_path: Path, write: str) -> None:
    (tmp_path / "data").mkdir()
    publish(tmp_path, write, 0)
    with subprocess.Popen(
        [sys.executable, "-c", WATCH, str(tmp_path / "w.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        for generation in range(1, 6):
            publish(tmp_path, write, generation)
        told, _ = reader.communicate("stop\n", timeout=60)
    pictures = json.loads(told)
    assert len(pictures) > 1
    assert all([rows for _, rows in picture] == [ROWS] for picture in pictures), pictures
