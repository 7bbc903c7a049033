"""pandas' arrays, whatever their dtype: as columns of one Arrow table, and what describes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from prefect_etl.orchestration.caching.arrow_frames import read_table, write_table
from prefect_etl.orchestration.caching.exact import Decoder, Encoder, Tree, no_exact_form

_ARROW_NUMBERS = frozenset("iufb")
_OBJECTS: tuple[tuple[type, Callable[[], Any]], ...] = (
    (str, pa.large_string),
    (bytes, pa.large_binary),
    (bool, pa.bool_),
)


class Columns:
    """Collects arrays of one length, to write them as one table.

    Args:
        encoder: Writes the table, and what describes the arrays.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._arrays: list[Any] = []

    def add(self, array: Any) -> Tree:
        """Describe an array, which will be a column of the table.

        Raises:
            NoExactFormError: It cannot be kept exactly.
        """
        if type(array) is pd.arrays.NumpyExtensionArray:
            array = array.to_numpy()
        if isinstance(array.dtype, np.dtype):  # of naive times, too
            return self._numpy(np.asarray(array))
        write = _EXTENSIONS.get(type(array.dtype))
        if write is None:
            raise no_exact_form(array, f"nothing keeps the dtype {array.dtype}")
        return write(self, self._encoder, array)

    def finish(self) -> int | None:
        """Write the table; gives its section, None if it has no columns."""
        if not self._arrays:
            return None
        names = [str(number) for number in range(len(self._arrays))]
        return write_table(self._encoder, pa.table(dict(zip(names, self._arrays, strict=True))))

    def column(self, array: Any) -> int:
        """Take an Arrow array; gives its number."""
        self._arrays.append(array)
        return len(self._arrays) - 1

    def _numpy(self, array: Any) -> Tree:
        if array.dtype.hasobject:
            return self._objects(array)
        if array.dtype.kind in "mM":
            number = self.column(pa.array(array.view(np.int64)))
            return {"k": "time", "n": number, "dtype": array.dtype.str}
        if array.dtype.kind in _ARROW_NUMBERS and array.dtype.isnative and array.itemsize <= 8:
            number = self.column(pa.array(array, from_pandas=False))
            return {"k": "numpy", "n": number, "dtype": array.dtype.str}
        return {"k": "value", "v": self._encoder.encode(array)}

    def _objects(self, array: Any) -> Tree:
        kinds = set(map(type, array))
        for kind, arrow in _OBJECTS:
            if kinds <= {kind, type(None)}:
                try:
                    return {"k": "objects", "n": self.column(pa.array(array, arrow()))}
                except UnicodeEncodeError:
                    break  # half of a surrogate pair, which JSON can hold
        return {"k": "any", "v": self._encoder.items(array.tolist())}


def _zoned(columns: Columns, encoder: Encoder, array: Any) -> Tree:
    zone = _zone(encoder, array.dtype.tz)
    number = columns.column(pa.array(array.asi8))
    return {"k": "zoned", "n": number, "unit": array.dtype.unit, "zone": zone}


def _zone(encoder: Encoder, zone: Any) -> Tree:
    if type(zone).__module__.partition(".")[0] == "pytz" and getattr(zone, "zone", None):
        return {"t": "pandas.pytz", "v": zone.zone}
    return encoder.encode(zone)


def _arrow_backed(columns: Columns, _: Encoder, array: Any) -> Tree:
    return {"k": "arrow", "n": columns.column(array.__arrow_array__())}


def _strings(columns: Columns, _: Encoder, array: Any) -> Tree:
    dtype = array.dtype
    return {
        "k": "string",
        "n": columns.column(pa.array(array)),
        "storage": dtype.storage,
        "nan": dtype.na_value is not pd.NA,
    }


def _masked(columns: Columns, _: Encoder, array: Any) -> Tree:
    return {"k": "masked", "n": columns.column(pa.array(array)), "dtype": str(array.dtype)}


def _categorical(columns: Columns, encoder: Encoder, array: Any) -> Tree:
    return {
        "k": "categorical",
        "n": columns.column(pa.array(array.codes)),
        "categories": encoder.encode(array.categories),
        "ordered": bool(array.ordered),
    }


def _period(columns: Columns, _: Encoder, array: Any) -> Tree:
    return {"k": "period", "n": columns.column(pa.array(array.asi8)), "freq": array.dtype.name}


def _interval(columns: Columns, _: Encoder, array: Any) -> Tree:
    ends = [columns.add(end.array) for end in (array.left, array.right)]
    return {"k": "interval", "ends": ends, "closed": array.closed}


_MASKED = (
    *(pd.Int8Dtype, pd.Int16Dtype, pd.Int32Dtype, pd.Int64Dtype),
    *(pd.UInt8Dtype, pd.UInt16Dtype, pd.UInt32Dtype, pd.UInt64Dtype),
    *(pd.Float32Dtype, pd.Float64Dtype, pd.BooleanDtype),
)
_EXTENSIONS: dict[type, Callable[[Columns, Encoder, Any], Tree]] = {
    **dict.fromkeys(_MASKED, _masked),
    pd.DatetimeTZDtype: _zoned,
    pd.ArrowDtype: _arrow_backed,
    pd.StringDtype: _strings,
    pd.CategoricalDtype: _categorical,
    pd.PeriodDtype: _period,
    pd.IntervalDtype: _interval,
}


class ReadColumns:
    """Gives the arrays back.

    Args:
        decoder: Reads the table, and what describes the arrays.
        section: Of the table.
    """

    def __init__(self, decoder: Decoder, section: int | None) -> None:
        self._decoder = decoder
        self._table: Any = None if section is None else read_table(decoder, section)

    def get(self, tree: Mapping[str, Any]) -> Any:
        """The array that was added; it may share memory with the file."""
        return _READERS[tree["k"]](self, self._decoder, tree)

    def arrow(self, tree: Mapping[str, Any]) -> Any:
        """A column as Arrow has it."""
        return self._table.column(tree["n"])

    def numpy(self, tree: Mapping[str, Any]) -> Any:
        """A column of numbers."""
        return self.arrow(tree).to_numpy()


def _read_zoned(columns: ReadColumns, decoder: Decoder, tree: Mapping[str, Any]) -> Any:
    unit = tree["unit"]
    naive = columns.numpy(tree).view(f"M8[{unit}]")
    dtype = pd.DatetimeTZDtype(unit, decoder.decode(tree["zone"]))
    return pd.DatetimeIndex(naive).tz_localize("UTC").tz_convert(dtype.tz).array


def _read_strings(columns: ReadColumns, _: Decoder, tree: Mapping[str, Any]) -> Any:
    missing: Any = np.nan if tree["nan"] else pd.NA
    dtype: Any = pd.StringDtype(tree["storage"], na_value=missing)
    return dtype.__from_arrow__(columns.arrow(tree))


def _read_masked(columns: ReadColumns, _: Decoder, tree: Mapping[str, Any]) -> Any:
    dtype: Any = pd.api.types.pandas_dtype(tree["dtype"])
    return dtype.__from_arrow__(columns.arrow(tree))


def _read_categorical(columns: ReadColumns, decoder: Decoder, tree: Mapping[str, Any]) -> Any:
    dtype = pd.CategoricalDtype(decoder.decode(tree["categories"]), tree["ordered"])
    return pd.Categorical.from_codes(columns.numpy(tree), dtype=dtype)


def _read_period(columns: ReadColumns, _: Decoder, tree: Mapping[str, Any]) -> Any:
    dtype: Any = pd.api.types.pandas_dtype(tree["freq"])
    index: Any = pd.PeriodIndex
    return index.from_ordinals(columns.numpy(tree), freq=dtype.freq).array


def _read_interval(columns: ReadColumns, _: Decoder, tree: Mapping[str, Any]) -> Any:
    left, right = (columns.get(end) for end in tree["ends"])
    return pd.arrays.IntervalArray.from_arrays(left, right, closed=tree["closed"])


def _read_any(_: ReadColumns, decoder: Decoder, tree: Mapping[str, Any]) -> Any:
    values = np.empty(len(tree["v"]), dtype=object)
    for position, value in enumerate(tree["v"]):
        values[position] = decoder.decode(value)
    return values


_READERS: dict[str, Callable[[ReadColumns, Decoder, Mapping[str, Any]], Any]] = {
    "numpy": lambda columns, _, tree: columns.numpy(tree).astype(tree["dtype"], copy=False),
    "time": lambda columns, _, tree: columns.numpy(tree).view(tree["dtype"]),
    "value": lambda _, decoder, tree: decoder.decode(tree["v"]),
    "objects": lambda columns, _, tree: columns.arrow(tree).to_numpy(),
    "any": _read_any,
    "zoned": _read_zoned,
    "arrow": lambda columns, _, tree: pd.arrays.ArrowExtensionArray(columns.arrow(tree)),
    "string": _read_strings,
    "masked": _read_masked,
    "categorical": _read_categorical,
    "period": _read_period,
    "interval": _read_interval,
}
