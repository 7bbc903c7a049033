"""How the conformance suites get at a system: rows in, rows out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, ClassVar

from prefect_etl.connectors.base import Connector, Destination, Source
from prefect_etl.connectors.registry import connector_for
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.rows import RESERVED_PREFIX
from prefect_etl.engine.duckdb import Session

Row = Mapping[str, Any]

# What sources are given: text that is easily mangled, nulls, the ends of a number's range.
SAMPLE: tuple[Row, ...] = (
    {"id": 1, "name": "plain", "amount": 1.5, "day": date(2024, 2, 29)},
    {"id": 2, "name": 'a "quoted", text; with\nlines', "amount": None, "day": date(1969, 12, 31)},
    {"id": -(2**62), "name": "Ærøskøbing 北京 🙂", "amount": -0.25, "day": None},
    {"id": 2**62, "name": None, "amount": 1e300, "day": date(9999, 12, 31)},
)


class Exercise:
    """Says how one connector's system is filled and looked at; subclass it for your own.

    A source needs :meth:`uri`, :meth:`put` and :meth:`fields`; a destination :meth:`uri` and
    :meth:`rows`, and :meth:`execute` if it speaks SQL.

    Attributes:
        scheme: Of the connector's URIs.
        fixture: The pytest fixture that gives the server it needs; None where it needs none.
        has_schemas: Whether tables may be in a schema that a dataset names.
    """

    scheme: ClassVar[str]
    fixture: ClassVar[str | None] = None
    has_schemas: ClassVar[bool] = True

    def begin(self, server: Any) -> None:
        """A test begins; ``server`` is what the fixture gave."""

    def end(self) -> None:
        """A test is over."""

    @property
    def name(self) -> str:
        """Names the tests."""
        return type(self).__name__

    def uri(self, folder: Path) -> str:
        """The URI of a system that belongs to this folder alone and is empty at first."""
        raise NotImplementedError("abstract: each exercise says it")

    def put(self, folder: Path, rows: Sequence[Row]) -> None:
        """Make the source hold these rows, in this order, and no others."""
        raise NotImplementedError("abstract: each exercise says it")

    def fields(self) -> dict[str, Any]:
        """The fields of a dataset that reads them, but its name."""
        return {}

    def rows(self, folder: Path, schema: str, table: str) -> list[dict[str, Any]]:
        """The rows of a loaded table, without columns whose names begin with ``_etl_``."""
        raise NotImplementedError("abstract: each exercise says it")

    def execute(self, folder: Path, sql: str) -> None:
        """Run a statement as somebody else would: a person, another program."""
        raise NotImplementedError("abstract: each exercise of a database says it")

    @property
    def speaks_sql(self) -> bool:
        """Whether others can use the system by SQL."""
        return type(self).execute is not Exercise.execute

    @property
    def connector(self) -> Connector:
        """The connector that answers the scheme."""
        return connector_for(f"{self.scheme}:")

    def source(self, folder: Path, session: Session, **fields: Any) -> Source:
        """A source that reads what was put."""
        connector = self.connector
        if connector.source is None or connector.dataset is None:
            raise AssertionError(f"{connector.name} is no source")
        config = connector.connection.from_uri(self.uri(folder), folder)
        dataset = connector.dataset.model_validate({"name": "d", **self.fields(), **fields})
        return connector.source(config, dataset, session)

    def destination(self, folder: Path, session: Session) -> Destination:
        """A destination, as another process would open it."""
        connector = self.connector
        if connector.destination is None:
            raise AssertionError(f"{connector.name} is no destination")
        config = connector.connection.from_uri(self.uri(folder), folder)
        return connector.destination(config, session)

    def schema_of(self, folder: Path, dataset: DatasetSpec) -> str:
        """The schema that a dataset's table is in."""
        config = self.connector.connection.from_uri(self.uri(folder), folder)
        return dataset.schema_ or config.default_schema


@contextmanager
def small_session() -> Iterator[Session]:
    """An engine that is enough for a test."""
    session = Session(memory_limit="256MB", threads=1, wait=5)
    try:
        yield session
    finally:
        session.close()


@contextmanager
def raises(kind: type[Exception]) -> Iterator[None]:
    """Assert that a block raises; here, so that this package does not need pytest."""
    try:
        yield
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was not raised")


def arrow_table(rows: Sequence[Row]) -> Any:
    """Rows as a table of Arrow."""
    import pyarrow as pa

    return pa.Table.from_pylist([dict(row) for row in rows])


def without_ledger(row: dict[str, Any]) -> dict[str, Any]:
    """A row without the columns that we add for ourselves."""
    return {name: value for name, value in row.items() if not name.startswith(RESERVED_PREFIX)}


def multiset(rows: Sequence[Row]) -> list[str]:
    """Rows in an order that does not depend on how they came, to be compared."""
    return sorted(
        repr(sorted((name, _plain(value)) for name, value in row.items())) for row in rows
    )


def _plain(value: Any) -> Any:
    """A time with a zone as the same time in UTC; anything else as it is."""
    zoned = isinstance(value, datetime) and value.tzinfo is not None
    return value.astimezone(UTC) if zoned else value
