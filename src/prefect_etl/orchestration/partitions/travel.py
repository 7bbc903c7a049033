"""How partitions and their results travel to other processes.

A slice of an Arrow table is pickled with all buffers of the table: a hundredth costs as much as the
whole. Here Arrow data is written as an IPC stream, which holds the slice alone.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

from cloudpickle import Pickler, loads  # type: ignore[import-untyped]  # has no types


class Compact:
    """A value that is pickled without the buffers which it only refers to a part of.

    Example:
        >>> import cloudpickle, pyarrow
        >>> tenth = pyarrow.table({"n": range(100_000)}).slice(0, 10)
        >>> len(cloudpickle.dumps(tenth)) > 800_000, len(cloudpickle.dumps(Compact(tenth))) < 2_000
        (True, True)
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> tuple[Callable[[bytes], Compact], tuple[bytes]]:
        return _unpacked, (dumps(self.value),)


def dumps(value: Any) -> bytes:
    """Pickle a value, slices as what they show."""
    stream = io.BytesIO()
    _Pickler(stream).dump(value)
    return stream.getvalue()


def _unpacked(data: bytes) -> Compact:
    # From this process's own runner: it pickles all arguments of tasks anyway.
    return Compact(loads(data))


class _Pickler(Pickler):  # type: ignore[misc]  # cloudpickle has no types
    def reducer_override(self, obj: Any) -> Any:
        pa = sys.modules.get("pyarrow")
        if pa is not None:
            if isinstance(obj, pa.Table):
                return _table, (_ipc(obj.schema, obj.to_batches()),)
            if isinstance(obj, pa.RecordBatch):
                return _batch, (_ipc(obj.schema, [obj]),)
            if isinstance(obj, pa.ChunkedArray | pa.Array):
                return _array_parts(obj, pa)
        return super().reducer_override(obj)


def _array_parts(array: Any, pa: Any) -> tuple[Any, ...]:
    whole = isinstance(array, pa.ChunkedArray)
    table = pa.table([array], ["_"])
    return _array, (_ipc(table.schema, table.to_batches()), whole)


def _ipc(schema: Any, batches: list[Any]) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return bytes(sink.getvalue())


def _table(data: bytes) -> Any:
    import pyarrow as pa

    return pa.ipc.open_stream(data).read_all()


def _batch(data: bytes) -> Any:
    import pyarrow as pa

    return pa.ipc.open_stream(data).read_next_batch()


def _array(data: bytes, whole: bool) -> Any:
    column = _table(data).column(0)
    return column if whole else column.combine_chunks()
