"""Arrow tables, arrays, scalars, schemas and types as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from prefect_etl.core.fingerprint.encoding import Refused, leaf, node, size, text
from prefect_etl.core.fingerprint.of_arrow import arrow_column, arrow_schema, arrow_type

if TYPE_CHECKING:
    from prefect_etl.core.fingerprint.walk import Walk


def encode(walk: Walk, value: Any) -> bytes:
    """The encoding of a value of Arrow's.

    Raises:
        Refused: It is neither data nor a type.
    """
    if isinstance(value, pa.Table | pa.RecordBatch):
        return _table(value)
    if isinstance(value, pa.ChunkedArray | pa.Array | pa.Scalar):
        return _array(value)
    if isinstance(value, pa.Schema):
        return arrow_schema(value)
    if isinstance(value, pa.DataType):
        return arrow_type(value)
    if isinstance(value, pa.Field):
        return node("arrow.field", arrow_schema(pa.schema([value])))
    if isinstance(value, pa.Buffer):
        return leaf("arrow.buffer", value.to_pybytes())
    kind = type(value).__name__
    raise Refused(f"is a pyarrow {kind}, whose content is not known before it is read")


def _table(value: Any) -> bytes:
    kind = "Table" if isinstance(value, pa.Table) else "RecordBatch"
    columns = []
    for name, column in zip(value.schema.names, value.columns, strict=True):
        try:
            columns.append(arrow_column(column.type, _chunks(column)))
        except Refused as refused:
            raise refused.under(f", column {name!r},") from None
    return node(f"arrow.{kind}", size(value.num_rows), arrow_schema(value.schema), *columns)


def _array(value: Any) -> bytes:
    if isinstance(value, pa.Scalar):
        return node("arrow.Scalar", arrow_type(value.type), _scalar(value))
    kind = "ChunkedArray" if isinstance(value, pa.ChunkedArray) else "Array"
    return node(
        f"arrow.{kind}",
        size(len(value)),
        arrow_type(value.type),
        arrow_column(value.type, _chunks(value)),
    )


def _scalar(value: Any) -> bytes:
    try:
        return arrow_column(value.type, [pa.array([value], value.type)])
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise Refused(f"is an Arrow scalar without exact content ({text(str(error))!r})") from error


def _chunks(column: Any) -> list[Any]:
    return column.chunks if isinstance(column, pa.ChunkedArray) else [column]
