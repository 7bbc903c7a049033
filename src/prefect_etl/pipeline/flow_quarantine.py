"""What flows find wrong, outside of a pipeline: rows and records, in the data folder.

The files are those of a pipeline's quarantine, so that the same commands show them. They lie in
``.flows/``, which can be no pipeline's folder: a dot in a pipeline's name is spelled ``%2E`` there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from prefect_etl.core.frames import is_lazy
from prefect_etl.core.report import RuleCount
from prefect_etl.engine.arrow import NotArrowError, frame_reader, plain
from prefect_etl.engine.frames import objects_as_text
from prefect_etl.errors import DataError
from prefect_etl.pipeline.quarantine import Quarantine, QuarantineEntry
from prefect_etl.storage.durable import (
    make_folder,
    publish,
    replace_file,
    storage_errors,
    sync_file,
    temporary_for,
)
from prefect_etl.utils.validation import REASONS, ROW, RULES


def flow_quarantine(data_folder: Path) -> Quarantine:
    """The quarantine of what flows put aside.

    Args:
        data_folder: The data folder of the project.
    """
    return Quarantine(data_folder / ".flows" / "quarantine")


def put_aside(
    data_folder: Path, name: str, run_id: str, rows: Any, rules: Sequence[RuleCount] = ()
) -> QuarantineEntry:
    """Write rows that a flow does not want, durably.

    Args:
        data_folder: The data folder of the project.
        name: Of the flow; as a dataset's in ``prefect-etl quarantine list``.
        run_id: Sorts by time; unique.
        rows: Their frame.
        rules: What they broke, if it is known.

    Raises:
        DataError: The frame has values that do not fit into Parquet.
        StorageError: The disk refused.
    """
    import pyarrow.parquet as pq

    quarantine = flow_quarantine(data_folder)
    path = quarantine.path(name, run_id, 1)
    temporary = temporary_for(path, run_id)
    with storage_errors("the quarantine"):
        make_folder(path.parent)
        try:
            table = _table(rows, path.parent, name, run_id)
            pq.write_table(table, temporary, compression="zstd")
            sync_file(temporary)
            publish(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        entry = QuarantineEntry(
            path.stem, name, run_id, 1, table.num_rows, tuple(rules), loaded=False, path=str(path)
        )
        replace_file(path.with_suffix(".json"), json.dumps(asdict(entry)), run_id)
    return entry


def write_record(data_folder: Path, run_id: str, record: dict[str, Any]) -> Path:
    """Write what is to be remembered of a validation that failed, durably.

    Args:
        data_folder: The data folder of the project.
        run_id: Sorts by time; unique.
        record: JSON values.

    Raises:
        StorageError: The disk refused.
    """
    path = data_folder / ".flows" / "validation" / f"{run_id}.json"
    with storage_errors("the record of a failed validation"):
        replace_file(path, json.dumps(record, ensure_ascii=False, indent=1), run_id)
    return path


def _table(rows: Any, folder: Path, name: str, run_id: str) -> Any:
    """The rows as Arrow, with where they are from as the commands show it."""
    import pyarrow as pa

    computed = rows.collect() if is_lazy(rows) else rows
    try:
        try:
            table = _arrow(computed, folder)
        except NotArrowError:  # of Python objects of several kinds: their text is better than none
            table = _arrow(objects_as_text(computed, but=(RULES, REASONS)), folder)
    except NotArrowError as error:
        raise DataError(f"rows to be put aside: {error}") from error
    added = {
        "_source": pa.array([name] * table.num_rows, pa.string()),
        "_run_id": pa.array([run_id] * table.num_rows, pa.string()),
    }
    if ROW not in table.schema.names:
        added[ROW] = pa.array(range(1, table.num_rows + 1), pa.int64())
    for column, values in added.items():
        if column in table.schema.names:
            table = table.drop_columns([column])
        table = table.append_column(column, values)
    return table


def _arrow(rows: Any, folder: Path) -> Any:
    import pyarrow as pa

    reader = frame_reader(rows, folder)
    schema = plain(pa.RecordBatch.from_pylist([], reader.schema)).schema
    return pa.Table.from_batches([plain(batch) for batch in reader], schema)
