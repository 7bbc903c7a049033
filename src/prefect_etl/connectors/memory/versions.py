"""What a load does to a table of versions (``scd2``), in plain Python.

A key's versions follow each other without overlap; the last may be current (no end), or the key is
closed. For the latest row of each key, unless it is late:

- It asks for a deletion: the current version ends when the row began to hold.
- Nothing of the key is current: a version begins, not before the last one ended.
- What is tracked is equal: unchanged; the other columns are the row's from now on.
- Else the current version ends and the row's begins.

A version that would hold for no time at all leaves nothing behind: the row takes its place, or it
is taken out. Of a whole load, the keys that it does not have end when it was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any

from prefect_etl.connectors.memory.rules import (
    Counter,
    Given,
    Incoming,
    Key,
    Row,
    Values,
    bury,
    comparable,
    cursor_of,
    is_late,
    key_of,
    latest_rows,
)
from prefect_etl.core.load import Load
from prefect_etl.core.rows import VALID_FROM, VALID_TO


def put_versions(
    present: Sequence[Row],
    tombstones: dict[Key, Any],
    load: Load,
    given: Given,
    counter: Counter,
) -> list[Row]:
    """The versions after a load; tombstones change in place."""
    table = _Versions(load)
    for version in present:
        table.add(version)
    latest = latest_rows(load, given.rows, counter)
    if load.finds_missing:
        missing = [key for key in table.current if key not in latest and key not in given.keys]
        counter.add_to_first("missing", len(missing))
        for key in missing:
            table.end(key, load.moment)
    for key, row in latest.items():
        if is_late(row, table.current.get(key), tombstones.get(key), load):
            counter.add(row.unit_id, "superseded")
            continue
        action = table.put(key, row)
        counter.add(row.unit_id, action)
        if action != "unchanged":
            bury(tombstones, key, row, load)
    return [*table.closed, *table.current.values()]


class _Versions:
    """The versions of all keys."""

    def __init__(self, load: Load) -> None:
        self.current: dict[Key, Row] = {}
        self.closed: list[Row] = []
        self._ended: dict[Key, datetime] = {}
        self._load = load

    def add(self, row: Row) -> None:
        """A version that is there."""
        key, until = key_of(row.values, self._load), row.values[VALID_TO]
        if until is None:
            self.current[key] = row
        else:
            self.closed.append(row)
            self._ended[key] = max(until, self._ended.get(key, until))

    def end(self, key: Key, moment: datetime) -> None:
        """The current version of a key, if there is one, holds until a moment."""
        row = self.current.pop(key, None)
        if row is not None and row.values[VALID_FROM] < moment:
            self.closed.append(Row(row.unit_id, {**row.values, VALID_TO: moment}))

    def put(self, key: Key, row: Incoming) -> str:
        """Take in a row that is not late; what became of it."""
        old, begin = self.current.get(key), _begin(row, self._load)
        if row.deleted:
            self.end(key, begin)
            return "deleted"
        if old is None:
            self.current[key] = _version(row, max(begin, self._ended.get(key, begin)))
            return "inserted"
        since = old.values[VALID_FROM]
        if _tracked(row.values, self._load) == _tracked(old.values, self._load):
            self.current[key] = _version(row, since)
            return "unchanged"
        self.end(key, begin)
        self.current[key] = _version(row, max(begin, since))
        return "updated"


def _version(row: Incoming, begin: datetime) -> Row:
    return Row(row.unit_id, {**row.values, VALID_FROM: begin, VALID_TO: None})


def _begin(row: Incoming, load: Load) -> datetime:
    """The row's cursor where it is a time (UTC where it has no zone), else when it was read."""
    cursor = cursor_of(row.values, load)
    if isinstance(cursor, datetime):
        return cursor if cursor.tzinfo else cursor.replace(tzinfo=UTC)
    if isinstance(cursor, date):
        return datetime.combine(cursor, time(), UTC)
    return load.moment


def _tracked(values: Values, load: Load) -> list[Any]:
    names = load.dataset.track
    if not names:
        others = {name.lower() for name in (*load.dataset.key, load.dataset.cursor_column or "")}
        names = tuple(name for name in load.evolution.schema.names if name.lower() not in others)
    lower = {name.lower(): value for name, value in values.items()}
    return [comparable(lower[name.lower()]) for name in names]
