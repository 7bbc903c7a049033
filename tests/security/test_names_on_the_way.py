"""Columns of files whose names the engine, or this package, uses for itself."""

import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prefect_etl.core.report import DatasetReport
from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.workspace import Options, open_workspace

_FORMATS: dict[str, Callable[[Path, str, list[int]], object]] = {
    "csv": lambda path, name, ids: path.write_text(
        f"id,{name}\n" + "".join(f"{n},0\n" for n in ids)
    ),
    "jsonl": lambda path, name, ids: path.write_text(
        "".join(json.dumps({"id": n, name: 0}) + "\n" for n in ids)
    ),
    "parquet": lambda path, name, ids: pq.write_table(
        pa.table({"id": ids, name: [0] * len(ids)}), path
    ),
}


def load(folder: Path, name: str, files: int, ending: str) -> DatasetReport:
    """Load files of two rows each; the column of this name holds zeros."""
    for number in range(files):
        _FORMATS[ending](folder / f"{number}.{ending}", name, [number * 2, number * 2 + 1])
    spec = pipeline_from(
        name="p",
        destination="duckdb:///w.duckdb",
        sources={"f": {"connection": "file://.", "datasets": {"t": {"path": f"*.{ending}"}}}},
        root=folder,
    )
    with open_workspace(spec, Options(lock_timeout=5)) as workspace:
        return run_pipeline(workspace).datasets[0]


@pytest.mark.parametrize("ending", _FORMATS)
@pytest.mark.parametrize(
    "name", ["file_index", "FILE_INDEX", "filename", "etl_file", "etl_index", "etl_number", "rowid"]
)
def test_a_column_named_as_the_engine_names_files_stays_apart(tmp_path, name, ending):
    report = load(tmp_path, name, 3, ending)
    assert report.status == "loaded", report.reason
    with duckdb.connect(str(tmp_path / "w.duckdb"), read_only=True) as connection:
        found = connection.execute(
            f'SELECT "{name}", _etl_unit_id, list(id ORDER BY id) FROM t GROUP BY ALL ORDER BY 3'
        ).fetchall()
    assert [(zero, ids) for zero, _, ids in found] == [(0, [0, 1]), (0, [2, 3]), (0, [4, 5])]
    assert len({unit for _, unit, _ in found}) == 3


@pytest.mark.parametrize("ending", _FORMATS)
@pytest.mark.parametrize("files", [1, 3])
@pytest.mark.parametrize("name", ["_etl_unit", "_ETL_UNIT", "_etl_row", "file_row_number"])
def test_a_column_named_as_rows_are_numbered_is_refused(tmp_path, name, files, ending):
    report = load(tmp_path, name, files, ending)
    assert report.status == "failed"
    assert name in report.reason
    assert "name" in report.hint or "rename" in report.hint
