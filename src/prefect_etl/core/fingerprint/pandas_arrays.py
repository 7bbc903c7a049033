"""The types of pandas' columns and indexes, and what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from prefect_etl.core.fingerprint.encoding import Refused, leaf, name_of, node, size, text
from prefect_etl.core.fingerprint.leaves import whole, zone
from prefect_etl.core.fingerprint.of_numpy import as_numbers, numpy_type, numpy_values
from prefect_etl.core.fingerprint.sequences import objects
from prefect_etl.core.fingerprint.streams import Fixed, windows

if TYPE_CHECKING:
    from prefect_etl.core.fingerprint.walk import Walk

_LARGEST_STEP = 2**62
_SMALL, _MEDIUM = 2**7, 2**15


def pandas_array(walk: Walk, array: Any) -> bytes:
    """The type and content of a column.

    Raises:
        Refused: It has no exact content.
    """
    if type(array) is pd.arrays.NumpyExtensionArray:  # not text, which derives from it
        array = array.to_numpy()
    return node("column", pandas_type(walk, array.dtype), _content(walk, array))


def index_values(walk: Walk, index: pd.Index[Any]) -> bytes:
    """The type and content of an index of one level; a range is what it is equivalent to."""
    found = _progression(index) if index.dtype == np.dtype("int64") else None
    if found is None:
        return pandas_array(walk, index.array)
    first, step = found
    return node("range", size(len(index)), whole(first), whole(step))


def _progression(index: pd.Index[Any]) -> tuple[int, int] | None:
    """The first of whole numbers that have one distance, and that distance."""
    if len(index) < 2:
        return (int(index[0]) if len(index) else 0), 0
    if isinstance(index, pd.RangeIndex):
        return index.start, index.step
    values = index.to_numpy()
    first, step = int(values[0]), int(values[1]) - int(values[0])
    far = abs(step) > _LARGEST_STEP
    if far or int(values[-1]) != first + step * (len(values) - 1):
        return None
    for window in windows(len(values)):
        expected = np.arange(window.stop - window.start) * step + (first + step * window.start)
        if (expected != values[window]).any():
            return None
    return first, step


def pandas_type(walk: Walk, kind: Any) -> bytes:
    """A type, with all that its parameters say."""
    if isinstance(kind, np.dtype):
        return numpy_type(walk, kind)
    if isinstance(kind, pd.CategoricalDtype):
        ordered = b"%d" % bool(kind.ordered)
        categories = b"" if kind.categories is None else index_values(walk, kind.categories)
        return node("pandas.Categorical", ordered, categories)
    if isinstance(kind, pd.DatetimeTZDtype):
        return node("pandas.DatetimeTZ", text(kind.unit), zone(kind.tz))
    if isinstance(kind, pd.ArrowDtype):
        return node("pandas.Arrow", walk.encode(kind.pyarrow_dtype))
    if isinstance(kind, pd.SparseDtype):
        fill = np.asarray(kind.fill_value, kind.subtype)
        return node("pandas.Sparse", pandas_type(walk, kind.subtype), walk.encode(fill))
    if isinstance(kind, pd.IntervalDtype):
        return node("pandas.Interval", text(str(kind.closed)), pandas_type(walk, kind.subtype))
    if isinstance(kind, pd.StringDtype):
        return node("pandas.String", text(kind.storage), walk.encode(kind.na_value))
    return leaf("pandas.type", text(f"{name_of(type(kind)).decode()} {kind.name}"))


def _content(walk: Walk, array: Any) -> bytes:
    kind = array.dtype
    if isinstance(kind, np.dtype):
        values = np.asarray(array)
        if kind.kind == "O":
            return objects(walk, values)
        return numpy_values(walk, values)
    if isinstance(kind, pd.CategoricalDtype):
        return _fixed([array.codes], _smallest(len(array.categories)))
    if isinstance(kind, pd.DatetimeTZDtype | pd.PeriodDtype):
        return _fixed([array.view("i8")])
    if isinstance(kind, pd.IntervalDtype):
        sides = (pandas_array(walk, side.array) for side in (array.left, array.right))
        return node("interval", *sides)
    if isinstance(kind, pd.SparseDtype):
        return _fixed(np.asarray(piece.to_dense()) for piece in _pieces(array))
    if isinstance(array, pd.arrays.IntegerArray | pd.arrays.FloatingArray | pd.arrays.BooleanArray):
        return _masked(array)
    if hasattr(array, "__arrow_array__"):
        return _arrow(array)
    raise Refused(f"has the type {kind}, whose content is not known")


def _smallest(categories: int) -> np.dtype[Any]:
    return np.dtype("i1" if categories < _SMALL else "i2" if categories < _MEDIUM else "i4")


def _pieces(array: Any) -> Iterator[Any]:
    return (array[window] for window in windows(len(array)))


def _fixed(pieces: Any, kind: np.dtype[Any] | None = None) -> bytes:
    fixed = Fixed()
    for piece in pieces:
        fixed.feed(as_numbers(np.asarray(piece, kind)))
    return fixed.digest()


def _masked(array: Any) -> bytes:
    fixed = Fixed()
    kind = array.dtype.numpy_dtype
    for piece in _pieces(array):
        values = as_numbers(piece.to_numpy(dtype=kind, na_value=kind.type(0)))
        missing = piece.isna()
        if missing.any():
            fixed.feed_masked(values, ~missing)
        else:
            fixed.feed(values)
    return fixed.digest()


def _arrow(array: Any) -> bytes:
    import pyarrow as pa

    from prefect_etl.core.fingerprint.arrow_nested import arrow_column

    first = array[:0].__arrow_array__()
    pieces = [array] if isinstance(first, pa.ChunkedArray) else _pieces(array)
    chunks = (chunk for piece in pieces for chunk in _chunks(piece.__arrow_array__()))
    return arrow_column(first.type, chunks)


def _chunks(found: Any) -> list[Any]:
    return found.chunks if hasattr(found, "chunks") else [found]
