"""The peer: PostgreSQL -> DuckDB by dlt. Arguments: URI, table, folder, backend.

Run with the interpreter of the peers' own environment.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    uri, table, folder, backend = sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4]
    os.environ["DLT_DATA_DIR"] = str(folder / "dlt")
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    import dlt
    from dlt.sources.sql_database import sql_table

    pipeline = dlt.pipeline(
        "orders",
        pipelines_dir=str(folder / "pipelines"),
        destination=dlt.destinations.duckdb(str(folder / "warehouse.duckdb")),
        dataset_name="tpch",
    )
    options = {"backend_kwargs": {"return_type": "arrow"}} if backend == "connectorx" else {}
    source = sql_table(
        uri.replace("postgresql://", "postgresql+psycopg2://"),
        table=table,
        backend=backend,
        chunk_size=500_000,
        reflection_level="full_with_precision",
        **options,
    )
    pipeline.run(source, loader_file_format="parquet", write_disposition="replace")


if __name__ == "__main__":
    main()
