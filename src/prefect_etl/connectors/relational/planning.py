"""Plans what is read of a table or query: everything, or a window of its cursor, in parts.

The system is asked through a :class:`Probe`; what follows from its answers is decided here, alike
for all.

A window has a fixed upper bound: the highest value at the time of planning. It is closed at its
lower bound, the highest value that was loaded less the lag: rows may share that value and come
later. Where nothing is higher than what was loaded, ``merge`` and ``scd2`` count the rows from the
lower bound on, and read them again if there are more or fewer than last time; the ledger remembers
the number with the unit ``cursor window``. ``append`` remembers no unit, so there such rows wait
for the next higher value, unless a lag says that rows come late.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from prefect_etl.connectors.relational.dataset import DatabaseDataset
from prefect_etl.connectors.relational.probe import Probe, Ranges
from prefect_etl.core.backfill import position
from prefect_etl.core.cursor import Window
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.manifest import Manifest
from prefect_etl.core.unit import Batch, Unit
from prefect_etl.errors import ConfigError, DataError, SourceReadError

logger = logging.getLogger(__name__)
# The unit of all keys.
ALL_KEYS = "all keys"
# The one unit of a window that merge and scd2 remember, to know late rows by their number.
REMEMBERED = "cursor window"


class Planner:
    """Plans the batches of one dataset, and remembers the plan until its batches are asked for.

    Args:
        dataset: What the user said.
        of: A digest of what is read (:func:`~.reading.digest_of`).
    """

    def __init__(self, dataset: DatabaseDataset, of: str) -> None:
        self.dataset = dataset
        self.of = of
        self._lag = dataset.cursor.late if dataset.cursor else None
        self._planned: tuple[Batch, ...] = ()

    def units(self, state: LedgerState, probe: Probe) -> list[Unit]:
        """What the ledger remembers, and what is new; nothing where nothing is.

        Raises:
            SourceReadError: The cursor is not there, cannot be one, or went backwards.
            ConfigError: The cursor was given or taken away after an append began.
        """
        self._assert_read_alike(state)
        self._planned = tuple(self._all(state, probe))
        new = [unit for batch in self._planned for unit in batch.units]
        again = {unit.position for unit in new}
        return [k.unit for p, k in state.units.items() if self._stays(k.unit, again)] + new

    def _assert_read_alike(self, state: LedgerState) -> None:
        """Make sure that an append does not read in another way what it has already."""
        whole = self.dataset.described in state.units
        windows = state.version > 0 and state.cursor is not None and not whole
        if self.dataset.write == "append" and (whole if self.dataset.incremental else windows):
            raise ConfigError(
                f"{self.dataset.name}: it was loaded {'without' if whole else 'with'} cursor: "
                f"before, and {'with' if whole else 'without'} it its rows would come twice",
                hint=f"Load it anew: prefect-etl run --full-refresh --only {self.dataset.name}",
            )

    def _stays(self, unit: Unit, again: set[str]) -> bool:
        """Whether a unit that the ledger remembers is there still: windows that were backfilled."""
        return self.dataset.incremental and unit.position not in again

    def batches(self, units: Sequence[Unit], state: LedgerState, probe: Probe) -> list[Batch]:
        """How to read units that :meth:`units` gave."""
        wanted = {unit.identity for unit in units}
        planned = {batch.units[0].identity for batch in self._planned}
        if not wanted <= planned:
            self._planned = tuple(self._all(state, probe))
        return [batch for batch in self._planned if batch.units[0].identity in wanted]

    def _all(self, state: LedgerState, probe: Probe) -> list[Batch]:
        """What is to be read, and all keys after it where others are to be deleted."""
        planned = self.plan(state, probe)
        if not self.dataset.reconciles or state.schema is None or state.version == 0:
            return planned
        unit = Unit(ALL_KEYS, str(state.version), transient=True)
        moment = datetime.now(UTC).isoformat()
        return [*planned, Batch((unit,), {"of": self.of, "keys": moment})]

    def plan(self, state: LedgerState, probe: Probe) -> list[Batch]:
        """What is to be read, in parts; nothing where nothing is new and nothing can be gone."""
        if self.dataset.cursor is None:
            return self._whole(state, probe)
        _ = probe.cursor  # refused before anything is read
        highest = probe.highest()
        if state.schema is None or state.version == 0:  # an adopted table has columns before
            return self._first(state, probe, highest)
        if highest is not None:
            return self._next(state, probe, highest)
        if not self.dataset.reconciles:
            return []
        reading = {"of": self.of, "lower": None, "upper": None, "nulls": False}
        return divided(reading, "no rows", str(state.version))

    def _whole(self, state: LedgerState, probe: Probe) -> list[Batch]:
        reading = {"of": self.of, "whole": True}
        version = str(state.version)
        if self.dataset.write == "append":  # replaced as a changed file is, so it is one unit
            return [Batch((Unit(self.dataset.described, version),), reading)]
        return divided(reading | ranged(probe.ranges(self.dataset.chunk_rows)), "all", version)

    def _first(self, state: LedgerState, probe: Probe, highest: str | None) -> list[Batch]:
        reading = {"of": self.of, "lower": None, "upper": highest, "nulls": True}
        reading |= ranged(probe.ranges(self.dataset.chunk_rows))
        return self._remembered(divided(reading, "start", str(state.version)), probe, highest)

    def _next(self, state: LedgerState, probe: Probe, highest: str) -> list[Batch]:
        lower, upper, idle = self._lower(state.cursor, probe), highest, False
        if state.cursor is not None:
            if probe.is_higher(state.cursor, highest):
                if lower is not None and not probe.is_higher(lower, highest):
                    upper = state.cursor  # the highest rows are gone, and a lag reaches so far
                elif self.dataset.reconciles:
                    return self._anew(state, probe, highest)
                else:
                    raise self._backwards(state.cursor, highest)
            idle = not probe.is_higher(upper, state.cursor) and self._idle(state, upper, probe)
        if idle and not self.dataset.reconciles:
            return []
        reading = {"of": self.of, "lower": lower, "upper": upper, "nulls": False}
        reading |= {"idle": True} if idle else {}
        name = "start" if lower is None else f"from {lower}"
        return self._remembered(divided(reading, name, str(state.version)), probe, upper)

    def _lower(self, bound: str | None, probe: Probe) -> str | None:
        lag = self._lag
        return bound if bound is None or lag is None else probe.earlier(bound, lag)

    def _anew(self, state: LedgerState, probe: Probe, highest: str) -> list[Batch]:
        """Everything, where the highest rows are gone: others may have come below them."""
        logger.warning(
            "%s: cursor: the highest value was %s and is %s now; all rows are read again",
            self.dataset.name,
            state.cursor,
            highest,
        )
        return self._first(state, probe, highest)

    def _backwards(self, known: str, highest: str) -> SourceReadError:
        return SourceReadError(
            f"{self.dataset.name}: cursor: {self.dataset.cursor_column} went backwards: "
            f"{known} was loaded, and the highest value is {highest} now",
            hint="If the source was restored or its newest rows were deleted, load it anew with "
            f"--full-refresh --only {self.dataset.name}.",
        )

    def _idle(self, state: LedgerState, upper: str, probe: Probe) -> bool:
        """Whether nothing came since the last load, where its upper bound is the highest still."""
        if not self.dataset.keyed:
            return self._lag is None
        known = state.units.get(REMEMBERED)
        return known is not None and known.unit.version.endswith(self._counted(upper, probe))

    def _counted(self, upper: str, probe: Probe) -> str:
        """How many rows the next window would have, were there no new ones."""
        return f": {probe.count(self._lower(upper, probe) or upper, upper)} to {upper}"

    def _remembered(self, batches: list[Batch], probe: Probe, upper: str | None) -> list[Batch]:
        if not self.dataset.keyed or upper is None:
            return batches
        *others, last = batches
        version = last.units[0].version + self._counted(upper, probe)
        reading = {**last.reading, "remembered": version}
        return [
            *(Batch(batch.units, {**batch.reading, "remembered": version}) for batch in others),
            Batch((Unit(REMEMBERED, version),), reading),
        ]

    def resume(self, held: Sequence[Manifest], state: LedgerState) -> list[Batch] | None:
        """All batches of a plan that some in the raw zone belong to; None: make a new one.

        Of several plans it is the one of which most is there, then the latest.
        """
        plans: dict[str, list[Manifest]] = {}
        for manifest in held:
            reading = manifest.reading
            if reading.get("of") == self.of and "plan" in reading and not reading.get("open"):
                plans.setdefault(repr(_plan_of(reading)), []).append(manifest)
        if not plans:
            return None
        best = max(plans.values(), key=lambda found: (len(found), found[-1].created_ns))
        reading = dict(best[-1].reading)
        batches = divided(reading, reading["plan"], str(state.version))
        if version := reading.get("remembered"):
            batches[-1] = Batch((Unit(REMEMBERED, version),), batches[-1].reading)
        return batches if _fits(batches, best) else None

    def window(self, window: Window, probe: Probe) -> list[Batch]:
        """One batch: a window of a backfill, which the ledger remembers.

        Raises:
            ConfigError: The dataset has no cursor, or the bounds do not fit its type.
        """
        if self.dataset.cursor is None:
            raise ConfigError(
                f"{self.dataset.name}: a backfill needs cursor:, by which windows are cut"
            )
        bounds = [bound for bound in (window.lower, window.upper) if bound is not None]
        _ = probe.cursor
        try:
            for bound in bounds:
                probe.is_higher(bound, bound)
        except (DataError, ConfigError) as error:
            raise ConfigError(
                f"{self.dataset.name}: the window {window} does not fit the cursor "
                f"{self.dataset.cursor_column}: {error.message}"
            ) from error
        reading = {"of": self.of, "lower": window.lower, "upper": window.upper} | {
            "nulls": window.nulls,
            "open": window.open,
        }
        return [Batch((Unit(position(window), "1"),), reading)]


def ranged(ranges: Ranges | None) -> dict[str, Any]:
    """Ranges, as a reading tells them."""
    if ranges is None:
        return {}
    found: dict[str, Any] = {"key": ranges.key, "bounds": list(ranges.bounds)}
    return found if ranges.snapshot is None else {**found, "snapshot": ranges.snapshot}


def divided(reading: Mapping[str, Any], name: str, version: str) -> list[Batch]:
    """The batches of a plan: one, or one a range.

    Args:
        reading: What is common to all.
        name: The position of the units, to which their part is added.
        version: Of the units.

    Example:
        >>> parts = divided({"key": "id", "bounds": ["10"]}, "start", "0")
        >>> [batch.units[0].position for batch in parts]
        ['start, part 1 of 2', 'start, part 2 of 2']
    """
    common = {**reading, "plan": name}
    common.pop("part", None)
    count = len(reading.get("bounds") or ()) + 1
    if count == 1:
        return [Batch((Unit(name, version, transient=True),), common)]
    if snapshot := reading.get("snapshot"):  # never to be mixed with parts of another one
        version = f"{version} of {snapshot}"
    width = len(str(count))
    return [
        Batch(
            (Unit(f"{name}, part {n + 1:0{width}} of {count}", version, transient=True),),
            {**common, "part": n},
        )
        for n in range(count)
    ]


def _plan_of(reading: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in sorted(reading.items()) if name != "part"}


def _fits(batches: Sequence[Batch], held: Sequence[Manifest]) -> bool:
    """Whether what is held belongs to the batches, and what is missing can be read still."""
    answered = [batch for batch in batches if any(one.answers(batch) for one in held)]
    bound = any("snapshot" in batch.reading for batch in batches)
    return bool(answered) and (not bound or len(answered) == len(batches))
