"""Python functions as sources: whatever gives dicts, pandas, Polars or Arrow."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import unquote

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema

from prefect_etl.connectors.base import ArrowRows, ConnectionConfig, Connector, Rows
from prefect_etl.connectors.user_function import (
    arguments_for,
    is_reference,
    load_object,
    place_of,
    reference_of,
)
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.unit import Batch, Unit
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import EtlError, SourceReadError


def _function(value: Any) -> Any:
    if isinstance(value, str) and not is_reference(value):
        raise ValueError("must be module:function, such as jobs:fetch_orders")
    if value is None or isinstance(value, bool | int | float):
        raise ValueError("must be module:function or, in Python, a function or an iterable")
    return value


Function = Annotated[
    str | Callable[..., Any] | Any,
    PlainValidator(_function),
    PlainSerializer(reference_of, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^[\w.]+:[\w.]+$"}),
]


class PythonConnection(ConnectionConfig):
    """The folder of users' modules.

    Example:
        >>> PythonConnection.from_uri("python://./jobs", Path("/project")).root.as_posix()
        '/project/jobs'
    """

    root: Path

    @classmethod
    def from_uri(cls, uri: str, root: Path) -> Self:
        """Parse ``python://``, the pipeline's own folder, or ``python://./folder``."""
        path = unquote(uri.removeprefix("python:").removeprefix("//"))
        return cls(root=(root / (path or ".")).absolute())

    @property
    def display(self) -> str:
        """The URI."""
        return f"python://{self.root}"


class PythonDataset(DatasetSpec):
    """What a Python function gives.

    It gives one frame (pandas, Polars eager or lazy, Arrow), or any number of frames, dicts or
    lists of dicts as a list, generator or async generator; or it is such a thing itself. With
    ``cursor`` it is told the highest value that was loaded, as text, in its parameter ``cursor``;
    None at first.
    """

    function: Function = Field(description="module:function, in the folder of the pipeline.")
    parameters: Mapping[str, Any] = Field(
        default_factory=dict, description="Further arguments of the function, by name."
    )


class PythonSource:
    """Calls one function once for each version of its table.

    Args:
        connection: Where the module is.
        dataset: Which function, and its arguments.
        session: The engine; its spill folder takes what does not fit in memory.
    """

    def __init__(
        self, connection: PythonConnection, dataset: PythonDataset, session: Session
    ) -> None:
        self._root = connection.root
        self._dataset = dataset
        self._session = session
        self._reference = reference_of(dataset.function)

    def units(self, state: LedgerState) -> list[Unit]:
        """One: the call that extends this version."""
        return [Unit("call", str(state.version), transient=True)]

    def batches(self, units: Sequence[Unit], state: LedgerState) -> list[Batch]:
        """One; its reading holds what the function is told, and what an empty result looks like."""
        told = json.dumps([self._reference, dict(self._dataset.parameters)], default=repr)
        reading = {
            "cursor": state.cursor if self._dataset.cursor else None,
            "call": sha256(told.encode()).hexdigest()[:16],  # parameters may be secret
            "columns": self._known_columns(state),
        }
        return [Batch((unit,), reading) for unit in units]

    @contextmanager
    def read(self, batch: Batch) -> Iterator[Rows]:
        """Call the function; all it gives is read before the context is entered.

        Raises:
            SourceReadError: The function failed, or gave something that is no table.
            ConfigError: There is no such function, or its parameters are others.
        """
        from prefect_etl.connectors.python.result import Result

        with tempfile.TemporaryDirectory(prefix="prefect_etl-", dir=self._spill()) as folder:
            errors: list[Exception] = []
            with self._translated(errors):
                text = {n.lower() for n, kind in self._dataset.types.items() if kind == "VARCHAR"}
                result = Result(Path(folder), frozenset(text), errors)
                result.take(self._call(batch.reading.get("cursor")))
                yield ArrowRows(result.reader(batch.reading.get("columns", ())))

    def _call(self, cursor: str | None) -> Any:
        function = self._dataset.function
        if isinstance(function, str):
            function = load_object(function, self._root)
        if not callable(function):
            return function
        optional = {"cursor": cursor} if self._dataset.cursor else {}
        arguments = arguments_for(function, self._reference, optional, self._dataset.parameters)
        return function(**arguments)

    @contextmanager
    def _translated(self, errors: list[Exception]) -> Iterator[None]:
        import duckdb
        import pyarrow as pa

        try:
            yield
        except (EtlError, duckdb.InterruptException):
            raise
        except (duckdb.Error, pa.ArrowException) as error:
            # While rows stream, the engine sees a copy in text of what went wrong.
            raise self._failed(errors[0] if errors else error) from (errors or [error])[0]
        except Exception as error:  # a user's function may raise anything
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> SourceReadError:
        from prefect_etl.engine.arrow import NotArrowError

        what = f"dataset {self._dataset.name}: {self._reference}"
        if isinstance(error, NotArrowError):
            return SourceReadError(
                f"{what} gives what is no table: {error}",
                hint="Give dicts or frames whose columns hold one kind of value each, or make a "
                "column text with types: {column: string}.",
            )
        place = place_of(error, self._root)
        where = f" ({place})" if place else ""
        return SourceReadError(
            f"{what} failed{where}: {type(error).__name__}: {error}",
            hint="Mend the function and run again; nothing of it was loaded. Where the next try "
            "may succeed, let it raise prefect_etl.errors.Retriable.",
        )

    def _spill(self) -> Path | None:
        """The engine's own folder for what does not fit; the system's if it has none."""
        path = Path(str(self._session.query("SELECT current_setting('temp_directory')")[0][0]))
        if not path.is_absolute():
            return None
        path.mkdir(parents=True, exist_ok=True)
        return path

    def _known_columns(self, state: LedgerState) -> list[str]:
        """Names that a result without rows must have, so that ``columns`` finds them."""
        renamed = {new: old for old, new in self._dataset.columns.rename.items()}
        loaded = [renamed.get(name, name) for name in state.schema.names] if state.schema else []
        if not loaded and not self._dataset.types:
            return []
        columns = self._dataset.columns
        named = (*loaded, *columns.select, *columns.rename, *columns.drop, *self._dataset.types)
        return list({name.lower(): name for name in reversed(named)}.values())[::-1]


CONNECTOR = Connector(
    name="python",
    schemes=("python",),
    connection=PythonConnection,
    dataset=PythonDataset,
    source=PythonSource,
)
