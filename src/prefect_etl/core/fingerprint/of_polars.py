"""Polars: eager and lazy frames, series and types."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import polars as pl

from prefect_etl.core.fingerprint.encoding import Refused, leaf, name_of, node, size, text
from prefect_etl.core.fingerprint.of_arrow import arrow_column
from prefect_etl.core.fingerprint.sequences import sequence

if TYPE_CHECKING:
    from prefect_etl.core.fingerprint.walk import Walk


def encode(walk: Walk, value: Any) -> bytes:
    """The encoding of a value of Polars'.

    Raises:
        Refused: It is neither data nor a type.
    """
    if isinstance(value, pl.LazyFrame):
        return _frame(walk, value.collect(), type(value))
    if isinstance(value, pl.DataFrame):
        return _frame(walk, value, type(value))
    if isinstance(value, pl.Series):
        name, kind = text(value.name), name_of(type(value))
        return node("polars.Series", kind, name, polars_type(value.dtype), _column(walk, value))
    if isinstance(value, pl.DataType):
        return polars_type(value)
    raise Refused(f"is a Polars {type(value).__name__}, whose content is not known")


def _frame(walk: Walk, frame: pl.DataFrame, kind: type) -> bytes:
    names = (text(name) for name in frame.columns)
    types = map(polars_type, frame.dtypes)
    columns = []
    for series in frame.iter_columns():
        try:
            columns.append(_column(walk, series))
        except Refused as refused:
            raise refused.under(f", column {series.name!r},") from None
    return node(
        "polars.DataFrame",
        name_of(kind),
        size(frame.height),
        node("names", *names),
        node("types", *types),
        *columns,
    )


def _column(walk: Walk, series: pl.Series) -> bytes:
    if series.dtype == pl.Object:
        return sequence(walk, "objects", series.to_list())
    newest = pl.CompatLevel.newest()
    chunks = [chunk.to_arrow(compat_level=newest) for chunk in series.get_chunks()]
    return node("arrow", size(len(series)), _digest(chunks))


def _digest(chunks: list[Any]) -> bytes:
    return arrow_column(chunks[0].type, chunks)


def polars_type(kind: Any) -> bytes:
    """A type, with all that its parameters say."""
    if isinstance(kind, pl.Struct):
        fields: Iterable[bytes] = (
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
