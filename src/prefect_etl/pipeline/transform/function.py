"""Calls the Python function of a transformation, with the tables that its parameters name."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.transforming import Fetched, SqlTables, Staged, Versions
from prefect_etl.connectors.user_function import (
    arguments_for,
    load_object,
    place_of,
    reference_of,
)
from prefect_etl.core.rows import ArrowRows, Relation, Rows
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.sql import identifier
from prefect_etl.core.transformation import TransformationSpec
from prefect_etl.errors import ConfigError, DataError, EtlError, SourceChangedError, SourceReadError
from prefect_etl.pipeline.transform.frames import frame_kind, in_microseconds, to_frame
from prefect_etl.pipeline.transform.names import Names
from prefect_etl.pipeline.transform.prepared import Dependency, Prepared
from prefect_etl.pipeline.transform.sketch import sketch_of
from prefect_etl.pipeline.transform.source import digest, function_digest, module_files
from prefect_etl.storage.durable import make_folder, storage_errors

if TYPE_CHECKING:
    from prefect_etl.connectors.python.result import Result

_LOADING = threading.Lock()
# The content of each user's file when its module was loaded, so that an edit is seen.
_loaded: dict[Path, str] = {}


def load_function(reference: str | Callable[..., Any], root: Path) -> Callable[..., Any]:
    """The function of a transformation, with its module and that module's neighbours up to date.

    Raises:
        ConfigError: There is no such function, or its module cannot be imported.
    """
    if not isinstance(reference, str):
        return reference
    root = root.resolve()
    with _LOADING:
        files = module_files(reference.partition(":")[0], root)
        contents = {path: digest(path.read_bytes()) for path in files.values()}
        _forget_changed(files, contents)
        with _first_on_path(root):
            found = load_object(reference, root)
        _loaded.update(contents)
    if not callable(found):
        raise ConfigError(
            f"{reference} is a {type(found).__name__}, not a function",
            hint="Write module:function.",
        )
    function: Callable[..., Any] = found
    return function


def _forget_changed(files: Mapping[str, Path], contents: Mapping[Path, str]) -> None:
    """Drop modules that were loaded from another content, or for another pipeline's folder.

    When one of them changed all are dropped, because they hold things of each other.
    """
    loaded = {name: path for name, path in _loaded_files() if name in files or path in contents}
    changed = {
        path for path in loaded.values() if path in contents and _loaded.get(path) != contents[path]
    }
    for name, path in loaded.items():
        if changed if path in contents else path in _loaded:
            del sys.modules[name]
    for path in changed:
        # Python takes compiled code for fresh if its source has the same size and second.
        Path(importlib.util.cache_from_source(path)).unlink(missing_ok=True)


def _loaded_files() -> Iterator[tuple[str, Path]]:
    for name, module in list(sys.modules.items()):
        place = getattr(module, "__file__", None)
        if isinstance(place, str):
            yield name, Path(place)


@contextmanager
def _first_on_path(root: Path) -> Iterator[None]:
    """The folder first on Python's path; it stays on it, since functions import late, too."""
    text = str(root)
    while text in sys.path:
        sys.path.remove(text)
    sys.path.insert(0, text)
    importlib.invalidate_caches()
    yield


def function_reads(spec: TransformationSpec, root: Path, names: Names) -> tuple[Dependency, ...]:
    """The tables that a function's parameters name.

    Raises:
        ConfigError: A parameter means nothing that is known, or there is no such function.
    """
    reference = reference_of(spec.python)
    sketch = sketch_of(spec.python, root) if isinstance(spec.python, str) else None
    function = sketch or load_function(spec.python, root)
    reads = []
    for name, parameter in _parameters(function).items():
        if name in spec.parameters:
            continue
        table = names.table(name)
        if table is not None:
            frame_kind(_annotation(parameter), function, name)
            reads.append(Dependency(table, names.label(table), name))
        elif parameter.default is parameter.empty:
            raise ConfigError(
                f"{reference}: parameter {name} is no dataset or transformation"
                f"{names.nearest(name)}",
                hint="Name it as a table that it reads, or give it a value under parameters:.",
            )
    tables = {read.argument: None for read in reads if read.argument is not None}
    arguments_for(function, reference, tables, spec.parameters)
    return tuple(reads)


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    try:
        found = inspect.signature(function).parameters
    except (TypeError, ValueError):  # some built-in functions do not say
        return {}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: p for name, p in found.items() if p.kind in named}


def _annotation(parameter: inspect.Parameter) -> Any:
    return None if parameter.annotation is parameter.empty else parameter.annotation


@contextmanager
def staged_function(
    prepared: Prepared, tables: SqlTables, known: TableSchema | None, spill: Path | None
) -> Iterator[tuple[Staged, Versions]]:
    """Call a function and stage what it gives.

    Args:
        prepared: The transformation.
        tables: Where it runs.
        known: The columns of its table, in case that it gives no row and no column.
        spill: Folder for what does not fit in memory; the system's if None.

    Raises:
        DataError: The function failed, or gave what is no table.
        SourceChangedError: Its file changed since the transformation was planned.
    """
    from prefect_etl.connectors.python.result import Result

    with ExitStack() as stack:
        with storage_errors(f"the folder {spill}"):
            if spill is not None:
                make_folder(spill)
            temporary = tempfile.TemporaryDirectory(prefix="prefect_etl-", dir=spill)
        folder = stack.enter_context(temporary)
        function = load_function(prepared.spec.python, prepared.root)
        _assert_planned(prepared)
        fetched = tables.fetch([read.table for read in prepared.reads])
        errors: list[Exception] = []
        with _translated(prepared, errors):
            frames = _frames(prepared, function, fetched)
            result = Result(Path(folder), frozenset(), errors)
            rows = _called(prepared, function, frames, known, result)
            staged = stack.enter_context(tables.stage(rows))
        yield staged, fetched.versions


def _assert_planned(prepared: Prepared) -> None:
    now = function_digest(prepared.spec.python, prepared.root)
    if now is not None and now != prepared.fingerprint["function"]:
        raise SourceChangedError(
            "its file changed since the run began", hint="Run again, with what it is now."
        )


def _frames(prepared: Prepared, function: Callable[..., Any], fetched: Fetched) -> dict[str, Any]:
    parameters = _parameters(function)
    frames = {}
    for read in prepared.reads:
        if read.argument is not None:
            kind = frame_kind(_annotation(parameters[read.argument]), function, read.argument)
            frames[read.argument] = to_frame(fetched.tables[read.table], kind, read.label)
    return frames


def _called(
    prepared: Prepared,
    function: Callable[..., Any],
    frames: Mapping[str, Any],
    known: TableSchema | None,
    result: Result,
) -> Rows:
    reference = reference_of(prepared.spec.python)
    arguments = arguments_for(function, reference, frames, prepared.spec.parameters)
    result.take(function(**arguments))
    try:
        return ArrowRows(in_microseconds(result.reader(())))
    except SourceReadError as error:  # it gave no row and no column
        if known is None:
            raise DataError(
                f"{reference} gave no rows, and so it is not known which columns the table has",
                hint="Return an empty frame that has the columns.",
            ) from error
        columns = (f"CAST(NULL AS {c.type}) AS {identifier(c.name)}" for c in known)
        return Relation(f"SELECT {', '.join(columns)} LIMIT 0")


@contextmanager
def _translated(prepared: Prepared, errors: list[Exception]) -> Iterator[None]:
    """Turn what a user's function raises into ours; the original is the cause."""
    import duckdb

    try:
        yield
    except duckdb.InterruptException:
        raise
    except EtlError as error:
        # While rows stream, the engine sees a copy in text of what went wrong.
        if errors:
            raise _failed(prepared, errors[0]) from errors[0]
        raise error from error.__cause__
    except Exception as error:  # a user's function may raise anything
        raise _failed(prepared, error) from error


def _failed(prepared: Prepared, error: Exception) -> EtlError:
    from prefect_etl.engine.arrow import NotArrowError

    if isinstance(error, EtlError):
        return error
    reference = reference_of(prepared.spec.python)
    if isinstance(error, NotArrowError):
        return DataError(
            f"{reference} gives what is no table: {error}",
            hint="Return a pandas, Polars or Arrow frame, or dicts, whose columns hold one kind of "
            "value each.",
        )
    place = place_of(error, prepared.root)
    where = f" ({place})" if place else ""
    return DataError(
        f"{reference} failed{where}: {type(error).__name__}: {error}",
        hint="Mend the function and run again; its table is as it was.",
    )
