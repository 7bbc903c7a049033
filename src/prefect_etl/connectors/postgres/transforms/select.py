"""What a user's SQL says that it reads: one SELECT over tables, and nothing else.

It is looked at before its tables need to exist, so it is read here and not by the server. This
finds mistakes early and names the tables. It guards nothing: before the text runs, the server
itself is asked what it understood (:mod:`.understanding`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.transforming import Select
from prefect_etl.core.sql import literal
from prefect_etl.core.warehouse import TableRef
from prefect_etl.errors import ConfigError

if TYPE_CHECKING:
    from sqlglot import exp

HINT = "A transformation is one SELECT over tables; files become tables as datasets."
_PLACEHOLDER = re.compile(
    r"""
    [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/
    | \$([A-Za-z_]\w*|)\$.*?\$\1\$ | (?<![\w$])\$(?P<name>[A-Za-z_]\w*)
    """,
    re.VERBOSE | re.DOTALL,
)
_COLOURS = re.compile(r"\x1b\[\d+m")


@dataclass(slots=True)
class _Found:
    reads: dict[TableRef, None] = field(default_factory=dict)
    bare: set[TableRef] = field(default_factory=set)
    parameters: set[str] = field(default_factory=set)
    queries: int = 0


def parse_select(sql: str, default_schema: str) -> Select:
    """Find out what a SELECT reads.

    Args:
        sql: The text.
        default_schema: The schema of tables that are named without one.

    Raises:
        ConfigError: It is not one SELECT, or locks rows, or makes a table.

    Example:
        >>> found = parse_select("SELECT * FROM a JOIN raw.b USING (id) WHERE x > $low", "public")
        >>> [str(table) for table in found.reads], sorted(found.parameters)
        (['public.a', 'raw.b'], ['low'])
    """
    found = _search(_tree(sql), default_schema)
    return Select(sql, tuple(found.reads), frozenset(found.parameters), frozenset(found.bare))


def check_condition(sql: str) -> None:
    """Make sure that a text is one condition on the columns of a row.

    Raises:
        ConfigError: It is not, or has a subquery or a parameter.

    Example:
        >>> check_condition("share BETWEEN 0 AND 1")
    """
    from sqlglot import exp

    tree = _tree(f"SELECT (\n{sql}\n) FROM _etl_row")
    found = _search(tree, "")
    parts = {name for name, part in tree.args.items() if part}
    plain = (
        isinstance(tree, exp.Select)
        and parts <= {"expressions", "from_", "from"}
        and len(tree.expressions) == 1
        and isinstance(tree.expressions[0], exp.Paren)
        and list(found.reads) == [TableRef("", "_etl_row")]
        and not any(tree.find_all(exp.TableAlias))
    )
    if not plain or found.queries > 1 or found.parameters:
        raise ConfigError(
            f"{sql!r} is not a condition on the columns of one row",
            hint="Write for example: amount >= 0. Subqueries belong in the transformation's SQL.",
        )


def bind_parameters(select: Select, values: Mapping[str, Any]) -> Select:
    """A SELECT with its parameters written out: so the server sees of it what will run.

    Args:
        select: From :func:`parse_select`.
        values: By parameter; every parameter has one.

    Raises:
        ConfigError: A value cannot be written as SQL.

    Example:
        >>> bind_parameters(parse_select("SELECT 1 -$n, '$n'", "public"), {"n": -5}).sql
        "SELECT 1 -(-5), '$n'"
    """
    named = {name.casefold(): value for name, value in values.items()}

    def replaced(match: re.Match[str]) -> str:
        name = match["name"]
        return match[0] if name is None else _spelled(name, named[name.casefold()])

    text = _PLACEHOLDER.sub(replaced, select.sql)
    left = parse_select(text, "").parameters
    if left:
        raise ConfigError(f"the parameters {', '.join(sorted(left))} cannot be written into it")
    return replace(select, sql=text, parameters=frozenset())


def _spelled(name: str, value: Any) -> str:
    match value:
        case datetime():
            kind = "TIMESTAMPTZ" if value.tzinfo else "TIMESTAMP"
            return f"{kind} {literal(value.isoformat(sep=' '))}"
        case date():
            return f"DATE {literal(value.isoformat())}"
        case list() | tuple():
            return f"ARRAY[{', '.join(_spelled(name, part) for part in value)}]"
        case float() if not isfinite(value):
            return f"CAST({literal(str(value))} AS double precision)"
        case bool() | None:
            return literal(value)
        case int() | float():
            return f"({literal(value)})"  # a sign might make a comment of what is before
        case str() if "\0" not in value:
            return literal(value)
    raise ConfigError(
        f"parameter {name} is a {type(value).__name__}, which cannot be written into SQL",
        hint="Give text, a number, true or false, a date, or a list of them.",
    )


def _tree(sql: str) -> exp.Expr:
    """The syntax tree of a text that is one SELECT."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    if "\0" in sql:
        raise ConfigError("the SQL contains a NUL character")
    try:
        found = [part for part in sqlglot.parse(sql, dialect="postgres") if part is not None]
    except SqlglotError as error:
        said = _COLOURS.sub("", str(error)).strip()
        raise ConfigError(f"the SQL cannot be read: {said}") from error
    except RecursionError as error:
        raise ConfigError("the SQL cannot be read: it is nested too deeply") from error
    kinds = [part.key.upper() for part in found if not isinstance(part, exp.Semicolon)]
    if len(kinds) != 1 or not isinstance(found[0], exp.Query | exp.Values):
        what = " and ".join(kinds) if kinds else "empty"
        raise ConfigError(f"the SQL is not one SELECT: it is {what}", hint=HINT)
    return found[0]


def _search(tree: exp.Expr, default_schema: str) -> _Found:
    """What a tree reads."""
    found = _Found()
    waiting: list[tuple[exp.Expr, frozenset[str]]] = [(tree, frozenset())]
    while waiting:  # a long chain of AND is a deep tree
        node, scope = waiting.pop()
        _note(node, scope, default_schema, found)
        waiting.extend(reversed([*_parts(node, scope)]))
    return found


def _note(node: exp.Expr, scope: frozenset[str], default_schema: str, found: _Found) -> None:
    from sqlglot import exp

    forbidden = (exp.DML, exp.DDL, exp.Into, exp.Lock, exp.Command)
    if isinstance(node, forbidden) and not isinstance(node, exp.Query):
        what = "FOR UPDATE" if isinstance(node, exp.Lock) else node.key.upper()
        raise ConfigError(f"the SQL is not one SELECT: it has {what}", hint=HINT)
    match node:
        case exp.Table() if isinstance(node.this, exp.Identifier):
            if node.db or _folded(node.this).casefold() not in scope:
                _note_table(node, default_schema, found)
        case exp.Parameter() if isinstance(node.this, exp.Var):
            found.parameters.add(node.name)
        case exp.Parameter() | exp.Placeholder():
            raise ConfigError(
                "the SQL has a parameter without a name",
                hint="Write $name, and give it a value under parameters:.",
            )
        case exp.Query() if not isinstance(node, exp.Subquery):
            found.queries += 1


def _note_table(node: exp.Table, default_schema: str, found: _Found) -> None:
    from sqlglot import exp

    if node.catalog:
        raise ConfigError(
            f"the SQL reads {node.catalog}.{node.db}.{node.name}, with a database in front",
            hint="Write schema.table: only tables of the destination can be read.",
        )
    schema = node.args.get("db")
    named = _folded(schema) if isinstance(schema, exp.Identifier) else default_schema
    table = TableRef(named, _folded(node.this))
    found.reads[table] = None
    if schema is None:
        found.bare.add(table)


def _folded(identifier: exp.Identifier) -> str:
    """A name as PostgreSQL takes it: without quotes it is in lower case."""
    name = identifier.name
    return name if identifier.args.get("quoted") else name.lower()


def _parts(node: exp.Expr, scope: frozenset[str]) -> Iterator[tuple[exp.Expr, frozenset[str]]]:
    """The parts of a node, each with the CTEs that it sees."""
    from sqlglot import exp

    tables = next((part for part in node.iter_expressions() if isinstance(part, exp.With)), None)
    if tables is not None:
        if tables.recursive:  # then each sees all
            scope |= {_cte_name(cte) for cte in tables.expressions}
        for cte in tables.expressions:
            yield cte, scope
            scope |= {_cte_name(cte)}
    for part in node.iter_expressions():
        if part is not tables:
            yield part, scope


def _cte_name(cte: exp.Expr) -> str:
    return cte.alias.casefold()
