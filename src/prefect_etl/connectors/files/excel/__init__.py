"""Excel and OpenDocument: one sheet of a workbook is a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from prefect_etl.connectors.files.csv.header import joined_names, numbered_names
from prefect_etl.connectors.files.excel.reading import Sheet, read_sheet
from prefect_etl.connectors.files.excel.typing import type_of, value_of
from prefect_etl.connectors.files.form import Better, Explained
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.reading import Reading
from prefect_etl.connectors.files.settling import settle
from prefect_etl.core.aside import Aside, Repair
from prefect_etl.core.inspection import Fact
from prefect_etl.core.rows import Relation, Rows
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.unit import Unit
from prefect_etl.errors import SourceReadError

__all__ = ["FORM"]

_FAULTS = "excel.error"


class _Excel:
    def detect(self, place: Place, units: Sequence[Unit]) -> list[tuple[Reading, list[Unit]]]:
        groups: dict[tuple[str, ...], list[tuple[Reading, Unit]]] = {}
        for unit in units:
            with read_sheet(place, unit) as sheet:
                reading = _found(place, sheet)
            groups.setdefault(reading.columns.names, []).append((reading, unit))
        # Each file is a batch of its own: its sheet may lie elsewhere.
        return [(reading, [unit]) for found in groups.values() for reading, unit in found]

    def settle(self, place: Place, reading: Reading, table: TableSchema | None) -> Reading:
        return settle(reading, place.dataset, table)

    def better(self, place: Place, reading: Reading, units: Sequence[Unit]) -> Better:  # noqa: ARG002
        return Better()

    @contextmanager
    def rows(self, place: Place, reading: Reading, units: Sequence[Unit]) -> Iterator[Rows]:
        with read_sheet(place, units[0]) as sheet:
            if sheet.width and sheet.width != len(reading.columns.columns):
                raise SourceReadError(f"{units[0].position}: its columns are others than before")
            yield _Rows(place, reading, units[0], sheet).relation()

    def explain(self, place: Place, unit: Unit) -> Explained:
        """The sheet that is read, and where its table begins."""
        with read_sheet(place, unit) as sheet:
            titles = sheet.titles(place)
            rows = max(sheet.count - titles - sheet.header_lines(place), 0)
            facts = [Fact("sheet", sheet.name), Fact("rows", str(rows))]
            if not titles:
                return Explained(tuple(facts), pins={"sheet": sheet.name})
            skip = sheet.numbers(titles + 1)[-1] - 1
            facts.append(Fact("first row", str(skip + 1)))
            return Explained(tuple(facts), pins={"sheet": sheet.name, "skip": skip})


def _found(place: Place, sheet: Sheet) -> Reading:
    lines = sheet.header_lines(place)
    if not sheet.width:
        raise SourceReadError(
            f"{sheet.position}: the sheet {sheet.name} is empty",
            hint="Say which sheet with sheet:, or put a header into it.",
        )
    titles = sheet.titles(place)
    names = joined_names(sheet.texts(titles, lines)) if lines else numbered_names(sheet.width)
    pins = place.dataset.types
    kinds = [
        pins.get(name, type_of(kinds))
        for name, kinds in zip(names, sheet.kinds(titles + lines), strict=True)
    ]
    return Reading("excel", TableSchema.from_pairs(zip(names, kinds, strict=True)), {})


class _Rows:
    """The rows of a sheet, and those that are put aside."""

    def __init__(self, place: Place, reading: Reading, unit: Unit, sheet: Sheet) -> None:
        self._place = place
        self._unit = unit
        self._sheet = sheet
        self._pairs = list(reading.columns.pairs())
        self._values = [value_of(f"c{n}", kind) for n, (_, kind) in enumerate(self._pairs)]
        self._titles = sheet.titles(place)
        nulls = literal(list(place.dataset.nulls))
        columns = ", ".join(
            f"CASE WHEN NOT list_contains({nulls}, c{n}) THEN c{n} END AS c{n}"
            for n in range(sheet.width)
        )
        self._source = (
            f"(SELECT row, errors, {columns or 'NULL AS c0'} FROM read_parquet("
            f"{literal(sheet.path)}, file_row_number = true) "
            f"WHERE file_row_number >= {self._titles + sheet.header_lines(place)} "
            f"AND file_row_number < {sheet.count - (place.dataset.footer or 0)})"
        )

    def relation(self) -> Relation:
        aside = self._aside()
        selected = ", ".join(
            f"{value} AS {identifier(name)}"
            for value, (name, _) in zip(self._values, self._pairs, strict=True)
        )
        keep = f"NOT ({self._failed})"
        return Relation(f"SELECT {selected} FROM {self._source} WHERE {keep}", aside=lambda: aside)

    @property
    def _mended(self) -> bool:
        return self._place.dataset.bad_rows == "repair"

    @property
    def _failed(self) -> str:
        misfits = " OR ".join(
            f"(c{n} IS NOT NULL AND {value} IS NULL)" for n, value in enumerate(self._values)
        )
        return misfits if self._mended else f"errors IS NOT NULL OR {misfits}"

    def _aside(self) -> Aside:
        session, where = self._place.session, self._failed
        counts = session.query(
            f"SELECT count(*) FILTER ({where}), count(*), "
            f"count(*) FILTER (errors IS NOT NULL), min(row) FILTER (errors IS NOT NULL) "
            f"FROM {self._source}"
        )
        bad, whole, wrong, first = counts[0]
        repairs = self._repairs(wrong, first)
        if not bad:
            return Aside(repairs=repairs)
        if self._place.dataset.bad_rows == "fail" or 2 * bad > whole:
            ((said, row),) = session.query(
                f"SELECT {self._reason}, row FROM {self._source} WHERE {where} ORDER BY row LIMIT 1"
            )
            raise SourceReadError(
                f"{self._place.dataset.name}: {self._unit.position} cannot be read: {bad} of its "
                f"{whole} rows are none: row {row}: {said}",
                hint="Mend the sheet, or say how to read it: sheet, cells, header, types, nulls; "
                "bad_rows: repair makes error cells null.",
            )
        path = self._sheet.path.with_name("rejects.parquet")
        text = f"concat_ws(chr(9), {', '.join(f'c{n}' for n in range(self._sheet.width))})"
        rule = f"CASE WHEN errors IS NOT NULL THEN {literal(_FAULTS)} ELSE {self._rule} END"
        session.query(
            f"COPY (SELECT 0::INTEGER AS unit, row AS line, NULL::BIGINT AS byte, {rule} AS rule, "
            f"{self._reason} AS reason, {text} AS text FROM {self._source} WHERE {where} "
            f"ORDER BY row) TO {literal(path)} (FORMAT parquet)"
        )
        return Aside(path, {0: bad}, repairs)

    def _repairs(self, wrong: int, first: int | None) -> tuple[Repair, ...]:
        told, position = [], self._unit.position
        if self._titles and self._place.dataset.skip is None:
            said = "rows above the table are a title; they are left out"
            told.append(Repair("excel.guess", said, self._titles, position, 1))
        if wrong and self._mended:
            told.append(Repair(_FAULTS, "error cells are null", wrong, position, first))
        return tuple(told)

    @property
    def _rule(self) -> str:
        return self._first(lambda name, _: literal(f"excel.type.{name}"))

    @property
    def _reason(self) -> str:
        said = self._first(lambda name, kind: literal(f"{name} is no {kind}"))
        return f"coalesce(errors, {said})"

    def _first(self, told: Callable[[str, str], str]) -> str:
        cases = " ".join(
            f"WHEN c{n} IS NOT NULL AND {value} IS NULL THEN {told(name, kind)}"
            for n, (value, (name, kind)) in enumerate(zip(self._values, self._pairs, strict=True))
        )
        return f"CASE {cases} END"


FORM = _Excel()
