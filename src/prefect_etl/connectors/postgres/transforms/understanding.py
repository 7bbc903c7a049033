"""What the server itself understands of a user's SQL: the tables and functions that it would use.

Another parser that understands a text differently would be a hole. So the text becomes a temporary
view, which runs nothing, and the tree that the server keeps of it is searched for the numbers of
tables and functions (``pg_rewrite.ev_action``; names in it have their blanks escaped, so none can
look like a field). Then the view is dropped, and the text runs, in a transaction that may write to
temporary tables only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.postgres.transforms.faults import of_user
from prefect_etl.core.sql import identifier
from prefect_etl.core.warehouse import TableRef
from prefect_etl.errors import ConfigError

if TYPE_CHECKING:
    import psycopg

_VIEW = "_etl_understood"
_IN_TEMP = f"pg_temp.{_VIEW}"
_TABLES = re.compile(r":relid (\d+)")
_FUNCTIONS = re.compile(r":(?:\w*funcid|aggfnoid|winfnoid|tsmhandler) (\d+)")
_OPERATORS = re.compile(r":opno (\d+)")
_HINT = "A transformation is one SELECT over tables; it may compute, but not reach beyond them."
# Of the functions whose result may be another one at each call, those that only compute.
_COMPUTING = frozenset(
    {
        "array_sample",
        "array_shuffle",
        "bernoulli",
        "clock_timestamp",
        "gen_random_uuid",
        "random",
        "random_normal",
        "system",
        "timeofday",
        "uuidv4",
        "uuidv7",
    }
)
# Of those that tell of the server, the ones that tell of a value.
_OF_VALUES = frozenset(("pg_collation_for", "pg_column_size", "pg_input_is_valid", "pg_typeof"))
_TELLING = re.compile(r"pg_|lo_|inet_(?:client|server)_|current_setting$|\w+_to_xml")


@dataclass(frozen=True, slots=True)
class Function:
    """A function as the catalog has it.

    Attributes:
        schema: Its schema.
        name: Its name.
        volatility: ``provolatile``: i for immutable, s for stable, v for volatile.
    """

    schema: str
    name: str
    volatility: str

    @property
    def harmless(self) -> bool:
        """Whether it computes, as far as its owner says.

        What reads files, sends, sleeps, locks, writes or runs SQL from text is volatile, and may
        not be said to be anything else.

        Example:
            >>> Function("pg_catalog", "upper", "i").harmless
            True
            >>> Function("pg_catalog", "pg_read_file", "v").harmless
            False
        """
        own = self.schema == "pg_catalog"
        if self.volatility == "v":
            return own and self.name in _COMPUTING
        telling = own and self.volatility == "s" and _TELLING.match(self.name) is not None
        return not telling or self.name in _OF_VALUES


def understand(
    connection: psycopg.Connection[Any],
    sql: str,
    reads: Collection[TableRef] | None,
    stage: str | None = None,
) -> list[tuple[str, str]]:
    """Make sure that a SELECT uses what it may use, and find its columns.

    Args:
        connection: In a transaction that may write.
        sql: A text that should be one SELECT.
        reads: The tables that it may read; None for one that reads temporary tables only.
        stage: A name for an empty temporary table that gets its columns.

    Returns:
        The columns, with PostgreSQL's types.

    Raises:
        ConfigError: It uses something else.
    """
    # Prepared, because the server then refuses a text of several statements.
    view = f"CREATE TEMP VIEW {_VIEW} AS\n{sql}"
    with of_user(view):
        connection.execute(view.encode(), prepare=True)
    assert_harmless(connection, _IN_TEMP, reads)
    columns = connection.execute(
        "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
        (_IN_TEMP,),
    ).fetchall()
    if stage is not None:
        connection.execute(f"CREATE TEMP TABLE {identifier(stage)} (LIKE {_IN_TEMP})".encode())
    connection.execute(f"DROP VIEW {_IN_TEMP}".encode())
    return columns


def assert_harmless(
    connection: psycopg.Connection[Any], view: str, reads: Collection[TableRef] | None
) -> None:
    """Make sure that a view uses what it may use.

    Args:
        connection: To ask.
        view: Its name, quoted.
        reads: The tables that it may read; None for temporary ones.

    Raises:
        ConfigError: It uses something else.
    """
    row = connection.execute(
        "SELECT ev_action::text, ev_class::bigint FROM pg_rewrite WHERE ev_class = %s::regclass",
        (view,),
    ).fetchone()
    tree, itself = row or ("", 0)
    tables = _numbers(_TABLES, tree) - {itself}
    for schema, name, temporary in _relations(connection, [*tables]):
        if temporary if reads is None else TableRef(schema, name) in reads:
            continue
        raise ConfigError(
            f"the SQL reads {schema}.{name}, which is not among its tables", hint=_HINT
        )
    functions = _numbers(_FUNCTIONS, tree)
    for function in _functions(connection, [*functions], [*_numbers(_OPERATORS, tree)]):
        if not function.harmless:
            _refuse(function)


def _refuse(function: Function) -> None:
    hint = _HINT
    if function.schema != "pg_catalog":
        hint = (
            "It may write or reach beyond the database. If it only computes, say so: "
            f"ALTER FUNCTION {function.schema}.{function.name} STABLE."
        )
    raise ConfigError(f"the SQL uses {function.name}(), which may do more than compute", hint=hint)


def _numbers(pattern: re.Pattern[str], tree: str) -> set[int]:
    return {int(number) for number in pattern.findall(tree)} - {0}


def _relations(
    connection: psycopg.Connection[Any], oids: Sequence[int]
) -> list[tuple[str, str, bool]]:
    return connection.execute(
        "SELECT n.nspname::text, c.relname::text, c.relpersistence = 't' FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY(%s::oid[])",
        (oids,),
    ).fetchall()


def _functions(
    connection: psycopg.Connection[Any], oids: Sequence[int], operators: Sequence[int]
) -> list[Function]:
    rows = connection.execute(
        "SELECT n.nspname::text, p.proname::text, p.provolatile::text FROM pg_proc p "
        "JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid = ANY(%(functions)s::oid[]) "
        "OR p.oid IN (SELECT oprcode FROM pg_operator WHERE oid = ANY(%(operators)s::oid[])) "
        "ORDER BY p.provolatile = 'v' DESC, p.proname",
        {"functions": oids, "operators": operators},
    ).fetchall()
    return [Function(*row) for row in rows]
