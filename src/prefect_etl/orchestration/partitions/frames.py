"""Frames as a source: slices that share the frame's memory, whatever library it is of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from prefect_etl.core.frames import bytes_of_frame, frame_kind, is_lazy, rows_of
from prefect_etl.core.partition import Cut, Grouped, group_rows
from prefect_etl.errors import ConfigError, DataError

Slice = Callable[[Any, int, int], Any]


def _by_rows(frame: Any, start: int, stop: int) -> Any:
    return frame[start:stop]


def _by_position(frame: Any, start: int, stop: int) -> Any:
    return frame.iloc[start:stop]


def _by_length(frame: Any, start: int, stop: int) -> Any:
    return frame.slice(start, stop - start)


_SLICES: dict[str, Slice] = {
    "pandas": _by_position,
    "polars": _by_length,
    "pyarrow": _by_length,
    "narwhals": _by_rows,
    "numpy": _by_rows,
}


class FrameSource:
    """Row ranges of a frame or column that is in memory.

    Args:
        frame: Of pandas, Polars, Arrow, narwhals or NumPy.
        cut: Where it is cut.
        keys: What each partition is, where it is more than rows: the key of a group.
        whole: Its content's key is of this value: the frame before it was put in order.
    """

    by_value = True

    def __init__(
        self,
        frame: Any,
        cut: Cut,
        keys: Sequence[Any] | None = None,
        whole: tuple[Any, ...] | None = None,
    ) -> None:
        self._frame, self._cut, self._keys = frame, cut, keys
        self._whole = whole or (frame, repr(cut))
        self._slice = _SLICES[_library(frame)]

    def __len__(self) -> int:
        return len(self._cut)

    def describe(self, index: int) -> Any:
        """Its rows, or the key of its group."""
        return self._cut[index] if self._keys is None else self._keys[index]

    def read(self, indices: Sequence[int]) -> Iterator[Any]:
        """Slices; no row is copied."""
        for index in indices:
            rows = self._cut[index]
            yield self._slice(self._frame, rows.start, rows.stop)

    def identity(self) -> str:
        """The content's key and the cut: one pass over the frame, not one a partition."""
        from prefect_etl.core.fingerprint import fingerprint

        return fingerprint(self._whole)

    def key(self, index: int) -> str:
        """Its place: the frame's content and the cut are the identity."""
        return str(index)


def as_frame(data: Any) -> Any | None:
    """The data as a frame or column that is in memory; None if it is neither.

    A native frame that only narwhals understands comes back in narwhals' clothes.
    """
    kind = frame_kind(data)
    if kind == "narwhals.LazyFrame":
        return data.collect()
    if kind is not None:
        return None if is_lazy(data) else data
    return _through_narwhals(data)


def _through_narwhals(data: Any) -> Any | None:
    # Only what claims to be a frame: narwhals is not imported for a list of paths.
    if not (hasattr(data, "columns") and hasattr(data, "__class__")):
        return None
    import narwhals as nw

    found = nw.from_native(data, pass_through=True)
    if isinstance(found, nw.LazyFrame):
        return found.collect()
    return found if isinstance(found, nw.DataFrame) else None


def size_of(frame: Any) -> tuple[int, int]:
    """Rows and bytes of a frame that is in memory."""
    return rows_of(frame) or 0, bytes_of_frame(frame) or 0


def grouped(frame: Any, by: Sequence[str]) -> FrameSource:
    """One partition for each value of the columns, groups in the order of their first row.

    Rows that do not lie together already are put in order once, which copies the frame.

    Raises:
        ConfigError: It has no columns, or not these.
        DataError: A column holds values that cannot be told apart by Arrow.
    """
    keys = _key_columns(frame, by)
    found = group_rows(_codes(keys))
    first = keys.take(_indices(found.first)).to_pylist()
    names = [row[by[0]] if len(by) == 1 else tuple(row.values()) for row in first]
    return FrameSource(_in_order(frame, found), found.cut, names, (frame, "by", *by))


def _library(frame: Any) -> str:
    kind = frame_kind(frame)
    if kind is None:
        raise TypeError(f"a {type(frame).__name__} is no frame")
    return kind.partition(".")[0]


def _key_columns(frame: Any, by: Sequence[str]) -> Any:
    import pyarrow as pa

    columns = _columns(frame)
    if columns is None:
        raise ConfigError("by= names columns of a frame", hint="Give a frame that has columns.")
    if missing := [name for name in by if name not in columns]:
        raise ConfigError(
            f"by= names columns that are not there: {', '.join(missing)}",
            hint=f"The frame has {', '.join(map(str, columns[:20]))}.",
        )
    library = _library(frame)
    if library == "pyarrow":
        selected = frame.select(list(by))
        table = selected if isinstance(frame, pa.Table) else pa.Table.from_batches([selected])
    elif library == "pandas":
        table = _from_pandas(frame[list(by)], pa)
    else:
        table = frame.select(list(by)).to_arrow()
    return table.combine_chunks()


def _from_pandas(frame: Any, pa: Any) -> Any:
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(
            f"by= cannot group by {', '.join(map(str, frame.columns))}: {error}",
            hint="Give the column one type, for example with astype(str).",
        ) from error


def _columns(frame: Any) -> list[str] | None:
    if frame_kind(frame) in ("pyarrow.Table", "pyarrow.RecordBatch"):
        return list(frame.column_names)
    columns = getattr(frame, "columns", None)
    return None if columns is None else list(columns)


def _codes(keys: Any) -> Any:
    """A number for each row, equal for equal keys, counting up from 0 as keys appear."""
    import numpy as np
    import pyarrow as pa

    codes: Any = None
    for column in keys.columns:
        found, count = _encoded(column)
        if codes is None:
            codes = found
        else:  # no overflow: both are less than the number of rows
            codes, _ = _encoded(pa.array(codes.astype(np.int64) * count + found))
    return codes


def _encoded(column: Any) -> tuple[Any, int]:
    import numpy as np
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        if column.length() == 0:
            return np.zeros(0, dtype=np.int64), 1
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    encoded = column.dictionary_encode(null_encoding="encode")
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    return codes, len(encoded.dictionary)


def _in_order(frame: Any, found: Grouped) -> Any:
    if found.order is None:
        return frame
    library = _library(frame)
    if library == "pandas":
        return frame.iloc[found.order]
    if library == "pyarrow":
        return frame.take(_indices(found.order))
    return frame[found.order]


def _indices(order: Any) -> Any:
    import pyarrow as pa

    return pa.array(order)
