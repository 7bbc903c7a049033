"""The keys of all rows at a source, which come with a window of its rows to tell what is gone."""

from __future__ import annotations

from collections.abc import Sequence

from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.manifest import Manifest
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.sql import identifier
from prefect_etl.pipeline.prepare import RawFile, prepare
from prefect_etl.storage.raw_zone import DatasetZone


def apart(read: Sequence[Manifest]) -> tuple[list[Manifest], list[Manifest]]:
    """What was read, as rows and as keys."""
    rows = [manifest for manifest in read if "keys" not in manifest.reading]
    return rows, [manifest for manifest in read if "keys" in manifest.reading]


def keys_sql(
    zone: DatasetZone, read: Sequence[Manifest], spec: DatasetSpec, schema: TableSchema
) -> str | None:
    """A SELECT (DuckDB) of the keys that a load brings, as the table has them; None of none.

    Args:
        zone: Where they are.
        read: The keys.
        spec: The dataset.
        schema: The table's.
    """
    if not read:
        return None
    known = {name.lower() for manifest in read for name in manifest.schema.names}
    columns = spec.columns.model_copy(
        update={
            "select": (),
            "drop": (),
            "rename": {old: n for old, n in spec.columns.rename.items() if old.lower() in known},
        }
    )
    only = spec.model_copy(
        update={"columns": columns, "cursor": None, "where": None, "contract": None}
    )
    table = TableSchema(tuple(schema[name] for name in spec.key))
    files = [RawFile(manifest, zone.data(manifest.batch_id), (0,)) for manifest in read]
    names = ", ".join(identifier(column.name) for column in table)
    return f"SELECT {names} FROM ({prepare(files, only, table).rows})"
