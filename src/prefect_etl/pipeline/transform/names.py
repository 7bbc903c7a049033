"""The tables of a pipeline by the names that people use for them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.core.transformation import TransformationSpec
from prefect_etl.core.warehouse import TableRef
from prefect_etl.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Names:
    """Which dataset or transformation makes which table.

    Example:
        >>> names = Names.of([DatasetSpec(name="order-lines", schema="raw")], "main")
        >>> str(names.table("order_lines")), names.label(TableRef("raw", "order-lines"))
        ('raw.order-lines', 'order-lines')
    """

    parts: dict[TableRef, str]
    default_schema: str

    @classmethod
    def of(cls, parts: Iterable[DatasetSpec | TransformationSpec], default_schema: str) -> Self:
        """The names of datasets and transformations."""
        tables = {TableRef(p.schema_ or default_schema, p.table): p.name for p in parts}
        return cls(tables, default_schema)

    def label(self, table: TableRef) -> str:
        """A table by the name of the part that makes it, or its own."""
        return self.parts.get(table) or self.own(table)

    def own(self, table: TableRef) -> str:
        """A table by its own name, with its schema if that is another than usual."""
        return table.name if table.schema == self.default_schema else str(table)

    def table(self, name: str) -> TableRef | None:
        """The table that a parameter of a Python function means; None if it means none.

        It means a dataset, a transformation or a table by name; case, and characters that cannot be
        in a parameter's name, do not matter.

        Raises:
            ConfigError: It may mean two tables.
        """
        wanted = _plain(name)
        exact = [table for table, part in self.parts.items() if _plain(part) == wanted]
        found = exact or [table for table in self.parts if _plain(table.name) == wanted]
        if len(found) > 1:
            meant = " or ".join(str(table) for table in found)
            raise ConfigError(
                f"parameter {name} may mean {meant}",
                hint="Give one of their datasets or transformations another name.",
            )
        return found[0] if found else None

    def nearest(self, name: str, others: Iterable[str] = ()) -> str:
        """A clause that names what a wrong name may have meant."""
        known = [*self.parts.values(), *(table.name for table in self.parts), *others]
        return did_you_mean(name, known)


def _plain(name: str) -> str:
    return re.sub(r"\W", "_", name).casefold()
