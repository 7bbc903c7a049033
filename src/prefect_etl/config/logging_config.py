"""Logging of a process: one handler, console or JSON lines, run ids, no secrets.

Prefect's loggers end in the same handler, whether Prefect is imported before or after
:func:`configure_logging`: it keeps a handler with a formatter that it finds on the root logger
(``prefect.logging.configuration.setup_logging``), and its own is taken away where it came first.
What Prefect sends to its API keeps its own levels, so the UI shows as much as ever.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from prefect_etl.config.secrets import redact
from prefect_etl.errors import EtlError

LogFormat = Literal["console", "json"]

_CONSOLE = "%(asctime)s %(levelname)-7s%(run)s %(name)s%(where)s: %(message)s"
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    *("message", "asctime", "run", "where"),
    "send_to_api",  # Prefect's note to its own handler
}
_RUN_LOGGERS = frozenset({"prefect.flow_runs", "prefect.task_runs"})
# What prefect.flow_engine and prefect.task_engine say when a run is over.
_ENDINGS = ("Finished in state ", "Crash detected! ")
# What its senders of events and logs say when a command ends sooner than they do.
_WAITING = "Still processing items: "

# A worker thread starts with an empty context; it falls back on the run of its process.
_run_id: ContextVar[str] = ContextVar("prefect_etl_run_id", default="")
_process_run_id = ""


def configure_logging(
    level: str = "WARNING",
    format: LogFormat = "console",  # noqa: A002 - what it is called everywhere else
    run_id: str | None = None,
    *,
    outcomes: bool = True,
) -> None:
    """Send this process's log to stderr in one format; may be called again with other values.

    Args:
        level: The least level that is printed: DEBUG, INFO, WARNING or ERROR.
        format: ``console`` for people, ``json`` for programs: one object a line.
        run_id: The run that all lines belong to, unless :func:`run_scope` says otherwise.
        outcomes: Print how Prefect's flow and task runs end; False where the caller tells it, as
            the command line does with its report.
    """
    global _process_run_id  # noqa: PLW0603 - one log for the process
    if run_id is not None:
        _process_run_id = run_id
    handler = StderrHandler()
    handler.setLevel(level)
    console = ConsoleFormatter(traces=level == "DEBUG")
    handler.setFormatter(JsonFormatter() if format == "json" else console)
    handler.addFilter(_add_run_id)
    if not outcomes:
        handler.addFilter(_is_no_outcome)
    root = logging.getLogger()
    for old in [*root.handlers]:
        if isinstance(old, StderrHandler) or _is_prefects(old):
            root.removeHandler(old)
    root.addHandler(handler)
    _install_redaction()
    _set_levels(level)


@contextmanager
def run_scope(run_id: str) -> Iterator[None]:
    """Lines that are logged inside belong to this run.

    Example:
        >>> with run_scope("20130101T000000-ab12"):
        ...     current_run_id()
        '20130101T000000-ab12'
    """
    token = _run_id.set(run_id)
    try:
        yield
    finally:
        _run_id.reset(token)


def current_run_id() -> str:
    """The run that a line logged here would belong to; empty outside of all runs."""
    return _run_id.get() or _process_run_id


class StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to whatever ``sys.stderr`` is at that moment: progress bars put themselves there."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """The present stderr."""
        return sys.stderr

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """A log line after stderr was closed, from a thread that ends late, is no error."""
        if not isinstance(sys.exc_info()[1], ValueError) or not sys.stderr.closed:
            super().handleError(record)


class ConsoleFormatter(logging.Formatter):
    """One short line, local time to the second: time, level, run, logger, message.

    Args:
        traces: Whether our own errors, which say what to do, are shown with their traceback, too.
    """

    def __init__(self, *, traces: bool = False) -> None:
        super().__init__(_CONSOLE, "%H:%M:%S")
        self._traces = traces

    def format(self, record: logging.LogRecord) -> str:
        """The line, and a traceback below it; no secrets."""
        run = getattr(record, "run_id", "")
        record.run = f" [{run}]" if run else ""
        name = getattr(record, "task_run_name", None) or getattr(record, "flow_run_name", None)
        record.where = f" {name}" if name else ""
        if _is_expected(record) and not self._traces:
            # Its message and hint are made for people; where in our code it was raised is not.
            record = logging.makeLogRecord({**vars(record), "exc_info": None, "exc_text": None})
        return redact(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object a line; times in UTC, RFC 3339; ``extra=`` values become keys."""

    def format(self, record: logging.LogRecord) -> str:
        """The object; no secrets."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage()),
            "run_id": getattr(record, "run_id", ""),
        }
        for key, value in vars(record).items():
            if key not in _STANDARD and key not in line:
                line[key] = value if _is_plain(value) else redact(str(value))
        if record.exc_info:
            line["traceback"] = redact(record.exc_text or self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = redact(record.stack_info)
        return json.dumps(line, ensure_ascii=False)


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float)


def _add_run_id(record: logging.LogRecord) -> bool:
    record.run_id = getattr(record, "run_id", None) or current_run_id()
    return True


def _is_no_outcome(record: logging.LogRecord) -> bool:
    if record.exc_info and type(record.exc_info[1]).__name__ == "InterruptException":
        return False  # DuckDB's, from a statement that was stopped with its run
    if record.getMessage().startswith(_WAITING):
        return False
    if record.name not in _RUN_LOGGERS:
        return True
    return not (_is_expected(record) or record.getMessage().startswith(_ENDINGS))


def _is_expected(record: logging.LogRecord) -> bool:
    return record.exc_info is not None and isinstance(record.exc_info[1], EtlError)


def _is_prefects(handler: logging.Handler) -> bool:
    return type(handler).__name__ == "PrefectConsoleHandler"


class _RedactingFactory:
    """Makes records without secrets, for all handlers: Prefect's send them to its database."""

    def __init__(self, make: Any) -> None:
        self.make = make

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record: logging.LogRecord = self.make(*args, **kwargs)
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):
            return record  # arguments that do not fit: logging reports that where it prints
        clean = redact(text)
        if clean != text:
            record.msg, record.args = clean, ()
        if record.exc_info and record.exc_info[0] is not None:
            # Formatters use this text where it is set, instead of the exception itself.
            record.exc_text = redact("".join(traceback.format_exception(*record.exc_info))).strip()
        return record


def _install_redaction() -> None:
    factory = logging.getLogRecordFactory()
    if not isinstance(factory, _RedactingFactory):
        logging.setLogRecordFactory(_RedactingFactory(factory))


def _set_levels(level: str) -> None:
    ours = logging.getLogger("prefect_etl")
    ours.setLevel(min(logging.getLevelNamesMapping()[level], logging.INFO))
    if level == "DEBUG":
        os.environ.setdefault("PREFECT_LOGGING_LEVEL", level)  # where it is imported later
        logging.getLogger("prefect").setLevel(level)
    internal = logging.getLogger("prefect._internal")
    if internal.handlers:
        internal.handlers.clear()
        internal.propagate = True
