"""Arrow's tables, batches and arrays as Arrow IPC streams, which are exact in every type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from prefect_etl.orchestration.caching.exact import Decoder, Encoder, Tree, no_exact_form

# Smaller and, from a disk, faster to read than none; decoded by several threads.
_COMPRESSION = "lz4"


def encoder_for(kind: type) -> Callable[[Encoder, Any], Tree] | None:
    """What writes values of exactly this class; None if nothing does."""
    if kind is pa.Table:
        return _table
    if kind is pa.RecordBatch:
        return _batch
    if kind is pa.ChunkedArray:
        return _chunked
    if issubclass(kind, pa.Array):
        return _array
    if kind is pa.Schema:
        return lambda encoder, value: {
            "t": "pyarrow.Schema",
            "v": encoder.add_bytes(memoryview(value.serialize())),
        }
    return None


def write_table(encoder: Encoder, table: Any) -> int:
    """Keep a table in a section of its own; gives its number.

    The stream, not the file format: only there may the chunks of a column have dictionaries of
    their own. A slice is written as what it shows.
    """
    options = pa.ipc.IpcWriteOptions(compression=_COMPRESSION, unify_dictionaries=False)

    def write(file: Any) -> None:
        with pa.ipc.new_stream(pa.PythonFile(file, "w"), table.schema, options=options) as stream:
            stream.write(table)

    try:
        return encoder.sections.add(write)
    except pa.ArrowNotImplementedError as error:
        raise no_exact_form(table, f"Arrow cannot write it: {error}") from error


def read_table(decoder: Decoder, section: int) -> Any:
    """The table of a section."""
    with pa.ipc.open_stream(pa.py_buffer(decoder.sections[section])) as stream:
        return stream.read_all()


def _table(encoder: Encoder, value: Any) -> Tree:
    return {"t": "pyarrow.Table", "v": write_table(encoder, value), "rows": value.num_rows}


def _batch(encoder: Encoder, value: Any) -> Tree:
    return {"t": "pyarrow.RecordBatch", "v": write_table(encoder, value), "rows": value.num_rows}


def _chunked(encoder: Encoder, value: Any) -> Tree:
    return {"t": "pyarrow.ChunkedArray", "v": write_table(encoder, pa.table({"": value}))}


def _array(encoder: Encoder, value: Any) -> Tree:
    return {"t": "pyarrow.Array", "v": write_table(encoder, pa.record_batch([value], [""]))}


def _read_table(decoder: Decoder, tree: Mapping[str, Any]) -> Any:
    table = read_table(decoder, tree["v"])
    if table.num_rows != tree["rows"]:
        raise LookupError("a table without columns that has rows")
    return table


def _read_batch(decoder: Decoder, tree: Mapping[str, Any]) -> Any:
    with pa.ipc.open_stream(pa.py_buffer(decoder.sections[tree["v"]])) as stream:
        return stream.read_next_batch()


def _read_chunked(decoder: Decoder, tree: Mapping[str, Any]) -> Any:
    return read_table(decoder, tree["v"]).column(0)


def _read_array(decoder: Decoder, tree: Mapping[str, Any]) -> Any:
    return _read_batch(decoder, tree).column(0)


DECODERS: dict[str, Callable[[Decoder, Mapping[str, Any]], Any]] = {
    "pyarrow.Table": _read_table,
    "pyarrow.RecordBatch": _read_batch,
    "pyarrow.ChunkedArray": _read_chunked,
    "pyarrow.Array": _read_array,
    "pyarrow.Schema": lambda d, t: pa.ipc.read_schema(pa.py_buffer(d.sections[t["v"]])),
}
