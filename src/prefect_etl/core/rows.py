"""The two forms in which a source gives rows; neither is a frame in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from prefect_etl.core.aside import Aside

# In a batch of several units: the column that holds each row's unit, as its index in the batch.
UNIT_INDEX = "_etl_unit"
# Of every prepared row: the number of its unit, and its place in the raw file, from 1.
UNIT_ID = "_etl_unit_id"
ROW_NUMBER = "_etl_row"
# Of a row that is merged: whether ``deleted_when`` holds. Of an scd2 table: a hash of the tracked
# columns, and the time for which they held (``valid_to`` is null of the version that holds now).
DELETED = "_etl_deleted"
ROW_HASH = "_etl_hash"
VALID_FROM, VALID_TO = "valid_from", "valid_to"
# Rows that come without a raw zone, as SQL names them.
STREAM = "_etl_stream"
RESERVED_PREFIX = "_etl_"


class Engine(Protocol):
    """An engine beside the session's: it runs in a process of its own."""

    def query(self, sql: str, frugal: str | None = None) -> list[tuple[Any, ...]]:
        """Run one statement and give all its rows.

        Args:
            sql: The statement.
            frugal: What to run instead, with one thread, where memory is not enough for it; the
                same, where that is known before.
        """
        ...


@dataclass(frozen=True, slots=True)
class Relation:
    """Rows that the engine reads itself: a DuckDB SELECT and its parameters.

    Where the batch has several units, it has a column ``_etl_unit``: the unit's index in the batch.

    Attributes:
        sql: The SELECT.
        parameters: Its parameters.
        whole_units: Each unit is so small that one thread reads it from end to end. Units may then
            be written in any order, which is five times as fast; rows keep theirs within a unit.
        ordered: Whether the order of the rows of a unit says anything.
        aside: Tells, once all rows were read, what was not among them; None where all was read.
        engine: What runs the SELECT, which has no parameters then: the session itself must not, as
            what is read may be crafted. None: the session.
        untyped: Columns of nothing but nulls, where the source says so.
    """

    sql: str
    parameters: Sequence[Any] | Mapping[str, Any] = ()
    whole_units: bool = False
    ordered: bool = True
    aside: Callable[[], Aside] | None = None
    engine: Engine | None = None
    untyped: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ArrowRows:
    """Rows as a stream of Arrow record batches.

    Attributes:
        stream: Anything with ``__arrow_c_stream__``.
        select: A SELECT over the stream, as the table ``_etl_stream``, that gives the rows with
            their own types: of values that Arrow, or a driver, carries as text only.
        ordered: Whether the order of rows says anything. Where it does not, as in a table of a
            database, they may be written in another one, in less memory.
        aside: As of a :class:`Relation`.
    """

    stream: Any
    select: str = f"SELECT * FROM {STREAM}"
    ordered: bool = True
    aside: Callable[[], Aside] | None = None


Rows = Relation | ArrowRows
