"""What a value is, as a frame: which library, how many rows, how many bytes, in one line.

No library is imported here: a value can only be of a library that its maker imported.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import islice
from typing import Any

_TABLES = {
    "pandas.DataFrame": ("pandas", "DataFrame"),
    "polars.DataFrame": ("polars", "DataFrame"),
    "polars.LazyFrame": ("polars", "LazyFrame"),
    "pyarrow.Table": ("pyarrow", "Table"),
    "pyarrow.RecordBatch": ("pyarrow", "RecordBatch"),
    "narwhals.DataFrame": ("narwhals", "DataFrame"),
    "narwhals.LazyFrame": ("narwhals", "LazyFrame"),
}
_COLUMNS = {
    "pandas.Series": ("pandas", "Series"),
    "pandas.Index": ("pandas", "Index"),
    "polars.Series": ("polars", "Series"),
    "pyarrow.ChunkedArray": ("pyarrow", "ChunkedArray"),
    "pyarrow.Array": ("pyarrow", "Array"),
    "narwhals.Series": ("narwhals", "Series"),
    "numpy.ndarray": ("numpy", "ndarray"),
}
_LAZY = frozenset({"polars.LazyFrame", "narwhals.LazyFrame"})
_SAMPLE = 1000
_SHOWN = 6
_LONGEST_NAME = 24


def frame_kind(value: object) -> str | None:
    """The kind of a frame or of one column: ``library.Class``; None for anything else.

    A subclass (``geopandas.GeoDataFrame``) is of its parent's kind. A reader that can be read only
    once (``pyarrow.RecordBatchReader``) and a query (DuckDB's relation) are no frames.

    Example:
        >>> import pyarrow as pa
        >>> frame_kind(pa.table({"a": [1]})), frame_kind(pa.array([1])), frame_kind([1])
        ('pyarrow.Table', 'pyarrow.Array', None)
    """
    return _first(value, _TABLES) or _first(value, _COLUMNS)


def is_frame(value: object) -> bool:
    """Whether a value is a table with rows and columns, computed or lazy.

    pandas and Polars (also lazy) frames, Arrow tables and record batches, narwhals frames.

    Example:
        >>> import pyarrow as pa
        >>> is_frame(pa.table({"a": [1]})), is_frame(pa.array([1])), is_frame({"a": [1]})
        (True, False, False)
    """
    return _first(value, _TABLES) is not None


def is_column(value: object) -> bool:
    """Whether a value is one column or array of such a library, or of NumPy.

    Example:
        >>> import pyarrow as pa
        >>> is_column(pa.array([1])), is_column(pa.table({"a": [1]})), is_column([1])
        (True, False, False)
    """
    return _first(value, _COLUMNS) is not None


def is_lazy(value: object) -> bool:
    """Whether a value is a frame that is not computed yet (Polars' or narwhals' ``LazyFrame``).

    Example:
        >>> import polars as pl
        >>> is_lazy(pl.LazyFrame({"a": [1]})), is_lazy(pl.DataFrame({"a": [1]}))
        (True, False)
    """
    return frame_kind(value) in _LAZY


def rows_of(frame: Any) -> int | None:
    """The number of rows; None for a lazy frame, which would have to be computed to know.

    Args:
        frame: A frame or column.

    Raises:
        TypeError: It is neither.

    Example:
        >>> import polars as pl
        >>> rows_of(pl.DataFrame({"a": [1, 2]})), rows_of(pl.LazyFrame({"a": [1, 2]}))
        (2, None)
    """
    kind = _known(frame)
    if kind in _LAZY:
        return None
    if kind.startswith("pyarrow.") and is_frame(frame):
        return int(frame.num_rows)
    return _length(frame)


def bytes_of_frame(frame: Any) -> int | None:
    """About how many bytes the rows take in memory, without a copy; None for a lazy frame.

    A slice counts its own rows, not the buffers that it shares. Columns of Python objects are
    estimated from at most 1000 of their values.

    Args:
        frame: A frame or column.

    Raises:
        TypeError: It is neither.

    Example:
        >>> import pyarrow as pa
        >>> bytes_of_frame(pa.table({"a": [1, 2, 3]}).slice(1))
        16
    """
    kind = _known(frame)
    if kind in _LAZY:
        return None
    if kind.startswith("narwhals."):
        native = frame.to_native()
        return int(frame.estimated_size()) if frame_kind(native) is None else bytes_of_frame(native)
    if kind.startswith("polars."):
        return int(frame.estimated_size())
    if kind.startswith("pandas."):
        return _pandas_bytes(frame, kind)
    return int(frame.nbytes)


def frame_summary(frame: Any) -> str:
    """A frame or column in one short line; values are not shown, lazy frames not computed.

    Raises:
        TypeError: It is neither.

    Example:
        >>> import pyarrow as pa
        >>> frame_summary(pa.table({"a": [1, 2], "b": ["x", "y"]}))
        '<pyarrow.Table 2 rows x 2 columns: a int64, b string>'
        >>> frame_summary(pa.array([1, 2]))
        '<pyarrow.Array 2 rows: int64>'
    """
    kind = _known(frame)
    if kind in _LAZY:
        return f"<{kind} not computed>"
    rows = rows_of(frame)
    if not is_frame(frame):
        return f"<{kind} {rows} rows: {_type_of_column(frame)}>"
    width, columns = _columns(frame, kind)
    shown = [f"{_short(name)} {_short(kind)}" for name, kind in islice(columns, _SHOWN)]
    more = ", …" if width > _SHOWN else ""
    return f"<{kind} {rows} rows x {width} columns{': ' if shown else ''}{', '.join(shown)}{more}>"


def _first(value: object, kinds: dict[str, tuple[str, str]]) -> str | None:
    return next((kind for kind, where in kinds.items() if _is_of(value, *where)), None)


def _is_of(value: object, module: str, name: str) -> bool:
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def _known(value: object) -> str:
    kind = frame_kind(value)
    if kind is None:
        raise TypeError(f"a {type(value).__name__} is no frame")
    return kind


def _length(frame: Any) -> int:
    return len(frame) if getattr(frame, "ndim", 1) else 1  # an array without dimensions: one value


def _pandas_bytes(frame: Any, kind: str) -> int:
    if kind == "pandas.DataFrame":
        total = int(frame.memory_usage(index=True, deep=False).sum())
        objects = [i for i, dtype in enumerate(frame.dtypes) if _holds_objects(dtype)]
        return total + sum(_objects_bytes(frame.iloc[:, i]) for i in objects)
    own = frame.memory_usage(deep=False)
    return int(own) + (_objects_bytes(frame) if _holds_objects(frame.dtype) else 0)


def _holds_objects(dtype: Any) -> bool:
    return str(dtype) == "object" or getattr(dtype, "storage", None) == "python"


def _objects_bytes(column: Any) -> int:
    rows = len(column)
    step = max(1, -(-rows // _SAMPLE))
    sample = column.array[::step]
    return sum(map(sys.getsizeof, sample)) * rows // max(1, len(sample))


def _columns(frame: Any, kind: str) -> tuple[int, Iterable[tuple[Any, Any]]]:
    if kind == "pandas.DataFrame":
        return frame.shape[1], zip(frame.columns, frame.dtypes, strict=True)
    if kind.startswith("pyarrow."):
        return frame.num_columns, ((field.name, field.type) for field in frame.schema)
    return frame.shape[1], frame.schema.items()


def _type_of_column(column: Any) -> str:
    kind = getattr(column, "type", None) or getattr(column, "dtype", "")
    return _short(kind)


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"
