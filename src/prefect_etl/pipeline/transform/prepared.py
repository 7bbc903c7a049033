"""A transformation that was looked at: what it is, what it reads, what decides its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prefect_etl.core.transformation import TransformationSpec
from prefect_etl.core.warehouse import TableRef


@dataclass(frozen=True, slots=True)
class Dependency:
    """A table that a transformation reads.

    Attributes:
        table: The table.
        label: How people know it: the name of the dataset or transformation that makes it, else
            the table's own.
        argument: The parameter of a Python function that named it; None in SQL.
    """

    table: TableRef
    label: str
    argument: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A transformation that is ready to be planned and built.

    Attributes:
        spec: What the user said of it.
        pipeline: The owner of its table.
        table: The table that it makes.
        label: The table's name for people.
        root: The folder that its files are relative to.
        sql: Its SQL; None for a Python function.
        fingerprint: What decides its result, each part by its name.
        reads: What it reads.
    """

    spec: TransformationSpec
    pipeline: str
    table: TableRef
    label: str
    root: Path
    sql: str | None
    fingerprint: Mapping[str, str]
    reads: tuple[Dependency, ...]

    @property
    def name(self) -> str:
        """The transformation's name."""
        return self.spec.name
