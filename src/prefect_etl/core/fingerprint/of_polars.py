"""Polars: eager and lazy frames, series and types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from prefect_etl.core.fingerprint.arrow_nested import arrow_column
from prefect_etl.core.fingerprint.containers import encoder_of
from prefect_etl.core.fingerprint.encoding import Refused, leaf, name_of, node, size, text
from prefect_etl.core.fingerprint.sequences import objects

if TYPE_CHECKING:
    from prefect_etl.core.fingerprint.walk import Walk

_WIDE = tuple(getattr(pl, name) for name in ("Int128", "UInt128") if hasattr(pl, name))


def encode(walk: Walk, value: Any) -> bytes:
    """The encoding of a value of Polars'; a lazy frame is computed.

    Raises:
        Refused: It is neither data nor a type.
    """
    if isinstance(value, pl.LazyFrame):
        return _frame(walk, value.collect(), type(value))
    if isinstance(value, pl.DataFrame):
        return _frame(walk, value, type(value))
    if isinstance(value, pl.Series):
        kind = name_of(type(value))
        return node("polars.Series", kind, text(value.name), *_column(walk, value))
    if isinstance(value, pl.DataType):
        return polars_type(value)
    return encoder_of(value)(walk, value)


def _frame(walk: Walk, frame: pl.DataFrame, kind: type) -> bytes:
    columns = []
    for series in frame.iter_columns():
        try:
            columns.append(node("column", text(series.name), *_column(walk, series)))
        except Refused as refused:
            raise refused.under(f", column {series.name!r},") from None
    return node("polars.frame", name_of(kind), size(frame.height), *columns)


def _column(walk: Walk, series: pl.Series) -> tuple[bytes, bytes]:
    kind = polars_type(series.dtype)
    if series.dtype == pl.Object:
        return kind, objects(walk, series)
    exported = _exported(series.dtype)
    chunks = [_arrow(chunk, exported) for chunk in series.get_chunks() or [series]]
    return kind, arrow_column(chunks[0].type, chunks)


def _arrow(chunk: pl.Series, exported: Any) -> Any:
    if exported != chunk.dtype:
        chunk = chunk.cast(exported)
    return chunk.to_arrow(compat_level=pl.CompatLevel.newest())


def _exported(kind: Any) -> Any:
    """A type as Polars can give it to Arrow: what has no Arrow type becomes its text."""
    if isinstance(kind, _WIDE):
        return pl.String()
    if isinstance(kind, pl.List):
        return pl.List(_exported(kind.inner))
    if isinstance(kind, pl.Array):
        return pl.Array(_exported(kind.inner), kind.size)
    if isinstance(kind, pl.Struct):
        return pl.Struct([pl.Field(field.name, _exported(field.dtype)) for field in kind.fields])
    if isinstance(kind, pl.Object):  # its Arrow form would be addresses
        raise Refused("has Python objects within lists or structs")
    return kind


def polars_type(kind: Any) -> bytes:
    """A type, with all that its parameters say."""
    if isinstance(kind, pl.Struct):
        fields = (
            node("field", text(field.name), polars_type(field.dtype)) for field in kind.fields
        )
        return node("polars.Struct", *fields)
    if isinstance(kind, pl.List):
        return node("polars.List", polars_type(kind.inner))
    if isinstance(kind, pl.Array):
        return node("polars.Array", size(kind.size), polars_type(kind.inner))
    if isinstance(kind, pl.Enum):
        return node("polars.Enum", *map(text, kind.categories))
    return leaf("polars.type", text(repr(kind)))
