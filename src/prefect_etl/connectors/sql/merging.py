"""Merges staged rows into a table, with the same statements in every destination.

One SELECT joins the staged rows to the table, once, and says what is to happen to each; what it
says is kept as a table, counted, and applied by the rows' places.

What happens: rows are ``inserted``, ``updated``, ``unchanged``, ``deleted`` or ``superseded``, as
they are counted. Of ``scd2`` tables an update closes the current version and inserts another. Where
the row began to hold no later than the current version, that one is ``rewritten`` (an update), or
``removed`` (a deletion): it would have held for no time at all. A row whose tracked columns are
equal is unchanged, and what is not tracked is ``refreshed``.
"""

from __future__ import annotations

from dataclasses import replace

from prefect_etl.connectors.sql.applying import applied, buried, forgotten, missing_ones
from prefect_etl.connectors.sql.counting import merged
from prefect_etl.connectors.sql.dialect import Statements
from prefect_etl.connectors.sql.staging import KEY, Staged, buries, stage_columns
from prefect_etl.connectors.sql.target import ACTION, PLACE, Target, same_key
from prefect_etl.core.accounting import Accounting
from prefect_etl.core.cursor import Window
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.load import Load
from prefect_etl.core.rows import DELETED, ROW_HASH, UNIT_ID, VALID_FROM, VALID_TO
from prefect_etl.core.sql import identifier
from prefect_etl.errors import DataError

# How an action is counted, where it has a name that counts do not have.
COUNTED_AS = {"rewritten": "updated", "removed": "deleted", "refreshed": "unchanged"}


def merge(
    database: Statements,
    target: Target,
    load: Load,
    staged: Staged,
    *,
    window: Window | None,
    empty: bool = False,
) -> dict[int, Accounting]:
    """Merge the staged rows (``merge`` or ``scd2``), and say what became of them, by unit.

    Args:
        database: The open transaction.
        target: Where.
        load: Whose rows.
        staged: How many they are.
        window: As :func:`~prefect_etl.connectors.sql.staging.bounds` gives it.
        empty: The table has no rows, so nothing can be missing.

    Raises:
        AccountingError: A row is of a unit that is not in the load.
        DataError: Two keys of the load are one in the table.
    """
    if empty:  # nothing to compare with, nothing to keep aside
        target = replace(target, actions=f"({_all_new(target)})")
    else:
        database.run(f"CREATE TEMP TABLE {target.actions} AS {decided(target, load)}")
        _assert_keys_differ(database, target, load)
    found = [
        (unit, action, rows)
        for unit, action, rows in database.rows(
            f"SELECT {UNIT_ID}, {ACTION}, count(*) FROM {target.actions} a GROUP BY 1, 2"
        )
    ]
    missing = 0
    if load.finds_missing and not empty:
        missing = sum(database.run(sql) for sql in missing_ones(target, load))
    happened = {action for _, action, _ in found} - ({"deleted"} if empty else set())
    for sql in applied(target, load, happened):
        database.run(sql)
    happened = {action for _, action, _ in found}
    for sql in (*buried(target, load, happened), *forgotten(target, load, window)):
        database.run(sql)
    if not empty:
        database.run(f"DROP TABLE {target.actions}")
    actions = [(unit, COUNTED_AS.get(action, action), rows) for unit, action, rows in found]
    return merged(load, staged.written, staged.superseded, actions, missing)


def _assert_keys_differ(database: Statements, target: Target, load: Load) -> None:
    """Make sure that no two keys of the load are one in the table, as where case is no difference.

    Raises:
        DataError: Two are; which of their rows counts, nobody can say.
    """
    if all(load.evolution.schema[name].type != "VARCHAR" for name in load.dataset.key):
        return
    twice = database.rows(
        f"SELECT {PLACE} FROM {target.actions} a WHERE {PLACE} IS NOT NULL "
        f"GROUP BY {PLACE} HAVING count(*) > 1 LIMIT 1"
    )
    if twice:
        raise DataError(
            f"{load.dataset.name}: two keys of the load are one key of the table "
            f"{'.'.join(filter(None, target.named))}, which does not tell their texts apart",
            hint="Give the key's columns a collation that does (or the type text), or make the "
            "source's keys alike.",
        )


def _all_new(target: Target) -> str:
    """What is decided of rows for an empty table."""
    action = f"CASE WHEN s.{DELETED} THEN 'deleted' ELSE 'inserted' END"
    return f"SELECT s.*, {action} AS {ACTION} FROM {target.stage} s"


def decided(target: Target, load: Load) -> str:
    """A SELECT of the staged rows with what is to happen to each, and to which row."""
    names = [c.name for c in stage_columns(load) if c.name not in (DELETED, VALID_FROM)]
    columns = [f"s.{identifier(name)}" for name in names]
    joins = [f"LEFT JOIN {target.table} t ON {same_key(load.dataset, 's', 't')}"]
    if load.dataset.write == "scd2":
        joins = [f"{joins[0]} AND t.{VALID_TO} IS NULL", _ended(target, load.dataset)]
        columns.append(f"{_begin(target)} AS {VALID_FROM}")
    if buries(load):
        joins.append(f"LEFT JOIN {target.tombstones} g ON {target.this} AND g.key = s.{KEY}")
    columns.append(f"{target.dialect.place('t')} AS {PLACE}")
    columns.append(f"{_action(target, load)} AS {ACTION}")
    return f"SELECT {', '.join(columns)} FROM {target.stage} s {' '.join(joins)}"


def _ended(target: Target, dataset: DatasetSpec) -> str:
    """When the last version of a key ended: a new one does not begin before."""
    keys = ", ".join(f"h.{identifier(name)}" for name in dataset.key)
    ended = (
        f"SELECT {keys}, max(h.{VALID_TO}) AS _etl_ended FROM {target.table} h "
        f"JOIN {target.stage} n ON {same_key(dataset, 'n', 'h')} "
        f"WHERE h.{VALID_TO} IS NOT NULL GROUP BY {keys}"
    )
    return f"LEFT JOIN ({ended}) e ON {same_key(dataset, 's', 'e')}"


def _begin(target: Target) -> str:
    """When the version that a row becomes begins; of a deletion, when it ends."""
    present = f"{target.dialect.place('t')} IS NOT NULL"
    stays = f"t.{ROW_HASH} = s.{ROW_HASH} OR s.{VALID_FROM} <= t.{VALID_FROM}"
    return (
        f"CASE WHEN NOT s.{DELETED} AND {present} AND ({stays}) THEN t.{VALID_FROM} "
        f"WHEN NOT ({present}) AND e._etl_ended > s.{VALID_FROM} THEN e._etl_ended "
        f"ELSE s.{VALID_FROM} END"
    )


def _action(target: Target, load: Load) -> str:
    present = f"{target.dialect.place('t')} IS NOT NULL"
    equal = " AND ".join(
        target.dialect.same(f"s.{identifier(c.name)}", f"t.{identifier(c.name)}", c.type)
        for c in load.evolution.schema
    )
    late = f"WHEN {_late(target, load, present)} THEN 'superseded' "
    if load.dataset.write == "merge":
        return (
            f"CASE {late}WHEN s.{DELETED} THEN 'deleted' WHEN NOT ({present}) THEN 'inserted' "
            f"WHEN {equal} THEN 'unchanged' ELSE 'updated' END"
        )
    at_once = f"s.{VALID_FROM} <= t.{VALID_FROM}"
    return (
        f"CASE {late}"
        f"WHEN s.{DELETED} AND {present} AND {at_once} THEN 'removed' "
        f"WHEN s.{DELETED} THEN 'deleted' WHEN NOT ({present}) THEN 'inserted' "
        f"WHEN t.{ROW_HASH} = s.{ROW_HASH} AND {equal} THEN 'unchanged' "
        f"WHEN t.{ROW_HASH} = s.{ROW_HASH} THEN 'refreshed' "
        f"WHEN {at_once} THEN 'rewritten' ELSE 'updated' END"
    )


def _late(target: Target, load: Load, present: str) -> str:
    """Whether a row is older than the table's, or than the deletion of its key."""
    if load.dataset.cursor_column is None:
        return f"({present})" if load.older else "FALSE"
    column = load.evolution.schema[load.dataset.cursor_column]
    mine, theirs = (f"{table}.{identifier(column.name)}" for table in "st")
    less = f"{target.dialect.ordered(mine, column.type)} {'<=' if load.older else '<'} "
    # Null is lower than any cursor, here as elsewhere.
    lowest = f"{mine} IS NULL" + ("" if load.older else f" AND {theirs} IS NOT NULL")
    late = f"({present} AND ({less}{target.dialect.ordered(theirs, column.type)} OR ({lowest})))"
    if not buries(load):
        return late
    buried = target.dialect.parsed("g.cursor_value", column.type)
    before = f"{mine} IS NULL OR {less}{target.dialect.ordered(buried, column.type)}"
    return f"({late} OR (g.cursor_value IS NOT NULL AND ({before})))"
