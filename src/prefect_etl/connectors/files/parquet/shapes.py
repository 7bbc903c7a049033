"""Groups Parquet files by what their footers say of their columns."""

from __future__ import annotations

from collections.abc import Sequence

from prefect_etl.connectors.files.foreign import FILES, ask
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.reading import Reading
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Unit


def detect(place: Place, units: Sequence[Unit]) -> list[tuple[Reading, list[Unit]]]:
    """Files of one shape together, with the engine's names of their types."""
    shapes = ask(
        place,
        units,
        "SELECT file_name, list((name, type, logical_type::VARCHAR, converted_type, "
        f"num_children, precision, scale))::VARCHAR FROM parquet_schema({FILES}) GROUP BY ALL",
    )
    shape_of: dict[str, str] = dict(shapes)
    by_shape: dict[str, list[Unit]] = {}
    for unit in units:
        shape = shape_of.get(str(place.path(unit)), unit.position)
        by_shape.setdefault(shape, []).append(unit)
    groups = []
    for members in by_shape.values():
        described = ask(place, members[:1], f"DESCRIBE SELECT * FROM read_parquet({FILES})")
        schema = TableSchema.from_pairs((row[0], row[1]) for row in described)
        groups.append((Reading("parquet", schema, {}), members))
    return groups
