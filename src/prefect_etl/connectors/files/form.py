"""How files of one format are read: the protocol that each format follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol, cast, runtime_checkable

from prefect_etl.connectors.files.config import Format
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.reading import Reading
from prefect_etl.core.inspection import Fact
from prefect_etl.core.rows import Rows
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Unit

_MODULES: Mapping[Format, str] = {
    "csv": "csv",
    "tsv": "csv",
    "json": "json",
    "jsonl": "json",
    "parquet": "parquet",
    "arrow": "arrow",
    "excel": "excel",
}


@dataclass(frozen=True, slots=True)
class Better:
    """How to read what could not be read as it was guessed.

    Attributes:
        types: Column: type, for all files of the load.
        options: Further options, for the files of the failed batch only.
    """

    types: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.types or self.options)


class Form(Protocol):
    """Files of one format."""

    def detect(self, place: Place, units: Sequence[Unit]) -> list[tuple[Reading, list[Unit]]]:
        """Group files that are read alike, and say how.

        Types are one for all groups: two files never disagree about a column within a run.

        Raises:
            SourceReadError: The files are empty, or their format is not what they say.
        """
        ...

    def settle(self, place: Place, reading: Reading, table: TableSchema | None) -> Reading:
        """Bend what was detected towards what the user says and towards the table there is."""
        ...

    def better(self, place: Place, reading: Reading, units: Sequence[Unit]) -> Better:
        """How to read files that could not be read so; false where nothing can help."""
        ...

    def rows(
        self, place: Place, reading: Reading, units: Sequence[Unit]
    ) -> AbstractContextManager[Rows]:
        """The rows of files of one batch, with the index of the file where there are several."""
        ...


@dataclass(frozen=True, slots=True)
class Explained:
    """What a form found out about a file, for people; see :class:`~prefect_etl.core.inspection`."""

    facts: tuple[Fact, ...] = ()
    notes: tuple[str, ...] = ()
    pins: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Explaining(Protocol):
    """A form that guesses, and can say what it guessed and how sure it is."""

    def explain(self, place: Place, unit: Unit) -> Explained:
        """What was found out about a file.

        Raises:
            SourceReadError: Nothing can be found out.
        """
        ...


@runtime_checkable
class Numbering(Protocol):
    """A form whose rows begin in lines that can be counted."""

    def lines(
        self, place: Place, reading: Reading, unit: Unit, rows: Sequence[int]
    ) -> Sequence[int | None]:
        """The first lines of some rows of a file, whose places are counted from 1."""
        ...


def form_of(kind: Format) -> Form:
    """The form of a format; what it needs is imported with it."""
    return cast(Form, import_module(f"prefect_etl.connectors.files.{_MODULES[kind]}").FORM)
