"""The rows of files that are read with care, and what was not among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prefect_etl.connectors.files.csv.careful.conversion import (
    Converted,
    Test,
    conversion,
)
from prefect_etl.connectors.files.csv.careful.rejects import put_aside
from prefect_etl.connectors.files.csv.careful.spool import UNIT, Files, Spooled, spool
from prefect_etl.connectors.files.csv.encoding import unsure_encoding
from prefect_etl.connectors.files.csv.footing import total_test
from prefect_etl.connectors.files.csv.late_encoding import late_encoding
from prefect_etl.connectors.files.csv.layout import Layout
from prefect_etl.connectors.files.csv.scan import guessed_integers, held
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.reading import Reading
from prefect_etl.core.aside import Aside
from prefect_etl.core.rows import UNIT_INDEX, Relation
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.unit import Unit
from prefect_etl.errors import SourceReadError

# An option of a reading: the layout.
CAREFUL = "careful"


@dataclass(frozen=True, slots=True)
class Opened:
    """Files that were read as text.

    Attributes:
        files: What was read.
        spooled: Their records.
        columns: How fields become columns.
        failures: Columns with values that do not fit: how many, but for totals.
        misfitting: All columns with values that do not fit.
    """

    files: Files
    spooled: Spooled
    columns: Sequence[Converted]
    failures: Mapping[str, int]
    misfitting: Sequence[Converted]

    @property
    def source(self) -> str:
        """SQL: the records."""
        return f"read_parquet({literal(self.spooled.path)})"

    @property
    def tests(self) -> list[Test]:
        """What records break."""
        return [column.test for column in self.misfitting]

    @property
    def fitting(self) -> str:
        """SQL: the records whose values fit."""
        tests = " AND ".join(f"NOT {test.failed}" for test in self.tests)
        return f"{self.source} WHERE {tests}" if tests else self.source


@contextmanager
def opened(place: Place, reading: Reading, units: Sequence[Unit]) -> Iterator[Opened]:
    """Read the files of a batch as text.

    Raises:
        SourceReadError: A file is refused.
    """
    layout = Layout.from_dict(reading.options[CAREFUL])
    pairs = list(reading.columns.pairs())
    with place.scratch() as folder:
        files = Files(place, layout, len(pairs), units)
        spooled = spool(files, folder)
        guessed = guessed_integers(reading)
        columns = [
            conversion(n, name, kind, layout, strict=name in guessed)
            for n, (name, kind) in enumerate(pairs)
        ]
        misfitting = _failing(place, spooled.path, columns)
        but = f" AND NOT {total_test('c0', 'c1' if len(columns) > 1 else None)}"
        failures = _failing(place, spooled.path, list(misfitting), but)
        yield Opened(
            files,
            spooled,
            columns,
            {column.name: count for column, count in failures.items()},
            list(misfitting),
        )


def _failing(
    place: Place, path: Path, columns: Sequence[Converted], but: str = ""
) -> dict[Converted, int]:
    """Columns with values that do not fit: how many."""
    typed = [column for column in columns if column.value != column.text]
    if not typed:
        return {}
    counts = ", ".join(f"count(*) FILTER (WHERE {column.failed}{but})" for column in typed)
    (found,) = place.session.query(f"SELECT {counts} FROM read_parquet({literal(path)})")
    return {column: count for column, count in zip(typed, found, strict=True) if count}


@contextmanager
def careful_rows(place: Place, reading: Reading, units: Sequence[Unit]) -> Iterator[Relation]:
    """The rows of the files of a batch.

    Raises:
        SourceReadError: A guessed type does not hold, or most of a file is no record.
    """
    with opened(place, reading, units) as found:
        firm = held(place.dataset, reading.options)
        loose = [name for name in found.failures if name not in firm]
        if loose:
            raise SourceReadError(
                f"{units[0].position}: values of column {loose[0]} are of another type than others",
                hint=f"Say which it is with types: {{{loose[0]}: VARCHAR}}.",
            )
        aside = put_aside(found.files, found.spooled, found.tests)
        _assert_encoding(place, reading, units, aside)
        assert_mostly_read(place, units, found.spooled, aside)
        yield Relation(
            f"SELECT {_selected(found.columns, units)} FROM {found.fitting}", aside=lambda: aside
        )


def _assert_encoding(place: Place, reading: Reading, units: Sequence[Unit], aside: Aside) -> None:
    """Have a batch read otherwise whose first bytes did not tell its encoding.

    Raises:
        SourceReadError: All that is no UTF-8 is of another encoding.
    """
    if reading.options[CAREFUL]["encoding"] != "utf-8" or aside.rejects is None:
        return
    bad = place.session.query(
        f"SELECT 1 FROM read_parquet({literal(aside.rejects)}) WHERE rule = 'csv.encoding' LIMIT 1"
    )
    if bad and (encoding := late_encoding(place, units)):
        raise SourceReadError(
            f"{units[0].position} is no UTF-8", hint=f"{unsure_encoding(encoding)}."
        )


def _selected(columns: Sequence[Converted], units: Sequence[Unit]) -> str:
    values = [f"{column.value} AS {identifier(column.name)}" for column in columns]
    return ", ".join([*values, *([f"{UNIT} AS {UNIT_INDEX}"] if len(units) > 1 else [])])


def assert_mostly_read(place: Place, units: Sequence[Unit], spooled: Spooled, aside: Aside) -> None:
    """Refuse a file most of whose records are none: it is written otherwise than was thought.

    Raises:
        SourceReadError: More than half of its records would be put aside.
    """
    for index, unit in enumerate(units):
        bad = aside.counts.get(index, 0)
        whole = spooled.read[index] + spooled.aside[index]
        if 2 * bad > whole:
            reason = _usual_reason(place, aside, index)
            raise SourceReadError(
                f"{place.dataset.name}: {unit.position} cannot be read: {bad} of its {whole} "
                f"records are no rows: {reason}",
                hint="It is probably written otherwise than was found out: say delimiter, quote, "
                "escape, encoding, header, skip, footer or types; prefect-etl inspect shows what "
                "was found.",
            )


def _usual_reason(place: Place, aside: Aside, index: int) -> str:
    found = place.session.query(
        "SELECT reason, count(*), min(line) "
        f"FROM read_parquet({literal(aside.rejects)}) WHERE unit = {index} "
        "GROUP BY reason ORDER BY 2 DESC LIMIT 1"
    )
    return f"{found[0][0]} (first in line {found[0][2]})" if found else "none is one"
