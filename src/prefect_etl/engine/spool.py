"""Record batches of growing schema, kept until the last is known, then given as one stream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from prefect_etl.engine.arrow import NotArrowError, plain, wider

_MEMORY_BYTES = 32 << 20


class Spool:
    """Collects batches; what is more than fits in a little memory goes to files.

    Types widen over the batches as they do over rows, columns may be missing or new, and a column
    of nulls takes the type of its first value.

    Args:
        folder: For the files; whoever owns it removes them.
        memory_bytes: What is kept in memory.

    Example:
        >>> spool = Spool(Path("unused"))
        >>> spool.add(pa.record_batch({"a": [1]}))
        >>> spool.add(pa.record_batch({"a": [2.5], "b": ["x"]}))
        >>> spool.reader().read_all().to_pylist()
        [{'a': 1.0, 'b': None}, {'a': 2.5, 'b': 'x'}]
    """

    def __init__(self, folder: Path, memory_bytes: int = _MEMORY_BYTES) -> None:
        self.rows = 0
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._kept: list[pa.RecordBatch] = []
        self._bytes = 0
        self._files: list[Path] = []
        self._types: dict[str, pa.DataType] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Take a batch.

        Raises:
            NotArrowError: A column's type does not go with what it was before.
        """
        batch = plain(batch)
        for field in batch.schema:
            known = self._types.get(field.name, field.type)
            kind = wider(known, field.type)
            if kind is None:
                raise NotArrowError(
                    f"column {field.name!r} is {known} in one part and {field.type} in another"
                )
            self._types[field.name] = kind
        self.rows += batch.num_rows
        self._kept.append(batch)
        self._bytes += batch.nbytes
        if self._bytes > self._memory_bytes:
            self._spill()

    def _spill(self) -> None:
        """Write what is kept, a file for each schema, in order."""
        start = 0
        for end in range(1, len(self._kept) + 1):
            part = self._kept[start:end]
            if end < len(self._kept) and self._kept[end].schema.equals(part[0].schema):
                continue
            path = self._folder / f"{len(self._files):06d}.arrow"
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, part[0].schema) as out:
                for batch in part:
                    out.write_batch(batch)
            self._files.append(path)
            start = end
        self._kept, self._bytes = [], 0

    @property
    def schema(self) -> pa.Schema:
        """One schema for all batches, in the order in which the columns were seen."""
        return pa.schema(list(self._types.items()))

    def reader(self) -> pa.RecordBatchReader:
        """All batches, in order, cast to the one schema.

        Raises:
            NotArrowError: While reading: a value does not survive the widening of its column.
        """
        schema = self.schema
        return pa.RecordBatchReader.from_batches(
            schema, (_fitted(batch, schema) for batch in self._batches())
        )

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for path in self._files:
            with pa.memory_map(str(path)) as file:
                opened = pa.ipc.open_file(file)
                for index in range(opened.num_record_batches):
                    yield opened.get_batch(index)
        yield from self._kept


def _fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    arrays = []
    for field in schema:
        index = batch.schema.get_field_index(field.name)
        if index < 0:
            arrays.append(pa.nulls(batch.num_rows, field.type))
            continue
        try:
            arrays.append(batch.column(index).cast(field.type))
        except pa.ArrowException as error:
            raise NotArrowError(f"column {field.name!r}: {error}") from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
