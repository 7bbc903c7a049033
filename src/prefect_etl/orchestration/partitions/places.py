"""Where the record of a map is, and what tells it from others."""

from __future__ import annotations

import inspect
import logging
import re
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from prefect import Task
from prefect.context import FlowRunContext

from prefect_etl.config.settings import load_settings
from prefect_etl.core.partition import MIB
from prefect_etl.errors import BusyError, ConfigError, DataError, StorageError
from prefect_etl.orchestration.partitions.options import Options
from prefect_etl.orchestration.partitions.record import Record, remove_old_records
from prefect_etl.orchestration.partitions.source import Source
from prefect_etl.orchestration.partitions.sources import Stream

logger = logging.getLogger(__name__)
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}")
_ATTEMPTS_REMEMBERED = 100
_UNASKED_BYTES = 64 * MIB
_lock = threading.Lock()
# How often a flow run's attempt made the same call: the second is not the first one's retry.
_calls: dict[tuple[str, int], Counter[str]] = {}


def record_for(task: Task[..., Any], source: Source | Stream, options: Options) -> Record | None:
    """The record of this call; None if nothing is to be kept.

    Without a name there is one if Prefect may run the same flow run again: if the flow has retries
    or belongs to a deployment. As nobody asked for it, it keeps no more than 64 MiB of frames.

    Raises:
        ConfigError: The name is none, or arguments or elements have no exact form.
        BusyError: Another call uses the record of this name.
        StorageError: It cannot be written.
    """
    if options.record is False:
        return None
    if options.record is not None:
        return Record(_named(options.record), _identity(task, source, options))
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if context is None or run is None or not (_has_retries(context) or run.deployment_id):
        return None
    try:
        identity = _identity(task, source, options)
        turn = _turn(str(run.id), run.run_count, identity)
        runs = _home() / "runs"
        remove_old_records(runs)
        return Record(runs / str(run.id), f"{identity}-{turn}", _UNASKED_BYTES)
    except (ConfigError, DataError, BusyError, StorageError) as error:
        # Nobody asked for it: a retry of the flow then runs all partitions again.
        logger.debug("partitions of %s are not recorded: %s", task.name, error)
        return None


def _home() -> Path:
    return load_settings().home / "partitions"


def _named(record: str | Path | bool) -> Path:
    if isinstance(record, Path):
        return record
    if not isinstance(record, str) or not _NAME.fullmatch(record):
        raise ConfigError(
            f"record should be a name of letters, digits, . _ and -, not {record!r}",
            hint="Give a pathlib.Path for a folder of your own.",
        )
    return _home() / "named" / record


def _identity(task: Task[..., Any], source: Source | Stream, options: Options) -> str:
    from prefect_etl.core.fingerprint import fingerprint

    function = inspect.unwrap(task.fn)
    content = "elements" if isinstance(source, Stream) else source.identity()
    name = f"{function.__module__}.{function.__qualname__}"
    found = fingerprint([name, content, dict(options.arguments), options.size, options.nbytes])
    return re.sub(r"\W+", "-", found)


def _has_retries(context: FlowRunContext) -> bool:
    return bool(context.flow and context.flow.retries)


def _turn(run_id: str, attempt: int, identity: str) -> int:
    with _lock:
        calls = _calls.setdefault((run_id, attempt), Counter())
        calls[identity] += 1
        while len(_calls) > _ATTEMPTS_REMEMBERED:
            del _calls[next(iter(_calls))]
        return calls[identity]
