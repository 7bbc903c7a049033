"""Errors of validation, and what happens to them: a record, an event, the rows put aside."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from prefect.context import FlowRunContext, TaskRunContext
from prefect.exceptions import MissingContextError, PrefectException
from prefect.logging import get_run_logger

from prefect_etl.config.settings import load_settings
from prefect_etl.core.frames import is_frame
from prefect_etl.core.report import RuleCount
from prefect_etl.errors import DataError
from prefect_etl.pipeline.flow_quarantine import put_aside, write_record
from prefect_etl.pipeline.workspace import new_run_id
from prefect_etl.utils.validation import Failure

EVENT = "prefect-etl.validation.failed"
_LONGEST_MESSAGE = 500
_logger = logging.getLogger(__name__)


class DataValidationError(DataError, PrefectException):
    """The data is not what it should be.

    As a ``DataError`` it is not retried: the same data would fail again. An error of your own that
    is a ``PrefectException`` only is retried, as Prefect does.

    Args:
        message: What is wrong, without values of rows: it goes to logs and events.
        hint: What to do next.
        failure: What ``check`` found.
        rows: A frame with the rows, where there is no ``failure``.

    Example:
        >>> error = DataValidationError("Data contains null values")
        >>> isinstance(error, PrefectException), isinstance(error, DataError)
        (True, True)
    """

    def __init__(
        self,
        message: str = "the data is wrong",
        *,
        hint: str | None = None,
        failure: Failure[Any] | None = None,
        rows: Any = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.failure = failure
        self.rows = rows if failure is None else failure.rows

    def __reduce__(self) -> tuple[object, ...]:
        # Subclasses may take other arguments: their attributes travel, nothing is called.
        return _rebuild, (type(self), self.args), self.__dict__


def _rebuild(kind: type[DataValidationError], args: tuple[Any, ...]) -> DataValidationError:
    return kind.__new__(kind, *args)


@dataclass(frozen=True, slots=True)
class ValidationRecord(Awaitable["ValidationRecord"]):
    """What was noted of a failed validation; awaiting gives itself.

    Attributes:
        id: Sorts by time.
        time: When, in UTC.
        error: The class of the error.
        message: Its message, at most 500 characters.
        where: The flow's or task's name.
        flow_run_id: Prefect's id of the flow run, where there was one.
        task_run_id: Prefect's id of the task run, where there was one.
        rows: How many rows the error carried.
        rules: What they broke, with counts.
        quarantine: The file of the rows; None where there were none, or it could not be written.
    """

    id: str
    time: str
    error: str
    message: str
    where: str
    flow_run_id: str | None = None
    task_run_id: str | None = None
    rows: int = 0
    rules: tuple[RuleCount, ...] = ()
    quarantine: str | None = None

    def __await__(self) -> Generator[Any, None, ValidationRecord]:
        """Give the record itself: it is written already."""
        return self
        yield  # a generator


def handle_validation_error(
    error: BaseException, *, data_dir: str | Path | None = None
) -> Awaitable[ValidationRecord]:
    """Note a failed validation: in the log, as a record and a Prefect event; put its rows aside.

    ``await`` it in async flows; call it in sync ones, where it is done when it returns. Nothing
    that goes wrong here fails the flow: it is logged as a warning. The error is not raised again.
    Values of rows go to the quarantine file only.

    Args:
        error: What was raised. Its rows are those of ``error.failure`` (from ``check``), or a frame
            ``error.rows``.
        data_dir: Where record and rows go; the setting ``data_dir`` in the current folder if None.

    Returns:
        The record, to be awaited or as it is.

    Example:
        >>> async def nightly(data):  # a flow
        ...     try:
        ...         return await validate(data)
        ...     except DataValidationError as error:
        ...         await handle_validation_error(error)
        ...         raise
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _handle(error, data_dir)
    # Started at once: in a sync task under a running loop nobody awaits it.
    return asyncio.ensure_future(asyncio.to_thread(_handle, error, data_dir))


def _handle(error: BaseException, data_dir: str | Path | None) -> ValidationRecord:
    failure = getattr(error, "failure", None)
    rules = failure.rules if isinstance(failure, Failure) else ()
    rows = failure.rows if isinstance(failure, Failure) else getattr(error, "rows", None)
    flow, task = FlowRunContext.get(), TaskRunContext.get()
    record = ValidationRecord(
        id=new_run_id(),
        time=datetime.now(UTC).isoformat(),
        error=type(error).__name__,
        message=str(error)[:_LONGEST_MESSAGE],
        where=_name(flow, task),
        flow_run_id=str(flow.flow_run.id) if flow and flow.flow_run else None,
        task_run_id=str(task.task_run.id) if task else None,
        rules=rules,
    )
    folder = _attempt("find the data folder", lambda: _data_folder(data_dir))
    if folder is not None:
        record = _with_rows(record, rows, folder)
    _run_logger().error(
        "%s: %s%s",
        record.error,
        record.message,
        f" (rows: {record.rows}, in {record.quarantine})" if record.quarantine else "",
    )
    if folder is not None:
        _attempt("write its record", lambda: write_record(folder, record.id, asdict(record)))
    _attempt("send an event", lambda: _emit(record))
    return record


def _with_rows(record: ValidationRecord, rows: Any, folder: Path) -> ValidationRecord:
    if not is_frame(rows):
        return record
    entry = _attempt(
        "put its rows aside",
        lambda: put_aside(folder, record.where, record.id, rows, record.rules),
    )
    return record if entry is None else replace(record, rows=entry.rows, quarantine=entry.path)


def _attempt(what: str, do: Callable[[], Any]) -> Any:
    try:
        return do()
    except Exception as error:  # noqa: BLE001 - the user's own error matters more than any of these
        _run_logger().warning("A validation failed, and we could not %s: %s", what, error)
        return None


def _data_folder(data_dir: str | Path | None) -> Path:
    return load_settings().data_folder(Path.cwd()) if data_dir is None else Path(data_dir)


def _name(flow: Any, task: Any) -> str:
    if flow and flow.flow:
        return str(flow.flow.name)
    return str(task.task.name) if task else "outside of a flow"


def _emit(record: ValidationRecord) -> None:
    from prefect.events import emit_event
    from prefect.settings import get_current_settings

    # Without an API Prefect would start a server for this one event.
    within_a_run = record.flow_run_id or record.task_run_id
    if not within_a_run and get_current_settings().api.url is None:
        return
    emit_event(
        event=EVENT,
        resource={
            # One for a flow, so that an automation can count its events.
            "prefect.resource.id": f"prefect-etl.validation.{quote(record.where, safe='')}",
            "prefect.resource.name": record.where,
        },
        payload=asdict(record),
    )


def _run_logger() -> Any:
    try:
        return get_run_logger()
    except MissingContextError:
        return _logger
