"""The keys that rows deleted: a file of each version that has any, beside those of the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect_etl.connectors.parquet.layout import link_file
from prefect_etl.core.sql import literal
from prefect_etl.storage.durable import sync_file

if TYPE_CHECKING:
    from prefect_etl.connectors.parquet.building import Building

TOMBSTONES = "_etl_tombstones"


def bring(building: Building) -> None:
    """Make them a table of the engine's."""
    building.cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE {TOMBSTONES} "
        "(table_schema VARCHAR, table_name VARCHAR, key VARCHAR, cursor_value VARCHAR)"
    )
    if building.before is not None and building.ledger and building.ledger.tombstones:
        path = building.before / building.ledger.tombstones
        building.cursor.execute(f"INSERT INTO {TOMBSTONES} FROM read_parquet({literal(str(path))})")


def keep(building: Building) -> str | None:
    """Let the next version have those of the one that holds."""
    if building.before is None or building.ledger is None or building.ledger.tombstones is None:
        return None
    name = building.ledger.tombstones
    link_file(building.before / name, building.folder / name)
    return name


def write_anew(building: Building) -> str | None:
    """Write them as the engine's table has them now."""
    # No reader takes it for rows: its name does not end as those of Parquet files do.
    name = f"_tombstones-{building.stem}"
    path = building.folder / name
    copied = building.cursor.execute(
        f"COPY {TOMBSTONES} TO {literal(str(path))} (FORMAT parquet)"
    ).fetchone()
    if not copied or not copied[0]:
        path.unlink()
        return None
    sync_file(path)
    return name
