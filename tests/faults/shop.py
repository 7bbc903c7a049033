"""A small pipeline that has a bit of everything, its increments, and what its tables hold."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

# Many more and random faults: `make soak`.
SOAK = os.environ.get("PREFECT_ETL_SOAK") == "1"

PIPELINE = """\
name: shop
destination: duckdb:///warehouse.duckdb
sources:
  landing:
    connection: file://./data
    datasets:
      events: {path: events/*.csv}
      orders:
        path: orders/*.csv
        write: merge
        key: id
        cursor: updated
        deleted_when: status = 'gone'
      prices: {path: prices/*.csv, write: replace}
      people:
        path: people/*.jsonl
        contract:
          columns:
            age: {ge: 0, nullable: false}
            name: {unique: true}
          on_violation: quarantine
"""
TRANSFORMATIONS = """\
transformations:
  totals:
    sql: SELECT what, count(*) AS events, max(n) AS highest FROM events GROUP BY what
    checks: {unique: what}
  latest:
    sql: SELECT id, updated FROM orders
    kind: incremental
    key: id
  catalogue: {sql: SELECT * FROM prices WHERE price > 1, kind: view}
  busiest: {python: models:busiest}
"""
MODELS = """\
import pandas as pd

def busiest(totals: pd.DataFrame) -> pd.DataFrame:
    return totals.sort_values(["events", "what"]).tail(3)
"""
DATASETS = ("events", "orders", "prices", "people")

# A unit that is larger than this is a batch of its own, so that a small pipeline has many.
BATCH_BYTES = 4096

_LARGE = "".join(f"{n},large-{n % 7}\n" for n in range(2000))
FIRST = {
    "events/a.csv": "n,what\n1,open\n2,close\n",
    "events/b.csv": "n,what\n3,open\n3,open\n",
    "events/large.csv": "n,what\n" + _LARGE,
    "orders/1.csv": "id,status,updated\n1,new,2024-01-01\n2,new,2024-01-01\n3,new,2024-01-02\n",
    "orders/2.csv": "id,status,updated\n1,paid,2024-01-03\n3,gone,2024-01-04\n",
    "prices/1.csv": "sku,price\nx,1\ny,2\n",
    "people/1.jsonl": '{"name": "Ann", "age": 3}\n{"name": "Bob", "age": -1}\n{"name": "Ann"}\n',
}
SECOND = {
    "events/b.csv": "n,what\n3,open\n4,changed\n5,changed\n",
    "events/c.csv": "n,what,where\n6,open,Paris\n",
    "orders/3.csv": "id,status,updated,note\n2,gone,2024-01-05,x\n3,late,2024-01-02,y\n4,new,,z\n",
    "prices/1.csv": "sku,price\nx,1.5\nz,3\n",
    "people/2.jsonl": '{"name": "Cid", "age": 5}\n{"name": "Dan", "age": null}\n',
}
INCREMENTS = (FIRST, SECOND)


def make(root: Path, *, transformations: bool = False) -> Path:
    """A folder with the pipeline file and no data yet."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "pipeline.yaml").write_text(PIPELINE + TRANSFORMATIONS * transformations)
    (root / "models.py").write_text(MODELS)
    return root


def arrive(root: Path, files: dict[str, str]) -> None:
    """Files appear or change."""
    for name, text in files.items():
        path = root / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def outcome(root: Path) -> dict[str, Any]:
    """All that has to be the same however often a run was killed."""
    import duckdb

    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as connection:
        return {
            "tables": _tables(connection),
            "ledger": _ledger(connection),
            "aside": _quarantined(connection, root),
        }


def _tables(connection: Connection) -> dict[str, Any]:
    """Everything a reader can see: tables and views with their columns and rows, in no order."""
    columns: dict[str, list[tuple[str, str]]] = {}
    for schema, table, column, kind in connection.execute(
        "SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns "
        "WHERE table_schema <> '_prefect_etl' ORDER BY table_schema, table_name, ordinal_position"
    ).fetchall():
        columns.setdefault(f"{schema}.{table}", []).append((column, kind))
    shown = "COLUMNS(c -> c <> '_etl_unit_id')"
    return {
        table: (kinds, Counter(connection.execute(f"SELECT {shown} FROM {table}").fetchall()))
        for table, kinds in columns.items()
    }


def _ledger(connection: Connection) -> dict[str, Any]:
    """What the ledger tells of versions, units and rows; times and random names left out."""
    parts = {
        name
        for (name,) in connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = '_prefect_etl'"
        ).fetchall()
    }
    return {
        part: connection.execute(f"SELECT {shown} FROM _prefect_etl.{part} ORDER BY ALL").fetchall()
        for part, shown in {
            "tables": "* EXCLUDE (lineage, updated_at)",
            "units": "* EXCLUDE (unit_id, modified_ns, seen_ns, batch_id)",
            "loads": "* EXCLUDE (lineage, run_id, batches, committed_ns)",
            "tombstones": "*",
            "transformations": "* EXCLUDE (reads, history, run_id, built_at)",
        }.items()
        if part in parts
    }


def _quarantined(connection: Connection, root: Path) -> Counter[tuple[Any, ...]]:
    """Rows that published loads put aside."""
    from prefect_etl.pipeline.quarantine import Quarantine

    found: Counter[tuple[Any, ...]] = Counter()
    for entry in Quarantine(root / ".prefect_etl/shop/quarantine").entries():
        if entry.loaded:
            rows = connection.execute(
                f"SELECT name, age, _rules::VARCHAR, _source, _row FROM '{entry.path}'"
            ).fetchall()
            found.update(rows)
    return found


def leftovers(root: Path, *, settled: bool = True) -> list[str]:
    """What a run has to have removed, or must never leave.

    Where a run was stopped, the raw zone may have batches that are not loaded yet.
    """
    kept = root / ".prefect_etl/shop"
    # A write-ahead log holds what was committed; whoever opens the file next reads it.
    known = {"data", "pipeline.yaml", "models.py", "__pycache__"}
    known |= {".prefect_etl", "warehouse.duckdb", "warehouse.duckdb.wal"}
    found = [path.name for path in root.iterdir() if path.name not in known]
    found += [str(p.relative_to(kept)) for p in kept.rglob(".*")]
    found += [str(p.relative_to(kept)) for p in (kept / "raw/leases").iterdir()]
    found += ["spill"] if (kept / "spill").exists() else []
    for dataset in DATASETS if settled else ():
        recorded = {
            batch
            for path in (kept / "raw" / dataset / "loads").glob("*.json")
            for batch in json.loads(path.read_text())["batches"]
        }
        present = {path.name for path in (kept / "raw" / dataset / "batches").iterdir()}
        found += [f"{dataset}: batch {name}" for name in present ^ recorded]
    return found
