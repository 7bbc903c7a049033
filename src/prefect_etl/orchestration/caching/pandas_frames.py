"""pandas' frames, columns, indexes and scalars, part by part: nothing of them is guessed again.

Arrow's own conversion of pandas loses what has no place in a table: names that are no text or
occur twice, mixed columns, `NaN` beside `None`, the frequency of an index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from prefect_etl.orchestration.caching.exact import Decoder, Encoder, Tree, no_exact_form, part
from prefect_etl.orchestration.caching.pandas_columns import Columns, ReadColumns

_PLAIN_INDEXES = (pd.Index, pd.CategoricalIndex, pd.IntervalIndex, pd.PeriodIndex)
_TIMED_INDEXES = (pd.DatetimeIndex, pd.TimedeltaIndex)

_LONG = 10_000  # rows


def encoder_for(kind: type) -> Callable[[Encoder, Any], Tree] | None:
    """What writes values of exactly this class; None if nothing does."""
    found: Callable[[Encoder, Any], Tree] | None = _ENCODERS.get(kind)
    return found


def _frame(encoder: Encoder, value: pd.DataFrame) -> Tree:
    columns = Columns(encoder)
    described = []
    for position, name in enumerate(value.columns):
        with _column(name):
            described.append(columns.add(value.iloc[:, position].array))
    return {
        "t": "pandas.DataFrame",
        "columns": encoder.encode(value.columns),
        "v": described,
        **_around(encoder, value),
        "table": columns.finish(),
    }


def _series(encoder: Encoder, value: pd.Series[Any]) -> Tree:
    columns = Columns(encoder)
    with _column(value.name):
        described = columns.add(value.array)
    name = encoder.encode(value.name)
    around = _around(encoder, value)
    return {
        "t": "pandas.Series",
        "v": described,
        "name": name,
        **around,
        "table": columns.finish(),
    }


def _around(encoder: Encoder, value: Any) -> dict[str, Tree]:
    with part(".index"):
        index = encoder.encode(value.index)
    with part(".attrs"):
        attrs = encoder.encode(value.attrs)
    return {"index": index, "attrs": attrs, "unique": not value.flags.allows_duplicate_labels}


@contextmanager
def _column(name: object) -> Iterator[None]:
    with part(f"[{name!r}]"):
        yield


def _range(encoder: Encoder, value: pd.RangeIndex) -> Tree:
    steps = [value.start, value.stop, value.step]
    return {"t": "pandas.RangeIndex", "v": encoder.items(steps), "name": encoder.encode(value.name)}


def _index(encoder: Encoder, value: pd.Index[Any]) -> Tree:
    columns = Columns(encoder)
    described = columns.add(value.array)
    name = encoder.encode(value.name)
    return {
        "t": "pandas.Index",
        "kind": type(value).__name__,
        "v": described,
        "name": name,
        "freq": _frequency(value) if type(value) in _TIMED_INDEXES else None,
        "table": columns.finish(),
    }


def _frequency(index: Any) -> str | None:
    if index.freq is None:
        return None
    text = str(index.freqstr)
    if to_offset(text) != index.freq:
        raise no_exact_form(index, f"its frequency {index.freq} has settings beside its name")
    return text


def _multi_index(encoder: Encoder, value: pd.MultiIndex) -> Tree:
    return {
        "t": "pandas.MultiIndex",
        "levels": encoder.items([*value.levels]),
        "codes": encoder.items([np.asarray(codes) for codes in value.codes]),
        "names": encoder.items([*value.names]),
    }


def _timestamp(encoder: Encoder, value: pd.Timestamp) -> Tree:
    column = pd.DatetimeIndex([value]).as_unit(value.unit)
    return {"t": "pandas.Timestamp", "v": encoder.encode(column), "fold": value.fold}


def _timedelta(encoder: Encoder, value: pd.Timedelta) -> Tree:
    return {"t": "pandas.Timedelta", "v": encoder.encode(value.to_timedelta64())}


_ENCODERS: dict[Any, Callable[[Encoder, Any], Tree]] = {
    pd.DataFrame: _frame,
    pd.Series: _series,
    pd.RangeIndex: _range,
    pd.MultiIndex: _multi_index,
    **dict.fromkeys((*_PLAIN_INDEXES, *_TIMED_INDEXES), _index),
    pd.Timestamp: _timestamp,
    pd.Timedelta: _timedelta,
    pd.Period: lambda _, value: {
        "t": "pandas.Period",
        "v": value.ordinal,
        "freq": f"period[{value.freqstr}]",
    },
    pd.Interval: lambda encoder, value: {
        "t": "pandas.Interval",
        "v": encoder.items([value.left, value.right]),
        "closed": value.closed,
    },
    type(pd.NA): lambda *_: {"t": "pandas.NA"},
    type(pd.NaT): lambda *_: {"t": "pandas.NaT"},
}


def _read_frame(decoder: Decoder, tree: Mapping[str, Any]) -> Any:
    columns = ReadColumns(decoder, tree["table"])
    index = decoder.decode(tree["index"])
    arrays = {n: _as_is(columns.get(column), index) for n, column in enumerate(tree["v"])}
    # The caller may write to what it gets, so columns are copied: one by one where they are long,
    # which is three times as fast; else into one array a dtype, as pandas likes many of them.
    joined = len(index) < _LONG
    if not joined:
        arrays = {n: array.copy() for n, array in arrays.items()}
    frame = pd.DataFrame(arrays, index=index, copy=joined)
    frame.columns = decoder.decode(tree["columns"])
    return _finished(decoder, tree, frame)


def _as_is(array: Any, index: Any) -> Any:
    # pandas takes objects that are all text for its text type, unless told not to.
    return pd.Series(array, index=index, dtype=object) if _holds_objects(array) else array


def _holds_objects(array: Any) -> bool:
    return bool(array.dtype == np.dtype(object))


def _read_series(decoder: Decoder, tree: Mapping[str, Any]) -> Any:
    array = ReadColumns(decoder, tree["table"]).get(tree["v"])
    index, name = decoder.decode(tree["index"]), decoder.decode(tree["name"])
    options = {"dtype": object} if _holds_objects(array) else {}
    made: Any = pd.Series(array, index=index, name=name, copy=True, **options)
    return _finished(decoder, tree, made)


def _finished(decoder: Decoder, tree: Mapping[str, Any], value: Any) -> Any:
    value.attrs = decoder.decode(tree["attrs"])
    if tree["unique"]:
        value.flags.allows_duplicate_labels = False
    return value


def _read_index(decoder: Decoder, tree: Mapping[str, Any]) -> Any:
    kind = getattr(pd, tree["kind"])
    if kind not in _ENCODERS:
        raise LookupError(f"{tree['kind']} is no index")
    array = ReadColumns(decoder, tree["table"]).get(tree["v"])
    options = {"dtype": object} if _holds_objects(array) else {}
    index: Any = kind(array, name=decoder.decode(tree["name"]), copy=True, **options)
    if tree["freq"] is not None:
        index.freq = to_offset(tree["freq"])
    return index


def _read_range(decoder: Decoder, tree: Mapping[str, Any]) -> pd.RangeIndex:
    start, stop, step = decoder.decode(tree["v"])
    return pd.RangeIndex(start, stop, step, name=decoder.decode(tree["name"]))


def _read_multi_index(decoder: Decoder, tree: Mapping[str, Any]) -> pd.MultiIndex:
    levels, codes, names = (decoder.decode(tree[part]) for part in ("levels", "codes", "names"))
    return pd.MultiIndex(levels, codes, names=names)


def _read_timestamp(decoder: Decoder, tree: Mapping[str, Any]) -> Any:
    return decoder.decode(tree["v"])[0].replace(fold=tree["fold"])


def _read_period(_: Decoder, tree: Mapping[str, Any]) -> Any:
    dtype: Any = pd.api.types.pandas_dtype(tree["freq"])
    return pd.Period(ordinal=tree["v"], freq=dtype.freq)


def _read_interval(decoder: Decoder, tree: Mapping[str, Any]) -> Any:
    left, right = decoder.decode(tree["v"])
    return pd.Interval(left, right, closed=tree["closed"])


def _read_zone(_: Decoder, tree: Mapping[str, Any]) -> Any:
    import pytz  # type: ignore[import-untyped]

    return pytz.timezone(tree["v"])


DECODERS: dict[str, Callable[[Decoder, Mapping[str, Any]], Any]] = {
    "pandas.DataFrame": _read_frame,
    "pandas.Series": _read_series,
    "pandas.Index": _read_index,
    "pandas.RangeIndex": _read_range,
    "pandas.MultiIndex": _read_multi_index,
    "pandas.Timestamp": _read_timestamp,
    "pandas.Timedelta": lambda decoder, tree: pd.Timedelta(decoder.decode(tree["v"])),
    "pandas.Period": _read_period,
    "pandas.Interval": _read_interval,
    "pandas.NA": lambda *_: pd.NA,
    "pandas.NaT": lambda *_: pd.NaT,
    "pandas.pytz": _read_zone,
}
