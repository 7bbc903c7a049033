"""The process in which files are read that may be crafted: statements in, rows out, as JSON lines.

It is started by its path, so it imports nothing of this package, and nobody else's start-up code.
It ends when its standard input does: with the process that started it, however that ended.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, BinaryIO

_STREAM = "_etl_stream"


def main() -> None:
    """Answer requests until there are no more."""
    requests: SimpleQueue[dict[str, Any]] = SimpleQueue()
    setup = json.loads(sys.stdin.buffer.readline())
    answers = _answers()
    sys.path[:] = setup["path"]
    import duckdb

    connection = duckdb.connect(config=setup["config"])
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    _limit("RLIMIT_DATA", setup["data"])
    _limit("RLIMIT_CORE", 0)
    threading.Thread(target=_listen, args=(sys.stdin.buffer, requests), daemon=True).start()
    while True:
        answers.write(json.dumps(_answer(connection, requests.get())).encode() + b"\n")
        answers.flush()


def _answers() -> BinaryIO:
    """Where answers go; what libraries print goes elsewhere."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _listen(lines: BinaryIO, requests: SimpleQueue[dict[str, Any]]) -> None:
    for line in lines:
        requests.put(json.loads(line))
    os._exit(0)


def _answer(connection: Any, request: dict[str, Any]) -> dict[str, Any]:
    _limit_further(request)
    try:
        return {"rows": _rows(connection, request)}
    except MemoryError:
        return {"error": ["OutOfMemoryException", "Out of Memory"]}
    except Exception as error:  # noqa: BLE001 whatever it is, the other process says it
        return {"error": [type(error).__name__, str(error)]}


def _rows(connection: Any, request: dict[str, Any]) -> list[Any]:
    match request["do"]:
        case "nanoseconds":
            return [[has_nanoseconds(**request["of"])]]
        case "excel":
            # Light: no other module of the package comes with it.
            from prefect_etl.engine.excel import read_cells

            return read_cells(**request["of"])
        case "nulls":
            with arrow_stream(request["of"]) as stream:
                return _null_columns(stream.schema)
    cursor = connection.cursor()
    try:
        if request["of"] is None:
            return list(cursor.execute(request["sql"]).fetchall())
        with arrow_stream(request["of"]) as stream:
            cursor.register(_STREAM, stream)
            return list(cursor.execute(request["sql"]).fetchall())
    finally:
        cursor.close()


@contextmanager
def arrow_stream(path: str, *, trusted: bool = False) -> Iterator[Any]:
    """The rows of an Arrow file, as a stream; unless it is trusted, each batch is validated."""
    import pyarrow as pa

    with pa.memory_map(path) as file:
        try:
            opened = pa.ipc.open_file(file)
            batches = (opened.get_batch(i) for i in range(opened.num_record_batches))
        except pa.ArrowInvalid:
            file.seek(0)
            opened = pa.ipc.open_stream(file)
            batches = iter(opened)
        checked = batches if trusted else map(_validated, batches)
        yield pa.RecordBatchReader.from_batches(opened.schema, checked)


def _validated(batch: Any) -> Any:
    # Offsets that lead out of a buffer would be followed.
    batch.validate(full=True)
    return batch


def _null_columns(schema: Any) -> list[Any]:
    import pyarrow as pa

    return [[field.name] for field in schema if pa.types.is_null(field.type)]


def has_nanoseconds(path: str, column: str, *, int96: bool) -> bool:
    """Whether a column of a Parquet file has timestamps that microseconds cannot hold."""
    import pyarrow.parquet as pq

    whole = pq.ParquetFile(path)
    if not int96:
        batches = whole.iter_batches(columns=[column])
        return any((_numbers(batch) % 1000).any() for batch in batches)
    # Beyond the years of nanoseconds both overflow in the same way.
    coarse = pq.ParquetFile(path, coerce_int96_timestamp_unit="us")
    pairs = zip(*(f.iter_batches(columns=[column]) for f in (whole, coarse)), strict=True)
    return any((_numbers(fine) != _numbers(cut) * 1000).any() for fine, cut in pairs)


def _numbers(batch: Any) -> Any:
    """The only column of a batch as integers, without nulls."""
    import pyarrow as pa

    return batch.column(0).drop_null().cast(pa.int64()).to_numpy()


def _limit_further(request: dict[str, Any]) -> None:
    """Of one request: seconds of the processor, from now on, and bytes of a file."""
    used = sum(os.times()[:2])
    _limit("RLIMIT_CPU", int(used + request["seconds"]) + 1)
    _limit("RLIMIT_FSIZE", request["bytes"])


def _limit(name: str, value: int) -> None:
    if sys.platform == "win32":
        return
    import resource

    which = getattr(resource, name)
    highest = resource.getrlimit(which)[1]
    if highest != resource.RLIM_INFINITY:
        value = min(value, highest)
    resource.setrlimit(which, (value, highest))


if __name__ == "__main__":
    main()
