"""Collects what a user's function gives, whatever it is, as one Arrow stream."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterable, Coroutine, Iterable, Mapping, Sequence
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pyarrow as pa

from prefect_etl.engine.arrow import NotArrowError, frame_reader, guarded, is_frame, rows_batch
from prefect_etl.engine.spool import Spool
from prefect_etl.errors import SourceReadError

_BATCH_ROWS = 10_000


class Result:
    """What one call gave.

    Args:
        folder: For what does not fit in memory.
        text: Columns, in lower case, that become text.
        errors: Gets the exception that ends a stream of the user's.
    """

    def __init__(self, folder: Path, text: frozenset[str], errors: list[Exception]) -> None:
        self._folder = folder
        self._text = text
        self._errors = errors
        self._spool = Spool(folder)
        self._single: pa.RecordBatchReader | None = None
        self._rows: list[Mapping[str, Any]] = []

    def take(self, value: Any) -> None:
        """Take all of what a function returned.

        Raises:
            NotArrowError: It is, or holds, something that is no table.
        """
        if inspect.isawaitable(value) or isinstance(value, AsyncIterable):
            _run(self._take_async(value))
        elif is_frame(value):
            # One frame has one schema: it is streamed, not collected.
            self._single = guarded(frame_reader(value, self._folder), self._errors)
        else:
            self._take_parts(value)

    async def _take_async(self, value: Any) -> None:
        if inspect.isawaitable(value):
            value = await value
        if not isinstance(value, AsyncIterable):
            self._take_parts([value] if is_frame(value) else value)
            return
        async for part in value:
            self._take_part(part)
        self._flush()

    def _take_parts(self, value: Any) -> None:
        if value is None:
            raise NotArrowError("it returned nothing; where there are no rows, return []")
        if isinstance(value, Mapping):
            value = [value]
        if not isinstance(value, Iterable) or isinstance(value, str | bytes):
            raise NotArrowError(f"it returned a {type(value).__name__}")
        for part in value:
            self._take_part(part)
        self._flush()

    def _take_part(self, part: Any) -> None:
        if isinstance(part, Mapping):
            self._rows.append(part)
        elif is_frame(part):
            self._flush()
            for batch in frame_reader(part, self._folder):
                self._spool.add(batch)
        elif isinstance(part, Sequence) and not isinstance(part, str | bytes):
            for row in part:
                if not isinstance(row, Mapping):
                    raise NotArrowError(f"a row is a {type(row).__name__}, not a dict")
                self._rows.append(row)
        else:
            raise NotArrowError(f"a part is a {type(part).__name__}, not a dict or a frame")
        if len(self._rows) >= _BATCH_ROWS:
            self._flush()

    def _flush(self) -> None:
        while self._rows:
            head, self._rows = self._rows[:_BATCH_ROWS], self._rows[_BATCH_ROWS:]
            self._spool.add(rows_batch(head, self._text))

    def reader(self, known: Sequence[str]) -> pa.RecordBatchReader:
        """All of it as one stream.

        Args:
            known: The columns where it gave none.

        Raises:
            SourceReadError: It gave no column, and none is known.
        """
        reader = self._single or guarded(self._spool.reader(), self._errors)
        if len(reader.schema):
            return reader
        if not known:
            raise SourceReadError(
                "the function gave no rows, and so it is not known which columns the table has",
                hint="Name the columns with types: {column: type}, or return an empty frame that "
                "has them.",
            )
        return pa.schema([(name, pa.null()) for name in known]).empty_table().to_reader()


def _run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run to the end, also where this thread has an event loop that is running."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(coroutine)
        return
    errors: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(coroutine)
        except BaseException as error:  # noqa: BLE001  # raised again in the thread that waits
            errors.append(error)

    thread = threading.Thread(target=copy_context().run, args=(run,), name="prefect_etl-async")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
