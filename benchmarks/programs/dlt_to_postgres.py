"""The peer: Parquet -> PostgreSQL by dlt, through Parquet. Arguments: Parquet, URI, folder.

Run with the interpreter of the peers' own environment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def rows(source: str) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(source).iter_batches(batch_size=500_000):
        yield pa.Table.from_batches([batch])


def main() -> None:
    source, uri, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    os.environ["DLT_DATA_DIR"] = str(folder / "dlt")
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    import dlt

    pipeline = dlt.pipeline(
        "orders",
        pipelines_dir=str(folder / "pipelines"),
        destination=dlt.destinations.postgres(uri),
        dataset_name="dlt_bench",
    )
    resource = dlt.resource(rows(source), name="orders")
    pipeline.run(resource, loader_file_format="parquet", write_disposition="replace")


if __name__ == "__main__":
    main()
