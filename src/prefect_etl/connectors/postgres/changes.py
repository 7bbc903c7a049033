"""What changed in a table without a cursor: ``xmin``, the transaction that wrote a row's version.

A run reads the rows whose transaction lies above the last run's bound, and not above its own: the
oldest transaction that still runs, less one. All up to there are finished, whatever order they
began and ended in; the highest number *seen* would miss those that commit late.

Rows hold 32 bits of the number, which come again after four thousand million transactions. Within
half of that ``age`` tells them apart; a row of an earlier round is read once more than needed,
never once less. Where more transactions have passed since the last run, everything is read
(https://www.postgresql.org/docs/current/routine-vacuuming.html#VACUUM-FOR-WRAPAROUND).

Rows that were deleted are not seen but with ``missing: delete``, which reads all keys, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.postgres.probing import PostgresProbe
from prefect_etl.connectors.postgres.reflecting import Found
from prefect_etl.connectors.relational import Planner, Probe, divided, ranged
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.unit import Batch
from prefect_etl.errors import ConfigError, SourceReadError

if TYPE_CHECKING:
    import psycopg

# Half of the numbers, less what may begin between planning and reading.
_HALF = 2**31 - 2**24
# Numbers that are given to no transaction.
_FIRST_NORMAL = 3


def assert_has_xmin(found: Found, dataset: str) -> None:
    """Make sure that what is read has rows of its own.

    Raises:
        ConfigError: It is a view, a query, or a table of another server.
    """
    if found.kind not in "rpm":
        raise ConfigError(
            f"{dataset}: cursor: xmin needs a table, and {found.selected} is none",
            hint="Name a column of it that grows, or leave cursor out.",
        )


def finished(connection: psycopg.Connection[Any]) -> int:
    """The last transaction before which all are finished, with its epoch: 64 bits."""
    row = connection.execute("SELECT txid_snapshot_xmin(txid_current_snapshot()) - 1").fetchone()
    return int(row[0]) if row else 0


def changed(reading: Mapping[str, Any]) -> str:
    """The condition for the window of a reading.

    ``age`` counts back from one moment of the reading transaction, so both bounds are of one scale.

    Example:
        >>> changed({"lower": "100", "upper": "200"})
        "age(xmin) BETWEEN age('200'::xid) AND age('100'::xid)"
        >>> changed({"lower": "100", "upper": "4294967400"})
        "age(xmin) BETWEEN age('104'::xid) AND age('100'::xid)"
        >>> changed({"lower": None, "upper": "200"})
        ''
    """
    if reading.get("lower") is None:  # what is read again with the next window does no harm
        return ""
    upper, lower = (f"age('{_short(reading[name])}'::xid)" for name in ("upper", "lower"))
    return f"age(xmin) BETWEEN {upper} AND {lower}"


def _short(bound: str) -> int:
    return max(int(bound) % 2**32, _FIRST_NORMAL)


class ChangesPlanner(Planner):
    """Plans windows of transactions; the ledger keeps the last one as the cursor."""

    def plan(self, state: LedgerState, probe: Probe) -> list[Batch]:
        """Everything at first, then what changed."""
        if not isinstance(probe, ChangesProbe):
            raise TypeError(probe)
        last = int(state.cursor) if state.cursor is not None else None
        upper = probe.finished
        if last is not None and last > upper:
            raise SourceReadError(
                f"{self.dataset.name}: cursor: xmin went backwards: transaction {last} was loaded, "
                f"and the database is at {upper} now",
                hint="If it was restored or moved to another server, load it anew with "
                f"--full-refresh --only {self.dataset.name}.",
            )
        reading: dict[str, Any] = {"of": self.of, "lower": None, "upper": str(upper)}
        if last is None or upper - last >= _HALF:
            name = "start" if last is None else "all, after too many transactions"
            reading |= ranged(probe.ranges(self.dataset.chunk_rows))
            return divided(reading, name, str(state.version))
        reading["lower"] = str(last + 1)
        if last == upper or not probe.any(changed(reading)):
            if not self.dataset.reconciles:
                return []
            reading["idle"] = True
        return divided(reading, f"from transaction {last + 1}", str(state.version))


class ChangesProbe(PostgresProbe):
    """Answers what planning asks of a table without a cursor."""

    @property
    def finished(self) -> int:
        """The last transaction before which all are finished."""
        return finished(self._connection)
