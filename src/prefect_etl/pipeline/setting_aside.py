"""Writes what a load puts aside to quarantine, before the load is published."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.base import Locating
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.report import RuleCount
from prefect_etl.core.rows import ROW_NUMBER, UNIT_ID
from prefect_etl.core.schema import UNKNOWN
from prefect_etl.core.sql import literal
from prefect_etl.core.unit import Unit
from prefect_etl.errors import EtlError
from prefect_etl.pipeline.check import Checked
from prefect_etl.pipeline.numbering import Numbered
from prefect_etl.pipeline.prepare import Prepared, project
from prefect_etl.pipeline.quarantine import AsideSource, Quarantine, QuarantineEntry
from prefect_etl.pipeline.rejected import (
    AsideRows,
    Unreadable,
    places_of,
    source_columns,
    unreadable_rows,
)
from prefect_etl.pipeline.workspace import Workspace

if TYPE_CHECKING:
    import duckdb

logger = logging.getLogger(__name__)
# To find a line, its file is read again: so many rows of a load are looked up, in files up to a
# size, until so many seconds have passed.
LOCATED, LOCATED_BYTES, LOCATED_SECONDS = 10_000, 512 * 2**20, 5.0
_BAD = "temp.main._etl_bad_rows"


@dataclass(frozen=True, slots=True)
class Replaying:
    """Rows from quarantine that are loaded now.

    Attributes:
        entry: Their file.
        chosen: SQL: its rows that are loaded, with their place in the file as ``_at``, from 0.
        sources: Where they are from.
    """

    entry: QuarantineEntry
    chosen: str
    sources: tuple[AsideSource, ...]

    @property
    def places(self) -> str:
        """SQL: where each row came from, by its place in the raw file, ``_place``."""
        return (
            "SELECT row_number() OVER (ORDER BY _at) AS _place, _source, _row, _line "
            f"FROM ({self.chosen})"
        )

    @property
    def unreadable(self) -> str:
        """SQL: what could not be read, and so is not loaded either."""
        return (
            "SELECT _rules, _reasons, _source, _line, _text, CAST(0 AS BIGINT) AS _unit "
            f"FROM read_parquet({literal(self.entry.path)}) WHERE _row IS NULL"
        )


@dataclass(frozen=True, slots=True)
class SettingAside:
    """A load, as far as its bad rows are concerned."""

    workspace: Workspace
    spec: DatasetSpec
    version: int
    numbered: Numbered
    prepared: Prepared
    checked: Checked
    unreadable: Unreadable
    replaying: Replaying | None = None

    def write(self) -> QuarantineEntry | None:
        """Write the rows that are put aside, durably; None where there are none."""
        with self.workspace.session.cursor() as cursor:
            carried = self._carried(cursor)
            if not (self.checked.quarantined or carried):
                return None
            bad = self.checked.bad or self._none
            cursor.execute(f"CREATE TEMP TABLE {_BAD} AS {bad}")
            try:
                return self._write(cursor, carried)
            finally:
                cursor.execute(f"DROP TABLE {_BAD}")

    def _write(
        self, cursor: duckdb.DuckDBPyConnection, carried: tuple[RuleCount, ...]
    ) -> QuarantineEntry:
        quarantine = Quarantine(self.workspace.quarantine)
        path = quarantine.path(self.spec.name, self.workspace.run_id, self.version)
        described = cursor.execute(f"DESCRIBE {self.prepared.source}").fetchall()
        unknown = self._unknown()
        columns = source_columns(
            [
                (name, UNKNOWN if name.lower() in unknown else kind)
                for name, kind, *_ in described
                if name not in (UNIT_ID, ROW_NUMBER)
            ]
        )
        others, places = self._others_and_places(cursor)
        rows = AsideRows(
            source=self.prepared.source,
            bad=f"FROM {_BAD}",
            places=places,
            columns=columns,
            key=self._key([column.name for column in columns]),
            others=others,
        )
        entry = QuarantineEntry(
            name=path.stem,
            dataset=self.spec.name,
            run_id=self.workspace.run_id,
            version=self.version,
            rows=self.checked.quarantined + sum(rule.rows for rule in carried),
            rules=(*self.checked.rules, *carried),
            loaded=False,
            path=str(path),
            columns=tuple((c.stored, c.name, c.type) for c in columns),
            sources=self._sources(cursor),
            batches=tuple(file.manifest.batch_id for file in self.numbered.files),
            replays=self.replaying.entry.name if self.replaying else None,
        )
        quarantine.write(cursor, entry, rows.sql)
        return entry

    def _unknown(self) -> set[str]:
        """Columns, in lower case, that held nothing but nulls, so that nothing says their type."""
        schemas = {file.manifest.schema for file in self.numbered.files}
        kinds = [(column.name.lower(), column.type) for schema in schemas for column in schema]
        typed = {name for name, kind in kinds if kind != UNKNOWN}
        pinned = {name.lower() for name in self.spec.types}
        return {name for name, _ in kinds} - typed - pinned

    @property
    def _none(self) -> str:
        return (
            f"SELECT {UNIT_ID}, {ROW_NUMBER}, [''] AS rules, [''] AS reasons "
            f"FROM ({self.prepared.source}) WHERE FALSE"
        )

    def _carried(self, cursor: duckdb.DuckDBPyConnection) -> tuple[RuleCount, ...]:
        """The rules of what could not be read, where other rows of its file are replayed."""
        if self.replaying is None:
            return ()
        found = cursor.execute(
            "SELECT _rules[1], any_value(_reasons[1]), count(*) "
            f"FROM ({self.replaying.unreadable}) GROUP BY 1 ORDER BY 1"
        ).fetchall()
        return tuple(RuleCount(rule, reason, rows, "quarantine") for rule, reason, rows in found)

    def _others_and_places(self, cursor: duckdb.DuckDBPyConnection) -> tuple[str, str]:
        if self.replaying is not None:
            places = (
                f"SELECT b.{UNIT_ID} AS _unit, b.{ROW_NUMBER} AS _at, e._source, e._row, e._line "
                f"FROM {_BAD} b JOIN ({self.replaying.places}) e ON e._place = b.{ROW_NUMBER}"
            )
            return self.replaying.unreadable, places
        origins = self.numbered.origins()
        aside = [o for o in origins if self.checked.counts[o.unit_id].quarantined]
        places = places_of(f"FROM {_BAD}", aside or origins[:1], self._lines(cursor))
        return unreadable_rows(self.unreadable, origins), places

    def _key(self, present: Sequence[str]) -> dict[str, str]:
        """The source's names of the key's columns; empty where one is not there."""
        found: dict[str, str] = {}
        for schema in {file.manifest.schema: None for file in self.numbered.files}:
            names = {p.column.name.lower(): p.source for p in project(schema, self.spec)}
            found = names | found
        key = {name: found[name.lower()] for name in self.spec.key if name.lower() in found}
        complete = len(key) == len(self.spec.key) and set(key.values()) <= set(present)
        return key if complete else {}

    def _sources(self, cursor: duckdb.DuckDBPyConnection) -> tuple[AsideSource, ...]:
        if self.replaying is not None:
            return self._sources_again(cursor, self.replaying)
        counts = self.checked.counts
        return tuple(
            AsideSource(
                entry.unit.position,
                entry.unit.version,
                counts[number].quarantined,
                entry.unit.transient,
            )
            for number, entry in self.numbered.extracted()
            if counts[number].quarantined
        )

    def _sources_again(
        self, cursor: duckdb.DuckDBPyConnection, replaying: Replaying
    ) -> tuple[AsideSource, ...]:
        found = cursor.execute(
            f"SELECT e._source, count(*) FROM {_BAD} b JOIN ({replaying.places}) e "
            f"ON e._place = b.{ROW_NUMBER} GROUP BY 1 "
            f"UNION ALL SELECT _source, count(*) FROM ({replaying.unreadable}) GROUP BY 1"
        ).fetchall()
        rows: dict[str, int] = {}
        for position, count in found:
            rows[position] = rows.get(position, 0) + count
        return tuple(
            replace(source, rows=rows[source.position])
            for source in replaying.entry.sources
            if source.position in rows
        )

    def _lines(self, cursor: duckdb.DuckDBPyConnection) -> list[tuple[int, int, int]]:
        """Unit, place and line of the first bad rows, where the source knows."""
        source = self.workspace.source(self.workspace.dataset(self.spec.name))
        if not isinstance(source, Locating):
            return []
        bad = cursor.execute(
            f"SELECT {UNIT_ID}, {ROW_NUMBER} FROM {_BAD} ORDER BY 1, 2 LIMIT {LOCATED}"
        ).fetchall()
        places: dict[int, list[int]] = {}
        for unit_id, place in bad:
            places.setdefault(unit_id, []).append(place)
        found: list[tuple[int, int, int]] = []
        until = time.monotonic() + LOCATED_SECONDS
        for number, manifest, index in self.numbered.units:
            entry, rows = manifest.units[index], places.get(number, [])
            small = (entry.unit.size or 0) <= LOCATED_BYTES
            if rows and small and time.monotonic() < until:
                asked = [place - entry.first_row for place in rows]
                lines = _located(source, entry.unit, asked, manifest.reading)
                pairs = zip(rows, lines, strict=True)
                found += ((number, place, line) for place, line in pairs if line is not None)
        return found


def _located(
    source: Locating, unit: Unit, rows: Sequence[int], reading: Mapping[str, Any]
) -> Sequence[int | None]:
    try:
        return source.lines(unit, rows, reading)
    except EtlError as error:  # the rows are told by their numbers then
        logger.debug("%s: lines are not known: %s", unit.position, error)
        return [None] * len(rows)
