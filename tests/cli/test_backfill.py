"""``prefect-etl backfill``, as a person uses it."""

from __future__ import annotations

import json
import os

import duckdb
import pytest

from prefect_etl.cli.main import main

FILE = """
name: past
destination: duckdb:///warehouse.duckdb
sources:
  ops:
    connection: duckdb:///shop.duckdb
    datasets:
      orders: {table: orders, cursor: made}
"""
RANGE = ("--dataset", "orders", "--start", "2026-01-01", "--end", "2026-01-04")


@pytest.fixture
def project(prefect_server, tmp_path):
    (tmp_path / "pipeline.yaml").write_text(FILE)
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE orders AS SELECT range AS id, DATE '2026-01-01' + range::INTEGER AS made "
            "FROM range(5)"
        )


def test_a_backfill_shows_what_is_missing_loads_it_and_goes_on(project, script, capsys):
    assert main(["backfill", *RANGE, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "2026-01-01 to 2026-01-04        3  missing" in said
    assert "3 windows: 0 done, 3 missing, 0 failed" in said

    done = script("backfill", *RANGE, "--limit", "3", env={**os.environ, "NO_COLOR": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "orders 2026-01-02 to 2026-01-03" in done.stdout

    with duckdb.connect("warehouse.duckdb") as connection:
        assert connection.execute("SELECT count(*), max(id) FROM orders").fetchall() == [(3, 2)]
    assert main(["backfill", *RANGE, "--json"]) == 0
    windows = json.loads(capsys.readouterr().out)["windows"]
    assert [window["status"] for window in windows] == ["done"] * 3
    longer = (*RANGE[:-1], "2026-01-06")
    assert main(["backfill", *longer, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "2026-01-01 to 2026-01-04        3  done" in said
    assert "2026-01-04 to 2026-01-06        2  missing" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--every", "often"), "is not a duration"),
        (("--limit", "0"), "loads nothing"),
        (("--dataset", "ordrs"), "did you mean orders?"),
    ],
)
def test_what_cannot_be_is_wrong_use(project, capsys, words, said):
    given = dict(zip(RANGE[::2], RANGE[1::2], strict=True)) | {words[0]: words[1]}
    assert main(["backfill", *(word for pair in given.items() for word in pair)]) == 2
    assert said in capsys.readouterr().err
