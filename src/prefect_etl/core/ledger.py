"""What a destination remembers of a table: version, units, cursor, schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Unit

# Two writes within this time may leave size and time equal; then only the digest tells.
RACY_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class KnownUnit:
    """The version of a unit that a table holds now.

    Attributes:
        unit_id: The number in ``_etl_unit_id``.
        unit: The unit as it was when it was read.
        seen_ns: When that was, nanoseconds since the epoch.
    """

    unit_id: int
    unit: Unit
    seen_ns: int

    def looks_same(self, size: int, modified_ns: int) -> bool:
        """Whether size and time alone show that the content is unchanged.

        A file that was written shortly before it was read could have been written again within
        the clock's grain; it is never trusted by time alone (as Git does for its index).
        """
        settled = self.seen_ns - modified_ns > RACY_NS
        return settled and (self.unit.size, self.unit.modified_ns) == (size, modified_ns)


@dataclass(frozen=True, slots=True)
class LedgerState:
    """What is known of one table, read in one snapshot.

    Attributes:
        version: Loads so far; 0 before the first. A load commits as ``version + 1``.
        lineage: Names the history that the versions count; a full refresh begins a new one.
        units: The unit that the table holds for each position.
        next_unit_id: The first number that no unit ever had.
        schema: The table's schema; None before the first load.
        cursor: The highest cursor that was loaded, as text; None where none was.
        fingerprint: Of the dataset's specification at the last load.
        missing: The ledger knows the table, and somebody dropped it.
        refresh: Somebody asked for the next load to begin from an empty table.
    """

    version: int = 0
    lineage: str | None = None
    units: Mapping[str, KnownUnit] = field(default_factory=dict)
    next_unit_id: int = 1
    schema: TableSchema | None = None
    cursor: str | None = None
    fingerprint: str | None = None
    missing: bool = False
    refresh: bool = False
