"""A PostgreSQL database as a source: tables, views and queries, whole or by what is new."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from pydantic import Field, model_validator

from prefect_etl.connectors.base import ArrowRows, Rows
from prefect_etl.connectors.postgres.carrying import Carried, PgType, carried, selection
from prefect_etl.connectors.postgres.changes import (
    ChangesPlanner,
    ChangesProbe,
    assert_has_xmin,
    changed,
)
from prefect_etl.connectors.postgres.connection import PostgresConnection, translated
from prefect_etl.connectors.postgres.probing import PostgresProbe, cursor_sql, where
from prefect_etl.connectors.postgres.reading import arrow_stream
from prefect_etl.connectors.postgres.reflecting import Found, reflect
from prefect_etl.connectors.postgres.snapshot import SharedSnapshot
from prefect_etl.connectors.relational import (
    DatabaseDataset,
    Planner,
    digest_of,
    part,
    whole,
    within,
)
from prefect_etl.core.cursor import Window
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.manifest import Manifest
from prefect_etl.core.rows import STREAM
from prefect_etl.core.schema import Column, TableSchema
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.unit import Batch, Unit
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import SourceChangedError, SourceReadError

if TYPE_CHECKING:
    import psycopg

logger = logging.getLogger(__name__)
_XMIN = "xmin"


class PostgresDataset(DatabaseDataset):
    """A table, view or query of a PostgreSQL database.

    Example:
        >>> PostgresDataset(name="d", table="t", cursor="xmin", write="merge", key="id").xmin
        True
    """

    xmin: bool = Field(
        False,
        description="Read what changed since the last run by the transaction that wrote it, for "
        "tables without a cursor; cursor: xmin says the same.",
    )

    @model_validator(mode="before")
    @classmethod
    def _named_as_cursor(cls, given: Any) -> Any:
        """Take ``cursor: xmin``, which is no column of the table that is loaded."""
        cursor = given.get("cursor") if isinstance(given, dict) else None
        if cursor in (_XMIN, {"column": _XMIN}):
            return {**given, "cursor": None, "xmin": True}
        return given

    @model_validator(mode="after")
    def _xmin_fits(self) -> Self:
        if self.xmin and self.cursor is not None:
            raise ValueError("xmin takes the place of a cursor; give one of them")
        if self.xmin and not self.keyed:
            raise ValueError(
                "cursor: xmin finds rows that changed, so it needs write: merge or scd2, and a key"
            )
        return self

    @property
    def incremental(self) -> bool:
        """Whether a run reads only what is new."""
        return self.xmin or self.cursor is not None


class PostgresSource:
    """Reads one table, view or query.

    All parts of a plan that one process reads are of one snapshot.

    Args:
        connection: Where the database is.
        dataset: What to read of it.
        session: The engine that takes the rows.
    """

    def __init__(
        self, connection: PostgresConnection, dataset: PostgresDataset, session: Session
    ) -> None:
        self._connection = connection
        self._dataset = dataset
        self._session = session
        self._token = uuid4().hex[:8]
        self._snapshot: SharedSnapshot | None = None
        self._lock = Lock()
        planner = ChangesPlanner if dataset.xmin else Planner
        self._planner = planner(dataset, digest_of(*dataset.read, dataset.xmin))

    def units(self, state: LedgerState) -> list[Unit]:
        """What the ledger remembers, and the whole, the window or the changes since then.

        Raises:
            SourceReadError: The table, query or cursor is not there, or the cursor cannot be one.
            EtlError: The server does not answer, or refuses.
        """
        with self._probe() as probe:
            return self._planner.units(state, probe)

    def batches(self, units: Sequence[Unit], state: LedgerState) -> list[Batch]:
        """A batch a unit; its reading holds the bounds, which stay as they are now.

        Raises:
            EtlError: As :meth:`units`.
        """
        with self._probe() as probe:
            planned = self._planner.batches(units, state, probe)
        for note in (how.note for _, how in self._carried):
            if note is not None and not state.version:  # once, when the table is made
                logger.warning("%s: %s", self._dataset.name, note)
        self._share(planned)
        return planned

    def resume(self, held: Sequence[Manifest], state: LedgerState) -> list[Batch] | None:
        """The plan of a run that was killed, with the bounds that it had."""
        batches = self._planner.resume(held, state)
        if batches is not None:
            self._share([b for b in batches if not any(one.answers(b) for one in held)])
        return batches

    def window(self, window: Window, state: LedgerState) -> list[Batch]:
        """A window of a backfill.

        Raises:
            ConfigError: The dataset has no cursor, or the bounds do not fit its type.
        """
        del state
        with self._probe() as probe:
            return self._planner.window(window, probe)

    def schema(self, batch: Batch) -> TableSchema:
        """The columns that reading gives."""
        del batch
        return TableSchema(tuple(Column(name, how.type) for name, how in self._carried))

    @contextmanager
    def read(self, batch: Batch) -> Iterator[Rows]:
        """Open a batch for reading, in a transaction of its own.

        Raises:
            SourceChangedError: Other parts were read at a moment that is over.
            SourceReadError: A value has no equal in the engine; its column is named.
            EtlError: The server does not answer, refuses, or fails.
        """
        import duckdb

        if "keys" in batch.reading:
            with self._of_key().read(whole(batch)) as rows:
                yield rows
            return
        snapshot = self._snapshot_of(batch)
        sent, restored = selection(self._carried)
        conditions = where(self._dataset, self._within(batch), self._part(batch))
        sql = f"SELECT {sent} FROM {self._found.selected}{conditions}"
        try:
            with arrow_stream(
                self._connection,
                self._session,
                sql,
                what=self._dataset.name,
                snapshot=snapshot.name() if snapshot else None,
            ) as stream:
                select = f"SELECT {restored} FROM {STREAM}"
                yield ArrowRows(stream, select, ordered=self._dataset.query is not None)
        except duckdb.InterruptException:
            raise
        except (duckdb.ConversionException, duckdb.InvalidInputException) as error:
            raise self._not_carried(error) from error
        if snapshot is not None:
            snapshot.read(batch.reading.get("part", 0))

    def _of_key(self) -> PostgresSource:
        only = self._dataset.of_key(name for name, _ in self._found.columns)
        return PostgresSource(self._connection, only, self._session)

    @property
    def connection(self) -> PostgresConnection:
        """Where the database is."""
        return self._connection

    def statement(self, batch: Batch) -> tuple[str, list[tuple[str, PgType]]]:
        """The SELECT of a batch with the values as they are, and the types of its columns.

        Raises:
            EtlError: As :meth:`units`.
        """
        names = [name for name, _ in self._carried]
        conditions = where(self._dataset, self._within(batch), self._part(batch))
        selected = ", ".join(map(identifier, names))
        sql = f"SELECT {selected} FROM {self._found.selected}{conditions}"
        return sql, [(name, self._found.type_of(name)) for name in names]

    def close(self) -> None:
        """Let the snapshot go."""
        with self._lock:
            snapshot, self._snapshot = self._snapshot, None
        if snapshot is not None:
            snapshot.close()

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        connection = self._connection.connect()
        with translated(self._dataset.name), connection:
            connection.execute("SET default_transaction_read_only = on")
            yield connection

    @contextmanager
    def _probe(self) -> Iterator[PostgresProbe]:
        found = self._found
        with self._connected() as connection:
            probe = ChangesProbe if self._dataset.xmin else PostgresProbe
            yield probe(connection, self._dataset, found, self._token)

    @cached_property
    def _found(self) -> Found:
        with self._connected() as connection:
            found = reflect(connection, self._dataset)
        if self._dataset.xmin:
            assert_has_xmin(found, self._dataset.name)
        return found

    @cached_property
    def _carried(self) -> list[tuple[str, Carried]]:
        found = self._found
        pins = {name.lower(): kind for name, kind in self._dataset.types.items()}
        wanted = set(self._dataset.wanted_columns(name for name, _ in found.columns))
        return [
            (name, carried(name, type_, pins.get(name.lower()), found.money_scale))
            for name, type_ in found.columns
            if name in wanted
        ]

    def _within(self, batch: Batch) -> str:
        if "upper" not in batch.reading:
            return ""
        if self._dataset.xmin:
            return changed(batch.reading)
        column = self._dataset.cursor_in(name for name, _ in self._found.columns)
        return within(batch.reading, cursor_sql(self._found, column), literal)

    def _part(self, batch: Batch) -> str:
        key = batch.reading.get("key")
        if key is None:
            return ""
        if "snapshot" in batch.reading:
            return part(batch.reading, "ctid", lambda bound: f"{literal(bound)}::tid")
        return part(batch.reading, identifier(key), literal)

    def _share(self, batches: Sequence[Batch]) -> None:
        """Begin a snapshot with the first read of several batches."""
        parts = {batch.reading["part"] for batch in batches if "part" in batch.reading}
        self.close()
        if not parts:
            return
        table = self._found.selected if self._found.kind in "rpm" else None
        with self._lock:
            bound = any("snapshot" in batch.reading for batch in batches)
            self._snapshot = SharedSnapshot(self._connection, table, parts, bound=bound)

    def _snapshot_of(self, batch: Batch) -> SharedSnapshot | None:
        """The snapshot that a batch is to be read of; None: one of its own."""
        with self._lock:
            snapshot = self._snapshot
        there = snapshot is not None and not snapshot.ended and "part" in batch.reading
        token = batch.reading.get("snapshot")
        if token is not None and (token != self._token or not there):
            raise SourceChangedError(
                f"{self._dataset.name}: other parts of {self._dataset.described} were read at a "
                "moment that is over, and it has no key to divide it otherwise",
                hint="Run again; what was read is read anew.",
            )
        return snapshot if there else None

    def _not_carried(self, error: Exception) -> Exception:
        import duckdb

        said = str(error).strip().splitlines()[0].partition(": ")[2] or str(error)
        place = ""
        if isinstance(error, duckdb.ConversionException):  # the engine does not say where
            names = [name for name, how in self._carried if "CAST(" in (how.restored or "")]
            place = f", in {' or '.join(names)}" if names else ""
        return SourceReadError(
            f"{self._dataset.name}: {said}{place}",
            hint="Leave the column out with columns: {drop: …}, or cast it in a query:.",
        )
