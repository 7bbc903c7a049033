"""In which line of its file a row of JSON Lines is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from prefect_etl.connectors.files.json.exact import Fault
from prefect_etl.connectors.files.json.lines import lines_of
from prefect_etl.connectors.files.json.spool import Spell, opened
from prefect_etl.connectors.files.place import Place
from prefect_etl.core.unit import Unit

# Where each record is looked at, so far into a file: that takes a few seconds.
_MOST_BYTES = 16 << 20


def numbers_of(
    place: Place, unit: Unit, rows: Sequence[int], spell: Spell | None
) -> Sequence[int | None]:
    """The lines of some rows of a file, whose places are counted from 1.

    Args:
        place: Where the file is.
        unit: The file.
        rows: Their places.
        spell: Spells a record, or finds it at fault; None where each line is a row.

    Returns:
        None for each row of a file that is no JSON Lines, whose lines hold several records, or
        that is too far into one of which some lines are no rows.
    """
    last = max(rows, default=0)
    found: dict[int, int] = {}
    with opened(place, unit) as source:
        if source.layout == "newline_delimited" and not place.dataset.records:
            mend = place.dataset.bad_rows == "repair"
            full = _full(source.chunks) if spell is None else _fit(source.chunks, spell, mend=mend)
            found = dict(zip(range(1, last + 1), full, strict=False))
    return [found.get(row) for row in rows]


def _full(chunks: Iterable[bytes]) -> Iterator[int]:
    """The lines that are not blank."""
    line, waiting = 1, False
    for chunk in chunks:
        *whole, rest = chunk.split(b"\n")
        for text in whole:
            if waiting or text.strip():
                yield line
            line, waiting = line + 1, False
        waiting = waiting or bool(rest.strip())
    if waiting:
        yield line


def _fit(chunks: Iterable[bytes], spell: Spell, *, mend: bool) -> Iterator[int]:
    """The lines whose records are not put aside."""
    for found in lines_of(chunks, mend=mend):
        if found.byte > _MOST_BYTES:
            return
        if found.fault is None and isinstance(found.value, dict):
            with suppress(Fault):
                spell(found.value)
                yield found.line
