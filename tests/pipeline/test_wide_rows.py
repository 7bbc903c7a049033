"""Memory is bounded where rows are megabytes each: by what a process took, not by what it says."""

import json
import sqlite3
import subprocess
import sys

import duckdb
import pytest

ROWS, WIDTH = 60, 5_000_000
LIMIT_MB = 256
RUN = """
import json, sys
from pathlib import Path
from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.workspace import Options, open_workspace
told = json.loads(sys.argv[1])
sources = {"s": {"connection": told["source"], "datasets": {"t": told["dataset"]}}}
root, to = Path(told["root"]), "sqlite:///out.sqlite"
spec = pipeline_from(name="p", destination=to, sources=sources, root=root)
with open_workspace(spec, Options(memory_limit=told["limit"])) as workspace:
    report = run_pipeline(workspace).datasets[0]
status = Path("/proc/self/status").read_text()
peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
print(json.dumps([report.counts.inserted, int(peak.split()[1]) // 1024, report.reason]))
"""


def _text(row):
    return str(row % 10) * WIDTH


def _lines(root):
    (root / "in").mkdir()
    with (root / "in/wide.jsonl").open("w") as file:
        for row in range(ROWS):
            file.write(json.dumps({"id": row, "text": _text(row)}) + "\n")
    return "file://./in", {"path": "*.jsonl"}


def _sqlite(root):
    with sqlite3.connect(root / "in.sqlite") as connection:
        connection.execute("CREATE TABLE wide (id integer PRIMARY KEY, text text)")
        rows = ((row, _text(row)) for row in range(ROWS))
        connection.executemany("INSERT INTO wide VALUES (?, ?)", rows)
    connection.close()
    return "sqlite:///in.sqlite", {"table": "wide"}


def _duckdb(root):
    with duckdb.connect(str(root / "in.duckdb")) as connection:
        connection.execute(
            f"CREATE TABLE wide AS SELECT i AS id, repeat((i % 10)::VARCHAR, {WIDTH}) AS text "
            f"FROM range({ROWS}) AS r(i)"
        )
    return "duckdb:///in.duckdb", {"table": "wide"}


@pytest.mark.skipif(sys.platform != "linux", reason="a process tells of its peak there")
@pytest.mark.parametrize(("make", "above"), [(_lines, 300), (_sqlite, 300), (_duckdb, 450)])
def test_rows_of_megabytes_take_little_more_than_the_limit(tmp_path, make, above):
    source, dataset = make(tmp_path)
    told = {"root": str(tmp_path), "limit": f"{LIMIT_MB}MB", "source": source, "dataset": dataset}
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(told)], capture_output=True, text=True, check=True
    )
    inserted, peak, reason = json.loads(done.stdout.splitlines()[-1])
    assert inserted == ROWS, reason
    assert peak < LIMIT_MB + above
    with sqlite3.connect(tmp_path / "out.sqlite") as connection:
        found = connection.execute("SELECT id, length(text), substr(text, 9, 1) FROM t").fetchall()
    connection.close()
    assert sorted(found) == [(row, WIDTH, str(row % 10)) for row in range(ROWS)]
