"""JSON and JSON Lines.

The engine reads files that it can be trusted with, which is found out by their bytes. All others
are read with care, record by record, into lines that it can be trusted with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from prefect_etl.connectors.files.form import Better, Explained
from prefect_etl.connectors.files.json.columns import gathered, selected
from prefect_etl.connectors.files.json.detection import CARE, EXACT, PLAIN, detect
from prefect_etl.connectors.files.json.inspection import explain
from prefect_etl.connectors.files.json.kinds import Kind, Seen, kind_of
from prefect_etl.connectors.files.json.numbering import numbers_of
from prefect_etl.connectors.files.json.spelling import as_kind, as_seen
from prefect_etl.connectors.files.json.spool import Spell, Spool
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.reading import Reading, all_small, nothing, retyped, unit_index
from prefect_etl.connectors.files.settling import settle
from prefect_etl.core.rows import UNIT_INDEX, Relation, Rows
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.sql import literal
from prefect_etl.core.types import is_integer
from prefect_etl.core.unit import Unit

__all__ = ["FORM"]


class _Json:
    def detect(self, place: Place, units: Sequence[Unit]) -> list[tuple[Reading, list[Unit]]]:
        return detect(place, units)

    def settle(self, place: Place, reading: Reading, table: TableSchema | None) -> Reading:
        settled = settle(reading, place.dataset, table)
        # What is pinned to be whole is looked at record by record; what is not is put aside.
        pins = place.dataset.types
        whole = {
            column.name: pins[column.name]
            for column in settled.columns
            if is_integer(pins.get(column.name, "")) and not is_integer(column.type)
        }
        settled = settled.with_columns(retyped(settled.columns, whole))
        # Only digits tell a DECIMAL; the engine would go by way of DOUBLE.
        if whole or any("DECIMAL" in column.type for column in settled.columns):
            return replace(settled, options={**settled.options, CARE: EXACT})
        return settled

    def better(self, place: Place, reading: Reading, units: Sequence[Unit]) -> Better:
        untried = {None: (PLAIN, EXACT), PLAIN: (EXACT,)}.get(reading.options.get(CARE), ())
        for care in untried:
            with place.scratch() as folder:
                spool = Spool(place, folder, exact=care == EXACT)
                _fill(spool, reading, units, exact=care == EXACT)
                # Where nothing is amiss, it was not the reading that failed.
                if spool.rejects.any:
                    return Better(options={CARE: care})
        return Better()

    def explain(self, place: Place, unit: Unit) -> Explained:
        return explain(place, unit)

    def lines(
        self, place: Place, reading: Reading, unit: Unit, rows: Sequence[int]
    ) -> Sequence[int | None]:
        care = reading.options.get(CARE)
        spell = _spell(_kinds(reading), exact=care == EXACT) if care else None
        return numbers_of(place, unit, rows, spell)

    @contextmanager
    def rows(self, place: Place, reading: Reading, units: Sequence[Unit]) -> Iterator[Rows]:
        if not reading.options.get(CARE):
            yield _trusted(place, reading, units)
            return
        with place.scratch() as folder:
            exact = reading.options[CARE] == EXACT
            yield _careful(Spool(place, folder, exact=exact), reading, units, exact=exact)


def _trusted(place: Place, reading: Reading, units: Sequence[Unit]) -> Relation:
    types = literal(dict(gathered(reading).pairs()))
    form = reading.options.get("format", "auto")
    source = (
        f"read_json({literal(place.scanned(units))}, columns = {types}, format = {literal(form)})"
    )
    return Relation(
        f"SELECT {selected(reading)}{unit_index(units)} FROM {source}",
        whole_units=all_small(units),
    )


def _careful(spool: Spool, reading: Reading, units: Sequence[Unit], *, exact: bool) -> Relation:
    kinds = _fill(spool, reading, units, exact=exact)
    numbered = len(units) > 1
    number = f", {UNIT_INDEX}" if numbered else ""
    if not spool.rows:
        empty = f"SELECT *{', CAST(NULL AS INTEGER) AS ' + UNIT_INDEX if numbered else ''}"
        return Relation(f"{empty} FROM ({nothing(reading.columns)})", aside=spool.rejects.aside)
    carried = {name: kind.carried() if exact else kind.spelled for name, kind in kinds.items()}
    if numbered:
        carried[UNIT_INDEX] = "INTEGER"
    return Relation(
        f"SELECT {selected(reading)}{number} FROM {spool.scan(columns=carried)}",
        aside=spool.rejects.aside,
    )


def _fill(spool: Spool, reading: Reading, units: Sequence[Unit], *, exact: bool) -> dict[str, Kind]:
    """Fill a spool with the records of files; the columns that they have."""
    kinds = _kinds(reading)
    spool.fill(units, _spell(kinds, exact=exact), numbered=len(units) > 1)
    return kinds


def _kinds(reading: Reading) -> dict[str, Kind]:
    return {name: kind_of(kind) for name, kind in gathered(reading).pairs()}


def _spell(kinds: dict[str, Kind], *, exact: bool) -> Spell:
    record = Kind("struct", "", kinds)
    if exact:
        return lambda value: as_kind(value, record, "")
    return lambda value: as_seen(value, Seen())


FORM = _Json()
