"""pandas: frames, series, indexes, and its scalars."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd

from prefect_etl.core.fingerprint.containers import encoder_of
from prefect_etl.core.fingerprint.encoding import Refused, leaf, name_of, node, size, text
from prefect_etl.core.fingerprint.leaves import whole, zone
from prefect_etl.core.fingerprint.pandas_arrays import index_values, pandas_array, pandas_type

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
    return encoder_of(value)(walk, value)


def _frame(walk: Walk, frame: pd.DataFrame) -> bytes:
    columns = []
    for place, name in enumerate(frame.columns):
        try:
            columns.append(pandas_array(walk, frame.iloc[:, place].array))
        except Refused as refused:
            raise refused.under(f", column {name!r},") from None
    index, names = walk.under(".index", frame.index), walk.under(".columns", frame.columns)
    return node("pandas.DataFrame", _kind(walk, frame), size(len(frame)), index, names, *columns)


def _series(walk: Walk, series: pd.Series[Any]) -> bytes:
    name, index = walk.under(".name", series.name), walk.under(".index", series.index)
    return node("pandas.Series", _kind(walk, series), name, index, pandas_array(walk, series.array))


def _kind(walk: Walk, value: Any) -> bytes:
    # What a subclass adds to its instances: pandas' documented way to define own properties.
    added = {name: getattr(value, name, None) for name in value._metadata if name != "_name"}  # noqa: SLF001
    labels = b"%d" % value.flags.allows_duplicate_labels
    return node("kind", name_of(type(value)), labels, walk.mapping("added", added))


def _index(walk: Walk, index: pd.Index[Any]) -> bytes:
    names = walk.under(".names", list(index.names))
    if isinstance(index, pd.MultiIndex):
        levels = (pandas_array(walk, index.get_level_values(i).array) for i in range(index.nlevels))
        return node("pandas.MultiIndex", names, *levels)
    dates = isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex)
    frequency = text(getattr(index, "freqstr", None) or "") if dates else b""
    return node("pandas.Index", names, frequency, index_values(walk, index))


def _missing(walk: Walk, value: Any) -> bytes:  # noqa: ARG001 - one signature for all
    return leaf("pandas.missing", text(str(value)))


def _timestamp(walk: Walk, value: pd.Timestamp) -> bytes:  # noqa: ARG001
    there = b"" if value.tzinfo is None else node("zone", zone(value.tzinfo))
    said = text(f"{value.unit} {value.fold} {value.isoformat()}")
    return node("pandas.Timestamp", there, said)


def _timedelta(walk: Walk, value: pd.Timedelta) -> bytes:  # noqa: ARG001
    return leaf("pandas.Timedelta", text(f"{value.unit} {value.isoformat()}"))


def _period(walk: Walk, value: pd.Period) -> bytes:  # noqa: ARG001
    return node("pandas.Period", text(value.freqstr), whole(value.ordinal))


def _interval(walk: Walk, value: pd.Interval[Any]) -> bytes:
    return node("pandas.Interval", text(value.closed), *map(walk.encode, (value.left, value.right)))


def _offset(walk: Walk, value: Any) -> bytes:  # noqa: ARG001
    return leaf("pandas.offset", text(f"{name_of(type(value)).decode()} {value!r}"))


def _array(walk: Walk, value: Any) -> bytes:
    return node("pandas.array", name_of(type(value)), pandas_array(walk, value))


_KINDS: tuple[tuple[Any, Callable[[Any, Any], bytes]], ...] = (
    ((type(pd.NaT), type(pd.NA)), _missing),
    (pd.DataFrame, _frame),
    (pd.Series, _series),
    (pd.Index, _index),
    (pd.Timestamp, _timestamp),
    (pd.Timedelta, _timedelta),
    (pd.Period, _period),
    (pd.Interval, _interval),
    (pd.offsets.BaseOffset, _offset),
    (pd.api.extensions.ExtensionArray, _array),
    (pd.api.extensions.ExtensionDtype, pandas_type),
)
