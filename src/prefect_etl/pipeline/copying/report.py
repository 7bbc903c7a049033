"""What a copy did, or would do."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from prefect_etl.core.accounting import Accounting
from prefect_etl.core.schema import TableSchema


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What became of one copy.

    Attributes:
        source: What was read.
        table: Where it went: a table, a file or ``-``.
        mode: How it was written.
        status: ``copied``; ``unchanged`` where there was nothing new; ``failed``.
        counts: Where each row went.
        seconds: How long it took.
        version: The version of the table in its ledger; None where there is no ledger.
        notes: What a person should know.
        error: What went wrong, and what to do next.

    Example:
        >>> CopyReport("o.csv", "main.o", "append", counts=Accounting(read=2, inserted=2)).line()
        '2 rows, 0.0 s, o.csv -> main.o (append)'
    """

    source: str
    table: str
    mode: str
    status: str = "copied"
    counts: Accounting = field(default_factory=Accounting)
    seconds: float = 0.0
    version: int | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None
    hint: str | None = None

    def line(self) -> str:
        """The copy in one line."""
        rows = f"{self.counts.read:,} {'row' if self.counts.read == 1 else 'rows'}"
        what = f"{self.source} -> {self.table} ({self.mode})"
        if self.status == "unchanged":
            return f"nothing new, {self.seconds:.1f} s, {what}"
        said = [
            f"{getattr(self.counts, name):,} {name}"
            for name in ("filtered", "updated", "unchanged", "deleted", "superseded", "missing")
            if getattr(self.counts, name)
        ]
        return f"{', '.join([rows, *said])}, {self.seconds:.1f} s, {what}"

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """What a copy would do.

    Attributes:
        source: What would be read.
        table: Where it would go.
        mode: How it would be written.
        units: What would be read, in words; nothing where nothing is new.
        columns: The table's columns after the copy.
        changes: How they would differ from those of now; None where there is no such table.
    """

    source: str
    table: str
    mode: str
    units: tuple[str, ...]
    columns: TableSchema
    changes: tuple[str, ...] | None

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "columns": self.columns.pairs()}
