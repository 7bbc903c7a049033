"""Which units a copy reads, and what the ledger is to remember of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from prefect_etl.connectors.base import Source
from prefect_etl.connectors.relational import DatabaseDataset
from prefect_etl.core.accounting import Accounting
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import KnownUnit, LedgerState
from prefect_etl.core.load import LoadUnit
from prefect_etl.core.unit import Batch, Unit
from prefect_etl.errors import ConfigError
from prefect_etl.pipeline.copying.dataset import is_again
from prefect_etl.pipeline.copying.ends import Reading
from prefect_etl.pipeline.planner import compare

# The unit that remembers where a cursor is of.
_CURSOR_OF = "cursor of"


@dataclass(frozen=True, slots=True)
class Units:
    """What a copy reads.

    Attributes:
        batches: How it is read.
        news: The units, as the ledger will know them.
    """

    batches: tuple[Batch, ...]
    news: tuple[Unit, ...]

    def numbered(self, first: int) -> tuple[LoadUnit, ...]:
        """The units of the load: all rows are of the first one, the others are remembered."""
        now = time.time_ns()
        main, *others = self.news
        if others and not main.transient and main.position != _CURSOR_OF:
            main, others = Unit("all rows", "1", transient=True), list(self.news)
        return tuple(
            LoadUnit(first + index, unit, "", Accounting(), now)
            for index, unit in enumerate((main, *others))
        )


def planned(
    source: Source, spec: DatasetSpec, state: LedgerState, reading: Reading, *, begins: bool
) -> Units:
    """What there is to read; no batches where nothing is new.

    Files are remembered by path and content, and appended or merged once. Tables and queries
    without a cursor are read each time.

    Args:
        source: What is read.
        spec: What becomes of it.
        state: What the ledger knows of the table.
        reading: Where it is read.
        begins: Whether the table begins empty.

    Raises:
        ConfigError: A file changed since it was appended, or a cursor is of another source.
    """
    before = _seen_from(state, reading) if reading.path is not None else state
    mark = None
    if reading.once or begins or is_again(spec):
        before = replace(before, units={}, schema=None, cursor=None)
    if isinstance(spec, DatabaseDataset) and spec.incremental:
        mark = Unit(_CURSOR_OF, _origin(spec, reading))
        known = before.units.get(_CURSOR_OF)
        if known is not None and known.unit.version == mark.version:
            mark = None  # the ledger has it
        elif state.version and not begins:
            before = _anew(before, spec)
    units = list(source.units(before))
    if reading.path is not None and spec.write != "replace":
        units = _new_files(units, before, spec)
    batches = tuple(source.batches(units, before)) if units else ()
    if not batches:
        return Units((), ())
    news = [unit for batch in batches for unit in batch.units]
    if reading.once or is_again(spec):
        return Units(batches, (Unit(reading.label or spec.name, "1", transient=True),))
    news = [_placed(unit, reading) for unit in news]
    return Units(batches, (*news, mark) if mark is not None else tuple(news))


def _origin(spec: DatasetSpec, reading: Reading) -> str:
    """A digest of what a cursor is of."""
    read = [getattr(spec, name, None) for name in ("table_", "query", "filter", "cursor_column")]
    return sha256(repr((reading.connection.config.display, read)).encode()).hexdigest()[:32]


def _anew(state: LedgerState, spec: DatasetSpec) -> LedgerState:
    """The state from which a source with a cursor begins, of which the table has nothing yet."""
    if spec.keyed:  # all is read, and what is there already is found by its key
        return replace(state, schema=None, cursor=None)
    raise ConfigError(
        f"table {spec.table} was not copied from here with --cursor {spec.cursor_column}, so it "
        "is not known where to go on",
        hint="Begin once with --mode replace and the same --cursor, or use --mode merge --key.",
    )


def _new_files(units: Sequence[Unit], state: LedgerState, spec: DatasetSpec) -> list[Unit]:
    found = compare(units, state)
    if found.changed and not spec.keyed:
        names = ", ".join(unit.position for unit in found.changed[:3])
        raise ConfigError(
            f"{names} changed since it was appended to {spec.table}: its rows would come twice",
            hint="Use --mode merge with --key, or --mode replace.",
        )
    wanted = {unit.position for unit in (*found.new, *found.changed)}
    return [unit for unit in units if unit.position in wanted]


def _folder(reading: Reading) -> Path:
    folder: Path = getattr(reading.connection.config, "folder", Path("/"))
    return folder


def _placed(unit: Unit, reading: Reading) -> Unit:
    """A unit with a position that does not depend on the folder that the connection names."""
    if reading.path is None:
        return unit
    return replace(unit, position=f"{_folder(reading)}/{unit.position}")


def _seen_from(state: LedgerState, reading: Reading) -> LedgerState:
    """The state with positions below the connection's folder; units elsewhere are left out."""
    prefix = f"{_folder(reading)}/"
    units = {
        position.removeprefix(prefix): KnownUnit(
            known.unit_id,
            replace(known.unit, position=position.removeprefix(prefix)),
            known.seen_ns,
        )
        for position, known in state.units.items()
        if position.startswith(prefix)
    }
    return replace(state, units=units)
