"""The statements that do to a table what was decided, and those that need no decision."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from prefect_etl.connectors.sql.dialect import Dialect
from prefect_etl.connectors.sql.staging import KEY, MOMENT, buries, moment_text
from prefect_etl.connectors.sql.target import ACTION, PLACE, Target, same_key
from prefect_etl.core.cursor import Window
from prefect_etl.core.load import Load
from prefect_etl.core.rows import ROW_HASH, UNIT_ID, VALID_FROM, VALID_TO
from prefect_etl.core.sql import identifier, literal, literals

_NOTHING = frozenset({"superseded", "unchanged", "refreshed"})


def applied(target: Target, load: Load, happened: AbstractSet[str]) -> list[str]:
    """The statements that do to the table what was decided.

    Args:
        target: Where.
        load: Whose rows.
        happened: The actions that occur; what none asks for is left out.
    """
    columns = list(load.evolution.schema.names)
    if load.dataset.write == "scd2":
        columns.append(ROW_HASH)
        closed, gone = {"updated", "deleted"}, {"removed"}
        overwritten, new = {"rewritten", "refreshed"}, {"inserted", "updated"}
    else:
        closed, gone, overwritten, new = set(), {"deleted"}, {"updated"}, {"inserted"}
    if not target.dialect.in_place:
        gone, new, overwritten = gone | overwritten, new | overwritten, set()
    inserted = [*columns, *([VALID_FROM] if load.dataset.write == "scd2" else [])]
    statements = []
    if closed & happened:
        statements.append(_update(target, {VALID_TO: VALID_FROM}, closed))
    if gone & happened:
        statements.append(_delete(target, gone))
    if overwritten & happened:
        statements.append(_update(target, {name: name for name in columns}, overwritten))
    if new & happened:
        statements.append(_insert(target, inserted, new))
    return statements


def _among(actions: Iterable[str]) -> str:
    return f"{ACTION} IN ({literals(sorted(actions))})"


def _update(target: Target, columns: dict[str, str], actions: set[str]) -> str:
    changes = (f"{identifier(mine)} = a.{identifier(theirs)}" for mine, theirs in columns.items())
    return (
        f"UPDATE {target.table} AS t SET {', '.join(changes)} FROM {target.actions} a "
        f"WHERE {target.dialect.place('t')} = a.{PLACE} AND a.{_among(actions)}"
    )


def _delete(target: Target, actions: set[str]) -> str:
    return (
        f"DELETE FROM {target.table} AS t WHERE {target.dialect.place('t')} IN "
        f"(SELECT {PLACE} FROM {target.actions} WHERE {PLACE} IS NOT NULL AND {_among(actions)})"
    )


def _insert(target: Target, columns: list[str], actions: set[str]) -> str:
    names = ", ".join(identifier(name) for name in columns)
    return (
        f"INSERT INTO {target.table} ({names}) SELECT {names} FROM {target.actions} a "
        f"WHERE {_among(actions)}"
    )


def is_missing(target: Target, load: Load) -> str:
    """The condition that the key of a row ``t`` is not among those that the source has."""
    places = [target.stage] if target.keys is None else [target.stage, target.keys]
    same = same_key(load.dataset, "s", "t")
    return " AND ".join(f"NOT EXISTS (SELECT 1 FROM {place} s WHERE {same})" for place in places)


def missing_ones(target: Target, load: Load) -> list[str]:
    """The statements that delete, or close, the rows whose keys are not among those of a load."""
    absent = is_missing(target, load)
    if load.dataset.write == "merge":
        return [f"DELETE FROM {target.table} AS t WHERE {absent}"]
    moment = target.dialect.parsed(literal(moment_text(load.moment)), MOMENT)
    current = f"t.{VALID_TO} IS NULL AND t.{VALID_FROM}"
    close = f"UPDATE {target.table} AS t SET {VALID_TO} = {moment}"
    return [
        f"{close} WHERE {current} < {moment} AND {absent}",
        f"DELETE FROM {target.table} AS t WHERE {current} >= {moment} AND {absent}",
    ]


def buried(target: Target, load: Load, happened: AbstractSet[str]) -> list[str]:
    """The statements that remember which keys were deleted at which cursor, and forget others."""
    if not buries(load) or not happened - _NOTHING:
        return []
    column = load.evolution.schema[str(load.dataset.cursor_column)]
    name = identifier(column.name)
    changed = f"SELECT {KEY} FROM {target.actions} a WHERE NOT {_among(_NOTHING)}"
    text = target.dialect.spelled(name, column.type)
    deleted = f"{_among({'deleted', 'removed'})} AND {name} IS NOT NULL"
    graves = (
        f"SELECT {literals(target.named)}, {KEY}, {text} FROM {target.actions} a WHERE {deleted}"
    )
    columns = "table_schema, table_name, key, cursor_value"
    return [
        f"DELETE FROM {target.tombstones} WHERE {target.this} AND key IN ({changed})",
        f"INSERT INTO {target.tombstones} ({columns}) {graves}",
    ]


def forgotten(target: Target, load: Load, window: Window | None) -> list[str]:
    """The statement that forgets deletions that no late row can come before any more.

    Args:
        target: Where.
        load: Whose rows.
        window: As :func:`~prefect_etl.connectors.sql.staging.bounds` gives it.
    """
    if window is None or window.open or not buries(load):
        return []
    kind, dialect = load.evolution.schema[str(load.dataset.cursor_column)].type, target.dialect
    buried_at = dialect.ordered(dialect.parsed("cursor_value", kind), kind)
    lower = dialect.ordered(dialect.parsed(literal(window.lower), kind), kind)
    return [f"DELETE FROM {target.tombstones} WHERE {target.this} AND {buried_at} < {lower}"]


def read_again(table: str, load: Load, dialect: Dialect, window: Window | None) -> list[str]:
    """The statements that take out of an append's table what the load brings again.

    These are the rows of earlier versions of its units, and those of its window; the sum of their
    row counts is ``replaced``.

    Args:
        table: The table, quoted.
        load: What comes.
        dialect: The destination's.
        window: As :func:`~prefect_etl.connectors.sql.staging.bounds` gives it.
    """
    known = load.state.units
    positions = [unit.unit.position for unit in load.units]
    earlier = [known[position].unit_id for position in positions if position in known]
    statements = []
    if earlier:
        statements.append(f"DELETE FROM {table} WHERE {UNIT_ID} IN ({literals(earlier)})")
    if window is not None:
        statements.append(f"DELETE FROM {table} WHERE {_within(window, load, dialect)}")
    return statements


def _within(window: Window, load: Load, dialect: Dialect) -> str:
    column = load.evolution.schema[str(load.dataset.cursor_column)]
    value = dialect.ordered(identifier(column.name), column.type)

    def bound(text: str | None) -> str:
        return dialect.ordered(dialect.parsed(literal(text), column.type), column.type)

    within = f"{value} >= {bound(window.lower)}"
    if load.dataset.carries_unit:  # rows of an adopted table have none, and are nobody's to delete
        within = f"{UNIT_ID} IS NOT NULL AND {within}"
    # A window that is closed ends where the source did: all behind it is read again.
    return f"{within} AND {value} < {bound(window.upper)}" if window.open else within
