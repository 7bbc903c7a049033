"""JSON through a pipeline: what is put aside is accounted for; lists make tables of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from prefect_etl.core.report import RunReport
from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.workspace import Options, open_workspace


def _run(root: Path, datasets: dict[str, Any]) -> RunReport:
    spec = pipeline_from(
        name="p",
        destination="duckdb:///warehouse.duckdb",
        sources={"files": {"connection": "file://./data", "datasets": datasets}},
        transformations={},
        root=root,
    )
    with open_workspace(spec, Options(lock_timeout=5)) as workspace:
        return run_pipeline(workspace)


def _write(root: Path, name: str, text: str) -> None:
    (root / "data").mkdir(exist_ok=True)
    (root / "data" / name).write_text(text)


def _rows(root: Path, sql: str) -> list[Any]:
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"n": 1}\n\n \n{"n": -2}\n{"n": 3}\n', 4),
        ('{"n": 1}\n{"n": oops}\n\n{"n": -2}\n{"n": 3}\n{"n": 4}', 4),
        ('{"n": 1}\n{"n": 5, "n": 1.2}\n{"n": -2}', 3),
        ('[{"n": 1},\n{"n": -2}]', None),
    ],
)
def test_a_row_that_a_contract_refuses_is_told_with_its_line(
    tmp_path: Path, text: str, line: int | None
) -> None:
    _write(tmp_path, "a.jsonl" if line else "a.json", text)
    rules = {"path": "*.json*", "contract": {"columns": {"n": {"ge": 0}}}}
    _run(tmp_path, {"t": rules})
    files = tmp_path.glob(".prefect_etl/p/quarantine/t/*.parquet")
    found = [
        row
        for file in files
        for row in duckdb.read_parquet(str(file)).select("_rules, _line").fetchall()
        if row[0] != ["json.syntax"]
    ]
    assert [told for _, told in found] == [line]


def test_a_bad_line_is_in_the_quarantine_with_its_place(tmp_path: Path) -> None:
    _write(tmp_path, "a.jsonl", '{"n": 1}\n{"n": oops}\n{"n": 3, "n": 4}\n')
    report = _run(tmp_path, {"t": {"path": "*.jsonl"}}).datasets[0]
    assert (report.status, report.counts.read, report.counts.quarantined) == ("loaded", 3, 1)
    assert [str(repair) for repair in report.repairs] == [
        "a.jsonl: the key n comes twice in an object; the last one counts (once, in line 3)"
    ]
    file = next(tmp_path.glob(".prefect_etl/p/quarantine/t/*.parquet"))
    found = duckdb.read_parquet(str(file)).select("_rules, _source, _line, _text").fetchall()
    assert found == [(["json.syntax"], "a.jsonl", 2, '{"n": oops}')]
    assert _rows(tmp_path, "SELECT n FROM t ORDER BY n") == [(1,), (4,)]


def test_one_file_makes_orders_and_their_items(tmp_path: Path) -> None:
    _write(
        tmp_path,
        "orders.jsonl",
        '{"id": 7, "items": [{"sku": "a"}, {"sku": "b"}]}\n{"id": 8, "items": []}\n',
    )
    datasets = {
        "orders": {"path": "orders.jsonl", "columns": {"drop": ["items"]}},
        "order_items": {
            "path": "orders.jsonl",
            "records": "items",
            "parent": ["id"],
            "write": "merge",
            "key": ["parent_id", "_index"],
        },
    }
    assert [d.status for d in _run(tmp_path, datasets).datasets] == ["loaded", "loaded"]
    items = _rows(tmp_path, "SELECT parent_id, _index, sku FROM order_items ORDER BY ALL")
    assert items == [(7, 1, "a"), (7, 2, "b")]
    assert _rows(tmp_path, "SELECT id FROM orders ORDER BY id") == [(7,), (8,)]


def test_keys_that_come_twice_among_many_lines_are_told_with_the_first(tmp_path: Path) -> None:
    lines = [f'{{"n": {n}, "s": "a \\":\\" b"}}' for n in range(1, 101)]
    lines[9] = '{"n": 0, "s": "\\":", "n": 10}'
    lines[49] = '{"s": "old", "n": 50, "\\u0073": "x"}'
    _write(tmp_path, "a.jsonl", "\n".join(lines))
    report = _run(tmp_path, {"t": {"path": "*.jsonl"}}).datasets[0]
    (repair,) = report.repairs
    assert (repair.said.split(";")[0], repair.count, repair.line) == (
        "the key n comes twice in an object",
        2,
        10,
    )
    assert _rows(tmp_path, "SELECT n FROM t ORDER BY n") == [(n,) for n in range(1, 101)]
    assert _rows(tmp_path, "SELECT s FROM t WHERE n IN (10, 50) ORDER BY n") == [('":',), ("x",)]
