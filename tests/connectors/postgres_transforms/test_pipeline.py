"""A pipeline whose destination is PostgreSQL, with its transformations."""

from __future__ import annotations

from pathlib import Path

import psycopg

from prefect_etl.core.report import RunReport
from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.workspace import Options, open_workspace


def run(root: Path, uri: str) -> RunReport:
    spec = pipeline_from(
        name="shop",
        destination=uri,
        sources={
            "files": {
                "connection": "file://./data",
                "datasets": {"orders": {"path": "*.csv", "write": "merge", "key": "id"}},
            }
        },
        transformations={
            "totals": {
                "sql": "SELECT customer, sum(n) AS n FROM orders GROUP BY customer",
                "checks": {"unique": "customer", "expression": "n > 0"},
            },
            "best": {"sql": "SELECT max(n) AS n FROM totals", "kind": "view"},
        },
        root=root,
    )
    with open_workspace(spec, Options(lock_timeout=5)) as workspace:
        return run_pipeline(workspace)


def test_transformations_follow_what_is_loaded(pg_uri, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "one.csv").write_text("id,customer,n\n1,a,10\n2,b,20\n")
    assert [part.status for part in run(tmp_path, pg_uri).transformations] == ["built", "built"]
    assert [part.status for part in run(tmp_path, pg_uri).transformations] == ["unchanged"] * 2
    (tmp_path / "data" / "two.csv").write_text("id,customer,n\n2,b,5\n3,a,-90\n")
    failed = run(tmp_path, pg_uri)
    assert [part.status for part in failed.transformations] == ["failed", "skipped"]
    assert "expression: n > 0: 1 of 2 rows" in failed.transformations[0].reason
    (tmp_path / "data" / "three.csv").write_text("id,customer,n\n3,a,90\n")
    assert [part.status for part in run(tmp_path, pg_uri).transformations] == ["built", "built"]
    with psycopg.connect(pg_uri) as connection:
        assert connection.execute("SELECT n FROM best").fetchall() == [(100,)]
