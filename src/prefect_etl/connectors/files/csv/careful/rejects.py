"""Puts records aside whose values do not fit a type that holds, and writes down all that is aside.

What such a record says is taken from the file a second time: most files have none, and those that
have need not keep the text of all others for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from prefect_etl.connectors.files.csv.careful.conversion import Test
from prefect_etl.connectors.files.csv.careful.manner import Fault
from prefect_etl.connectors.files.csv.careful.spool import (
    LINE,
    UNIT,
    FaultFile,
    Files,
    Spooled,
    refusal,
)
from prefect_etl.connectors.files.place import Place
from prefect_etl.core.aside import REJECT_COLUMNS, Aside
from prefect_etl.core.sql import literal


def put_aside(files: Files, spooled: Spooled, tests: Sequence[Test]) -> Aside:
    """Put records aside that break a test; tell of all that are aside.

    Args:
        files: What was read.
        spooled: Their records.
        tests: Those that records break.

    Raises:
        SourceReadError: There is one, and it is not allowed.
    """
    counts, rejects = dict(spooled.aside), spooled.faults
    misfits = _misfits(files.place, spooled.path, tests)
    if misfits and files.place.dataset.bad_rows == "fail":
        unit, found = next(iter(misfits.items()))
        line, said = next(iter(found.items()))
        raise refusal(files.place, files.units[unit], Fault(line, 0, *said, ""))
    if misfits:
        texts = spooled.path.with_name("misfits.parquet")
        with FaultFile(texts) as file:
            for index, found in misfits.items():
                counts[index] += len(found)
                _copy(files, index, found, file)
        rejects = _together(files.place, [path for path in (spooled.faults, texts) if path])
    counts = {index: count for index, count in counts.items() if count}
    return Aside(rejects if counts else None, counts, tuple(spooled.repairs))


def _misfits(
    place: Place, path: Path, tests: Sequence[Test]
) -> dict[int, dict[int, tuple[str, str]]]:
    """By unit: lines of records that do not fit, each with the first rule that it breaks."""
    if not tests:
        return {}
    which = " ".join(f"WHEN {test.failed} THEN {n}" for n, test in enumerate(tests))
    rows = place.session.query(
        f"SELECT * FROM (SELECT {UNIT}, {LINE}, CASE {which} END AS failed "
        f"FROM read_parquet({literal(path)})) WHERE failed IS NOT NULL ORDER BY ALL"
    )
    found: dict[int, dict[int, tuple[str, str]]] = {}
    for unit, line, broken in rows:
        test = tests[broken]
        found.setdefault(unit, {})[line] = test.rule, test.reason
    return found


def _copy(files: Files, index: int, wanted: Mapping[int, tuple[str, str]], file: FaultFile) -> None:
    """Copy the text of some records from their file."""
    with files.records(index, wanted) as records:
        for _ in records:
            file.note(index, records.taken)
            records.faults.clear()
        file.note(index, records.taken)


def _together(place: Place, paths: Sequence[Path]) -> Path:
    path = paths[0].with_name("rejects.parquet")
    place.session.query(
        f"COPY (SELECT {', '.join(REJECT_COLUMNS)} FROM read_parquet({literal(paths)}) "
        f"ORDER BY unit, line) TO {literal(path)} (FORMAT parquet)"
    )
    return path
