"""Table schemas and how they may change: columns are added, numbers widened, all else is refused.

Types are spelled as DuckDB spells them (``BIGINT``, ``DECIMAL(12,2)``, ``VARCHAR``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from prefect_etl.errors import SchemaError

EvolutionPolicy = Literal["evolve", "freeze"]

_INTEGERS = {
    "TINYINT": (True, 8),
    "SMALLINT": (True, 16),
    "INTEGER": (True, 32),
    "BIGINT": (True, 64),
    "HUGEINT": (True, 128),
    "UTINYINT": (False, 8),
    "USMALLINT": (False, 16),
    "UINTEGER": (False, 32),
    "UBIGINT": (False, 64),
    "UHUGEINT": (False, 128),
}
_INTEGER_DIGITS = {8: 3, 16: 5, 32: 10, 64: 19, 128: 39}
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
_MAX_PRECISION = 38
# The type of a column that has held nothing but nulls: it fits everything.
UNKNOWN = "NULL"


@dataclass(frozen=True, slots=True)
class Column:
    """A named column and its DuckDB type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class TableSchema:
    """An ordered list of columns whose names differ in more than case.

    Raises:
        SchemaError: Two columns have the same name but for case.

    Example:
        >>> TableSchema.of(id="BIGINT", name="VARCHAR")["id"].type
        'BIGINT'
    """

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        seen: dict[str, str] = {}
        for column in self.columns:
            other = seen.setdefault(column.name.lower(), column.name)
            if other is not column.name:
                raise SchemaError(
                    f"columns {other!r} and {column.name!r} differ only in case",
                    hint="Rename or drop one with columns: {rename: …} or {drop: …}.",
                )

    @classmethod
    def of(cls, **types: str) -> TableSchema:
        """Build a schema from keyword arguments."""
        return cls(tuple(Column(name, kind) for name, kind in types.items()))

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[str, str]]) -> TableSchema:
        """Build a schema from (name, type) pairs."""
        return cls(tuple(Column(name, kind) for name, kind in pairs))

    def pairs(self) -> list[tuple[str, str]]:
        """The columns as (name, type) pairs, as JSON keeps them."""
        return [(column.name, column.type) for column in self.columns]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names in order."""
        return tuple(column.name for column in self.columns)

    def find(self, name: str) -> Column | None:
        """The column of this name, ignoring case."""
        wanted = name.lower()
        return next((column for column in self if column.name.lower() == wanted), None)

    def __getitem__(self, name: str) -> Column:
        column = self.find(name)
        if column is None:
            raise KeyError(name)
        return column

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)


@dataclass(frozen=True, slots=True)
class Evolution:
    """What a load changes in a table's schema.

    Attributes:
        schema: The schema after the load.
        added: New columns.
        widened: (name, old type, new type).
    """

    schema: TableSchema
    added: tuple[Column, ...] = ()
    widened: tuple[tuple[str, str, str], ...] = ()

    @property
    def changed(self) -> bool:
        """Whether the table has to be altered."""
        return bool(self.added or self.widened)

    def describe(self) -> list[str]:
        """The changes in words, one a line.

        Example:
            >>> evolve(TableSchema.of(a="INTEGER"), TableSchema.of(a="BIGINT")).describe()
            ['column a widened from INTEGER to BIGINT']
        """
        return [f"column {column.name} {column.type} added" for column in self.added] + [
            f"column {name} widened from {old} to {new}" for name, old, new in self.widened
        ]


def widen(old: str, new: str) -> str | None:
    """The narrowest type that holds both number types exactly, or None.

    BIGINT and DOUBLE give DOUBLE: whether the values themselves survive is checked when the table
    is altered.

    Example:
        >>> widen("INTEGER", "BIGINT"), widen("BIGINT", "DOUBLE"), widen("BIGINT", "VARCHAR")
        ('BIGINT', 'DOUBLE', None)
        >>> widen("DECIMAL(4,2)", "INTEGER")
        'DECIMAL(12,2)'
    """
    if new in (old, UNKNOWN):
        return old
    if old == UNKNOWN:
        return new
    if old in _INTEGERS and new in _INTEGERS:
        return _widen_integers(old, new)
    floats = {"FLOAT", "DOUBLE"}
    if {old, new} <= floats:
        return "DOUBLE"
    old_digits, new_digits = _decimal_digits(old), _decimal_digits(new)
    if old_digits and new_digits:
        scale = max(old_digits[1], new_digits[1])
        precision = max(old_digits[0] - old_digits[1], new_digits[0] - new_digits[1]) + scale
        return f"DECIMAL({precision},{scale})" if precision <= _MAX_PRECISION else None
    if (old in floats and new_digits) or (new in floats and old_digits):
        return "DOUBLE"
    return None


def _widen_integers(old: str, new: str) -> str | None:
    signed = _INTEGERS[old][0] or _INTEGERS[new][0]

    def bits(kind: str) -> int:
        is_signed, width = _INTEGERS[kind]
        return width + 1 if signed and not is_signed else width

    needed = max(bits(old), bits(new))
    fitting = [(w, k) for k, (s, w) in _INTEGERS.items() if s == signed and w >= needed]
    return min(fitting)[1] if fitting else None


def _decimal_digits(kind: str) -> tuple[int, int] | None:
    if match := _DECIMAL.fullmatch(kind):
        return int(match[1]), int(match[2])
    if kind in _INTEGERS:
        return _INTEGER_DIGITS[_INTEGERS[kind][1]], 0
    return None


def evolve(
    table: TableSchema | None,
    incoming: TableSchema,
    policy: EvolutionPolicy = "evolve",
    *,
    dataset: str = "the dataset",
) -> Evolution:
    """Decide the schema of a table after a load.

    Args:
        table: The table's schema now; None before the first load.
        incoming: The schema of the rows to load, pins and renames applied.
        policy: ``evolve`` adds columns and widens numbers; ``freeze`` refuses both.
        dataset: Named in errors.

    Raises:
        SchemaError: A change that is not allowed; all of them are listed.

    Example:
        >>> evolve(TableSchema.of(a="BIGINT"), TableSchema.of(a="BIGINT", b="DATE")).added
        (Column(name='b', type='DATE'),)
    """
    if table is None:
        known = [(c.name, "VARCHAR" if c.type == UNKNOWN else c.type) for c in incoming]
        return Evolution(TableSchema.from_pairs(known))
    columns, widened, refused = list(table.columns), [], []
    added: list[Column] = []
    for column in incoming:
        present = table.find(column.name)
        if present is None:
            kind = "VARCHAR" if column.type == UNKNOWN else column.type
            added.append(Column(column.name, kind))
            continue
        kind = widen(present.type, column.type) or ""
        if not kind:
            refused.append(f"column {present.name} is {present.type} and would be {column.type}")
        elif kind != present.type:
            widened.append((present.name, present.type, kind))
            columns[columns.index(present)] = Column(present.name, kind)
    if policy == "freeze":
        refused += [f"column {column.name} {column.type} is new" for column in added]
        refused += [f"column {name} is {old} and would be {new}" for name, old, new in widened]
    if refused:
        frozen = " (schema is frozen)" if policy == "freeze" else ""
        raise SchemaError(
            f"{dataset}: the schema changed{frozen}: " + "; ".join(refused),
            hint="Pin a type with types: {column: type}, drop the column with columns: "
            "{drop: [column]}, or load anew with --full-refresh.",
        )
    return Evolution(TableSchema((*columns, *added)), tuple(added), tuple(widened))
