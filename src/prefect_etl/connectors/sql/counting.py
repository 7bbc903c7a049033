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
    known = load.counts(inserted)
    if load.counted is None:
        counts = {u.unit_id: replace(u.counts, inserted=u.good) for u in load.units}
    else:
        counts = {unit: replace(count, inserted=inserted) for unit, count in known.items()}
    expected = sum(count.inserted for count in counts.values())
    if inserted != expected or any(count.filtered < 0 for count in counts.values()):
        raise AccountingError(
            f"{load.dataset.name}: {expected} rows were to be inserted and {inserted} were",
            hint=_AGAIN,
        )
    return with_first(counts, load, "replaced", replaced)


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
        AccountingError: A row is of a unit that is not in the load.
    """
    counts = load.counts(written)
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
