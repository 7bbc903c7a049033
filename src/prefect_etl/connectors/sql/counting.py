"""Where the rows of a load went, by unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from prefect_etl.core.accounting import Accounting
from prefect_etl.core.load import Load
from prefect_etl.errors import AccountingError

_AGAIN = (
    "Nothing was published. A file of the raw zone may be damaged: use --full-refresh to read the "
    "source again."
)


def inserted_all(load: Load, inserted: int, replaced: int) -> dict[int, Accounting]:
    """The counts of a load whose rows were all inserted.

    Args:
        load: What was loaded.
        inserted: Rows that came.
        replaced: Rows that were taken out of the table first; counted with the first unit.

    Raises:
        AccountingError: Other rows came than were to.
    """
    counts = _known(load, inserted)
    if load.counted is not None:
        counts = with_first(counts, load, "inserted", inserted)
    else:
        counts = {u.unit_id: replace(counts[u.unit_id], inserted=u.good) for u in load.units}
    expected = sum(count.inserted for count in counts.values())
    if inserted != expected:
        raise AccountingError(
            f"{load.dataset.name}: {expected} rows were to be inserted and {inserted} were",
            hint=_AGAIN,
        )
    return with_first(counts, load, "replaced", replaced)


def _known(load: Load, written: int) -> dict[int, Accounting]:
    counts = load.counts(written)
    if any(count.filtered < 0 for count in counts.values()):
        read = sum(count.read for count in counts.values())
        raise AccountingError(
            f"{load.dataset.name}: the source gave {read} rows, and {written} came"
        )
    return counts


def merged(
    load: Load,
    written: int,
    superseded: Mapping[int, int],
    actions: Iterable[tuple[int, str, int]],
    missing: int = 0,
) -> dict[int, Accounting]:
    """The counts of a load that was merged.

    Args:
        load: What was loaded.
        written: Rows that the load had.
        superseded: Those that lost against others of the load, by unit.
        actions: (unit, what happened as a field of :class:`Accounting`, rows).
        missing: Rows of the table whose keys the source does not have; counted with the first unit.

    Raises:
        AccountingError: A row is of a unit that is not in the load, or more came than were read.
    """
    counts = _known(load, written)
    lost = ((unit, "superseded", rows) for unit, rows in superseded.items())
    for unit, action, rows in (*lost, *actions):
        if unit not in counts:
            raise AccountingError(
                f"{load.dataset.name}: {rows} rows are of unit {unit}, which is not in the load"
            )
        count = counts[unit]
        counts[unit] = replace(count, **{action: getattr(count, action) + rows})
    return with_first(counts, load, "missing", missing)


def with_first(
    counts: dict[int, Accounting], load: Load, name: str, rows: int
) -> dict[int, Accounting]:
    """Count rows of the table with the first unit, because no unit of the load has them."""
    if not (load.units and rows):
        return counts
    first = load.units[0].unit_id
    return counts | {first: replace(counts[first], **{name: rows})}
