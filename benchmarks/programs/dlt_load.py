"""The peer: dlt into DuckDB through Parquet. Arguments: CSV, folder, reader (pyarrow | duckdb).

Both readers give Arrow, the only form in which dlt moves rows without touching each in Python.
Run with the interpreter of the peers' own environment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def with_pyarrow(source: str) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow import csv

    # Larger blocks than the default 1 MiB, which made it slower.
    options = csv.ReadOptions(block_size=16 << 20)
    for batch in csv.open_csv(source, read_options=options):
        yield pa.Table.from_batches([batch])


def with_duckdb(source: str) -> Iterator[Any]:
    import duckdb

    yield from duckdb.connect().execute(f"FROM read_csv('{source}')").to_arrow_reader(1_000_000)


def main() -> None:
    source, folder, reader = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    os.environ["DLT_DATA_DIR"] = str(folder / "dlt")
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    import dlt

    read = {"pyarrow": with_pyarrow, "duckdb": with_duckdb}[reader]
    pipeline = dlt.pipeline(
        "lineitem",
        pipelines_dir=str(folder / "pipelines"),
        destination=dlt.destinations.duckdb(str(folder / "warehouse.duckdb")),
        dataset_name="tpch",
    )
    rows = dlt.resource(read(source), name="lineitem")
    pipeline.run(rows, loader_file_format="parquet", write_disposition="append")


if __name__ == "__main__":
    main()
