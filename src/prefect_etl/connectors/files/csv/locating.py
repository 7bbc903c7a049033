"""In which line of its file a row begins."""

from __future__ import annotations

from collections.abc import Sequence

from prefect_etl.connectors.files.csv.careful.reading import CAREFUL, opened
from prefect_etl.connectors.files.csv.careful.spool import LINE, Files
from prefect_etl.connectors.files.csv.refining import layout_of
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.reading import Reading
from prefect_etl.core.sql import literals
from prefect_etl.core.unit import Unit


def lines_of(
    place: Place, reading: Reading, unit: Unit, rows: Sequence[int]
) -> Sequence[int | None]:
    """The first lines of some rows of a file, whose places are counted from 1."""
    if not rows:
        return []
    find = _found_with_care if CAREFUL in reading.options else _found
    found = find(place, reading, unit, rows)
    return [found.get(row) for row in rows]


def _found(place: Place, reading: Reading, unit: Unit, rows: Sequence[int]) -> dict[int, int]:
    """Of a file that the fast reader reads: all of its records are rows."""
    files = Files(place, layout_of(reading), len(reading.columns.columns), [unit])
    wanted, passed = sorted(set(rows)), 0
    found: dict[int, int] = {}
    with files.records(0) as records:
        for piece in records:
            if records.faults:  # it is not what it was
                break
            count = len(piece.lines)
            found |= {
                n: piece.lines[n - passed - 1] for n in wanted if passed < n <= passed + count
            }
            passed += count
            if passed >= wanted[-1]:
                break
    return found


def _found_with_care(
    place: Place, reading: Reading, unit: Unit, rows: Sequence[int]
) -> dict[int, int]:
    """Of a file with records that are put aside: those do not count."""
    with opened(place, reading, [unit]) as found:
        numbered = f"SELECT row_number() OVER (ORDER BY {LINE}) AS n, {LINE} FROM {found.fitting}"
        return dict(
            place.session.query(f"SELECT n, {LINE} FROM ({numbered}) WHERE n IN ({literals(rows)})")
        )
