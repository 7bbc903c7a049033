"""Finds how new files of JSON are read, and the types of their columns, once for all of a run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prefect_etl.connectors.files.json.columns import laid_out
from prefect_etl.connectors.files.json.kinds import Kind, Seen, exact_type, kind_of
from prefect_etl.connectors.files.json.layout import Layout
from prefect_etl.connectors.files.json.quick import Trust, trust
from prefect_etl.connectors.files.json.spelling import as_seen
from prefect_etl.connectors.files.json.spool import Spool, opened
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.reading import Reading
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.unit import Unit
from prefect_etl.errors import SourceReadError

# Says that files are to be read record by record; exact: each number of them by its digits.
CARE, PLAIN, EXACT = "care", "plain", "exact"
# The engine's names for columns without one, and for those that differ from others in case only.
_NAMELESS = re.compile(r"C\d+")
_AGAIN = re.compile(r"(.+)_\d+", re.DOTALL)
_EXACT = 1 << 53
# All of all files: a key that a sample missed would be left out without a word.
_ALL = {"sample_size": -1, "union_by_name": True, "maximum_sample_files": 2147483647}


@dataclass(frozen=True, slots=True)
class _Looked:
    unit: Unit
    layout: Layout
    trust: Trust


class _Inexact(Exception):
    """A number was seen for which the numbers of all files must be looked at."""


def detect(place: Place, units: Sequence[Unit]) -> list[tuple[Reading, list[Unit]]]:
    """Group files by how they are read, and find the types of all of them.

    Raises:
        SourceReadError: The files are empty, or cannot be read as they are.
    """
    looked = [_look(place, unit) for unit in units if unit.size]
    if not looked:
        raise SourceReadError(f"{units[0].position} is empty", hint="Put records in it.")
    trusted = [one for one in looked if one.trust is not Trust.NONE]
    careful = [one.unit for one in looked if one.trust is Trust.NONE]
    care, found = PLAIN, _described(place, trusted, careful, exact=False)
    if found is None and trusted:
        trusted, careful = [], [one.unit for one in looked]
        found = _described(place, trusted, careful, exact=False)
    if found is None:
        trusted, careful, care = [], [one.unit for one in looked], EXACT
        found = _described(place, trusted, careful, exact=True) or TableSchema(())
    columns, how = laid_out(found, place.dataset.nested, looked[0].unit.position)
    kind = place.kind(units[0])
    groups: dict[str, list[Unit]] = {}
    for one in trusted:
        groups.setdefault(one.layout, []).append(one.unit)
    readings = [
        (Reading(kind, columns, {"format": layout, **how}), members)
        for layout, members in groups.items()
    ]
    if careful:
        readings.append((Reading(kind, columns, {CARE: care, **how}), careful))
    # An empty file has no rows; it is recorded with others.
    readings[0][1].extend(unit for unit in units if not unit.size)
    return readings


def _look(place: Place, unit: Unit) -> _Looked:
    with opened(place, unit) as source:
        asked = place.dataset.records is not None or place.dataset.encoding is not None
        if asked or source.encoding != "utf-8" or source.mark:
            return _Looked(unit, source.layout, Trust.NONE)
        lines = source.layout == "newline_delimited"
        return _Looked(unit, source.layout, trust(source.chunks, lines=lines))


def _described(
    place: Place, trusted: Sequence[_Looked], careful: Sequence[Unit], *, exact: bool
) -> TableSchema | None:
    """The columns of all files; None where each record of them has to be looked at."""
    import duckdb

    with place.scratch() as folder:
        seen = Seen()
        spool = Spool(place, folder, exact=exact)

        def spell(record: dict[str, Any]) -> str:
            line = as_seen(record, seen)
            if not exact and seen.inexact:
                raise _Inexact
            return line

        try:
            spool.fill(careful, spell, numbered=False)
        except _Inexact:
            return None
        if not exact and (seen.inexact or not (trusted or spool.rows)):
            return None
        _assert_columns(seen, careful, needed=exact)
        files = place.scanned([one.unit for one in trusted])
        if spool.rows:
            files.append(str(spool.path))
        size = {"maximum_object_size": spool.longest} if spool.longest > 16 << 20 else {}
        try:
            found = _scanned(place, files, size)
            if not exact and _is_doubtful(place, trusted, found, spool):
                return None
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error:
            if not exact:
                return None
            raise
    return TableSchema.from_pairs(
        (name, exact_type(kind, seen.fields.get(name, Seen()))) for name, kind in found.items()
    )


def _assert_columns(seen: Seen, units: Sequence[Unit], *, needed: bool) -> None:
    if needed and not seen.fields:
        raise SourceReadError(
            f"{units[0].position} has no records with keys: there is nothing to make columns of",
            hint="Put records in it, or say where they are with records:.",
        )
    if names := seen.colliding():
        raise SourceReadError(
            f"{units[0].position}: the keys {names[0]} and {names[1]} differ only in case",
            hint="Columns cannot. Give them one name at the source.",
        )


def _scanned(place: Place, files: Sequence[str], size: Mapping[str, Any]) -> dict[str, Kind]:
    found = _describe(place, files, {**_ALL, **size})
    if list(found) == ["json"]:
        # Of many columns of one type, or of sparse ones, the engine makes one.
        found = _describe(place, files, {**_ALL, **size, "map_inference_threshold": -1})
    return found


def _describe(place: Place, files: Sequence[str], options: Mapping[str, Any]) -> dict[str, Kind]:
    arguments = ", ".join(f"{name} = {literal(value)}" for name, value in options.items())
    rows = place.session.query(
        f"DESCRIBE SELECT * FROM read_json({literal(list(files))}, {arguments})"
    )
    return {row[0]: kind_of(row[1]) for row in rows}


def _is_doubtful(
    place: Place, trusted: Sequence[_Looked], found: Mapping[str, Kind], spool: Spool
) -> bool:
    if list(found) == ["json"] or any(_is_renamed(name, found) for name in found):
        return True
    if any(_has_nameless(kind) for kind in found.values()):
        return True
    if spool.large and any("DOUBLE" in kind.spelled for kind in found.values()):
        return True
    large = [one.unit for one in trusted if one.trust is Trust.NO_DOUBLES]
    if not large:
        return False
    inner = [kind for kind in found.values() if kind.name in ("struct", "list", "map")]
    if any("DOUBLE" in kind.spelled for kind in inner):
        return True
    doubles = [name for name, kind in found.items() if kind.name == "double"]
    if not doubles:
        return False
    columns = literal(dict.fromkeys(doubles, "DOUBLE"))
    largest = ", ".join(f"max(abs({identifier(name)}))" for name in doubles)
    files = literal(place.scanned(large))
    rows = place.session.query(f"SELECT {largest} FROM read_json({files}, columns = {columns})")
    return any(value is not None and value >= _EXACT for value in rows[0])


def _is_renamed(name: str, found: Mapping[str, Kind]) -> bool:
    if _NAMELESS.fullmatch(name):
        return True
    again = _AGAIN.fullmatch(name)
    return again is not None and any(
        other != name and other.lower() == again[1].lower() for other in found
    )


def _has_nameless(kind: Kind) -> bool:
    inner = (*kind.fields.values(), *([kind.item] if kind.item else []))
    return "" in kind.fields or any(map(_has_nameless, inner))
