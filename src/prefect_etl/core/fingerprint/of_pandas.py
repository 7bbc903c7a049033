"""pandas: frames, series and indexes of any type, and its scalars."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from prefect_etl.core.fingerprint.encoding import Refused, leaf, name_of, node, size, text
from prefect_etl.core.fingerprint.leaves import whole, zone
from prefect_etl.core.fingerprint.of_numpy import as_numbers, numpy_type, numpy_values
from prefect_etl.core.fingerprint.sequences import sequence
from prefect_etl.core.fingerprint.streams import Fixed, windows

if TYPE_CHECKING:
    from prefect_etl.core.fingerprint.walk import Walk


def encode(walk: Walk, value: Any) -> bytes:
    """The encoding of a value of pandas'.

    Raises:
        Refused: It is neither data nor a type.
    """
    for kinds, of_kind in _KINDS:
        if isinstance(value, kinds):
            return of_kind(walk, value)
    raise Refused(f"is a {name_of(type(value)).decode()}, whose content is not known")


def _frame(walk: Walk, frame: pd.DataFrame) -> bytes:
    columns = []
    for place, name in enumerate(frame.columns):
        try:
            columns.append(_typed(walk, frame.iloc[:, place].array))
        except Refused as refused:
            raise refused.under(f", column {name!r},") from None
    return node(
        "pandas.DataFrame",
        _class(walk, frame),
        size(len(frame)),
        walk.under(".index", frame.index),
        walk.under(".columns", frame.columns),
        *columns,
    )


def _class(walk: Walk, value: Any) -> bytes:
    state = {name: getattr(value, name, None) for name in value._metadata if name != "_name"}
    duplicates = b"%d" % value.flags.allows_duplicate_labels
    return node("class", name_of(type(value)), duplicates, walk.mapping("state", state))


def _series(walk: Walk, series: pd.Series[Any]) -> bytes:
    name, index = walk.under(".name", series.name), walk.under(".index", series.index)
    return node("pandas.Series", _class(walk, series), name, index, _typed(walk, series.array))


def _index(walk: Walk, index: pd.Index[Any]) -> bytes:
    names = walk.under(".names", list(index.names))
    if isinstance(index, pd.MultiIndex):
        levels = (_typed(walk, index.get_level_values(i).array) for i in range(index.nlevels))
        return node("pandas.MultiIndex", names, *levels)
    frequency = getattr(index, "freq", None) if not isinstance(index, pd.PeriodIndex) else None
    freq = b"" if frequency is None else text(frequency.freqstr)
    return node("pandas.Index", names, freq, _progression(index) or _typed(walk, index.array))


def _progression(index: pd.Index[Any]) -> bytes | None:
    """Whole numbers at one distance: a RangeIndex, and what pandas takes for equivalent."""
    if index.dtype != np.dtype("int64"):
        return None
    if not isinstance(index, pd.RangeIndex):
        found = _as_range(index.to_numpy())
        if found is None:
            return None
        index = found
    first = int(index[0]) if len(index) else 0
    step = index.step if len(index) > 1 else 0
    return node("range", size(len(index)), whole(first), whole(step))


def _as_range(values: np.ndarray[Any, Any]) -> pd.RangeIndex | None:
    if len(values) < 2:
        first = int(values[0]) if len(values) else 0
        return pd.RangeIndex(first, first + len(values))
    first, step = int(values[0]), int(values[1]) - int(values[0])
    if step == 0 or int(values[-1]) != first + step * (len(values) - 1):
        return None
    for window in windows(len(values)):
        start = first + step * window.start
        if (np.arange(window.stop - window.start) * step + start != values[window]).any():
            return None
    return pd.RangeIndex(first, first + step * len(values), step)


def _typed(walk: Walk, array: Any) -> bytes:
    if isinstance(array, pd.arrays.NumpyExtensionArray):
        array = array.to_numpy()
    return node("column", pandas_type(walk, array.dtype), _values(walk, array))


def pandas_type(walk: Walk, kind: Any) -> bytes:
    """A type, with all that its parameters say."""
    if isinstance(kind, np.dtype):
        return numpy_type(walk, kind)
    if isinstance(kind, pd.CategoricalDtype):
        categories = b"" if kind.categories is None else _index(walk, kind.categories)
        return node("pandas.Categorical", b"%d" % bool(kind.ordered), categories)
    if isinstance(kind, pd.DatetimeTZDtype):
        return node("pandas.DatetimeTZ", text(kind.unit), zone(kind.tz))
    if isinstance(kind, pd.ArrowDtype):
        return node("pandas.Arrow", walk.encode(kind.pyarrow_dtype))
    if isinstance(kind, pd.SparseDtype):
        fill = walk.encode(kind.fill_value)
        return node("pandas.Sparse", pandas_type(walk, kind.subtype), fill)
    if isinstance(kind, pd.IntervalDtype):
        return node("pandas.Interval", text(kind.closed), pandas_type(walk, kind.subtype))
    return leaf("pandas.type", text(f"{name_of(type(kind)).decode()} {kind!r}"))


def _values(walk: Walk, array: Any) -> bytes:
    kind = array.dtype
    if isinstance(kind, np.dtype):
        return _plain(walk, array)
    if isinstance(kind, pd.CategoricalDtype):
        return _fixed(array.codes)
    if isinstance(kind, pd.DatetimeTZDtype):
        return _fixed(array.view("i8"))
    if isinstance(kind, pd.PeriodDtype):
        return _fixed(array.view("i8"))
    if isinstance(kind, pd.IntervalDtype):
        return node("interval", *(_values(walk, side.array) for side in (array.left, array.right)))
    if isinstance(kind, pd.SparseDtype):
        return _pieces(array, lambda piece: np.asarray(piece.to_dense()), None)
    if isinstance(kind, pd.StringDtype | pd.ArrowDtype):
        return _arrow(array)
    if hasattr(array, "_mask"):
        return _masked(array)
    if hasattr(array, "__arrow_array__"):
        return _arrow(array)
    raise Refused(f"has the type {kind}, whose content is not known")


def _plain(walk: Walk, array: Any) -> bytes:
    values = np.asarray(array)
    if values.dtype == object:
        try:
            return sequence(walk, "objects", values.tolist())
        except Refused as refused:
            refused.path[:1] = [f" row {refused.path[0][1:-1]}"]
            raise
    return numpy_values(walk, values)


def _fixed(values: Any) -> bytes:
    fixed = Fixed()
    fixed.feed(np.asarray(values))
    return fixed.digest()


def _arrow(array: Any) -> bytes:
    import pyarrow as pa

    from prefect_etl.core.fingerprint.of_arrow import arrow_column

    found = array.__arrow_array__()
    chunks = found.chunks if isinstance(found, pa.ChunkedArray) else [found]
    return arrow_column(found.type, chunks)


def _masked(array: Any) -> bytes:
    kind = array.dtype.numpy_dtype
    return _pieces(array, lambda piece: piece.to_numpy(dtype=kind, na_value=0), _valid)


def _valid(piece: Any) -> np.ndarray[Any, Any] | None:
    missing = piece.isna()
    return ~missing if missing.any() else None


def _pieces(
    array: Any,
    dense: Callable[[Any], np.ndarray[Any, Any]],
    valid: Callable[[Any], np.ndarray[Any, Any] | None] | None,
) -> bytes:
    fixed = Fixed()
    for window in windows(len(array)):
        piece = array[window]
        values = as_numbers(np.ascontiguousarray(dense(piece)))
        there = valid(piece) if valid is not None else None
        if there is None:
            fixed.feed(values)
        else:
            fixed.feed_masked(values, there)
    return fixed.digest()


def _missing(walk: Walk, value: Any) -> bytes:
    return leaf("pandas.missing", text(str(value)))


def _timestamp(walk: Walk, value: Any) -> bytes:
    there = b"" if value.tzinfo is None else zone(value.tzinfo)
    return node(
        "pandas.Timestamp",
        text(value.unit),
        there,
        b"%d" % value.fold,
        whole(value.value),
        walk.encode(value.isoformat()),
    )


def _timedelta(walk: Walk, value: Any) -> bytes:
    return node("pandas.Timedelta", text(value.unit), walk.encode(value.isoformat()))


def _period(walk: Walk, value: Any) -> bytes:
    return node("pandas.Period", text(value.freqstr), whole(value.ordinal))


def _interval(walk: Walk, value: Any) -> bytes:
    return node("pandas.Interval", text(value.closed), *map(walk.encode, (value.left, value.right)))


def _offset(walk: Walk, value: Any) -> bytes:
    return leaf("pandas.offset", text(f"{name_of(type(value)).decode()} {value!r}"))


def _array(walk: Walk, value: Any) -> bytes:
    return node("pandas.array", name_of(type(value)), _typed(walk, value))


_KINDS: tuple[tuple[Any, Callable[[Any, Any], bytes]], ...] = (
    ((type(pd.NaT), type(pd.NA)), _missing),
    (pd.DataFrame, _frame),
    (pd.Series, _series),
    (pd.Index, _index),
    (pd.Timestamp, _timestamp),
    (pd.Timedelta, _timedelta),
    (pd.Period, _period),
    (pd.Interval, _interval),
    (pd.DateOffset, _offset),
    (pd.api.extensions.ExtensionArray, _array),
    (pd.api.extensions.ExtensionDtype, pandas_type),
)
