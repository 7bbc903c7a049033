"""Finds Parquet files whose own account of what is in them cannot be true."""

from __future__ import annotations

from collections.abc import Sequence

from prefect_etl.connectors.files.foreign import FILES, ask
from prefect_etl.connectors.files.place import Place
from prefect_etl.core.unit import Unit
from prefect_etl.errors import SourceReadError

_FOOTERS = f"""
SELECT f.file_name, f.num_rows, coalesce(g.num_rows, 0)
FROM parquet_file_metadata({FILES}) f LEFT JOIN (
    SELECT file_name, sum(row_group_num_rows) AS num_rows
    FROM parquet_metadata({FILES}) WHERE column_id = 0 GROUP BY file_name
) g ON g.file_name = f.file_name
WHERE f.num_rows <> coalesce(g.num_rows, 0) ORDER BY 1 LIMIT 1
"""


def assert_sound(place: Place, units: Sequence[Unit]) -> None:
    """Refuse files that read without an error and give something else than they hold.

    Raises:
        SourceReadError: A file's footer counts other rows than its row groups, of which readers
            take the latter's word.
    """
    positions = {str(place.path(unit)): unit.position for unit in units}
    for name, said, found in ask(place, units, _FOOTERS):
        raise SourceReadError(
            f"{positions.get(name, name)} is damaged: its footer speaks of {said} "
            f"rows, and its row groups have {found}",
            hint="Mend or remove the file, then run again; nothing of it was loaded.",
        )
