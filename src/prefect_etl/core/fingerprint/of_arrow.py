"""Arrow tables, record batches, arrays, scalars, schemas and types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from prefect_etl.core.fingerprint.arrow_nested import arrow_column
from prefect_etl.core.fingerprint.arrow_types import arrow_field, arrow_schema, arrow_type
from prefect_etl.core.fingerprint.encoding import Refused, leaf, node, shown, size

if TYPE_CHECKING:
    from prefect_etl.core.fingerprint.walk import Walk


def encode(walk: Walk, value: Any) -> bytes:  # noqa: ARG001 - one signature for all libraries
    """The encoding of a value of Arrow's.

    Raises:
        Refused: It is neither data nor a type, or can be read only once.
    """
    if isinstance(value, pa.Table | pa.RecordBatch):
        return _table(value)
    if isinstance(value, pa.ChunkedArray):
        return _array("arrow.ChunkedArray", value.type, value.chunks)
    if isinstance(value, pa.Array):
        return _array("arrow.Array", value.type, [value])
    if isinstance(value, pa.Scalar):
        return _array("arrow.Scalar", value.type, [pa.repeat(value, 1)])
    if isinstance(value, pa.Schema):
        return arrow_schema(value)
    if isinstance(value, pa.DataType):
        return arrow_type(value)
    if isinstance(value, pa.Field):
        return arrow_field(value)
    if isinstance(value, pa.Buffer):
        return leaf("arrow.Buffer", value.to_pybytes())
    raise Refused(f"is {shown(type(value))}, whose content is not known")


def _table(value: Any) -> bytes:
    kind = "arrow.Table" if isinstance(value, pa.Table) else "arrow.RecordBatch"
    columns = []
    for field, column in zip(value.schema, value.columns, strict=True):
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        try:
            columns.append(arrow_column(field.type, chunks))
        except Refused as refused:
            raise refused.under(f", column {field.name!r},") from None
    return node(kind, size(value.num_rows), arrow_schema(value.schema), *columns)


def _array(tag: str, kind: Any, chunks: list[Any]) -> bytes:
    return node(tag, arrow_type(kind), arrow_column(kind, chunks))
