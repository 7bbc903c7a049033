"""What a user's SQL may do in DuckDB: be one SELECT that reads tables.

DuckDB's own parser is asked, through ``json_serialize_sql``: a second parser that understands a
text differently would be a hole. The tables found are all there are, and the caller makes sure
that each is a table of the warehouse before the text runs, so DuckDB never goes on to look for a
file of that name (https://duckdb.org/docs/stable/guides/file_formats/query_parquet).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from prefect_etl.connectors.duckdb.words import PURE, TELLING, unparsable
from prefect_etl.connectors.transforming import Select
from prefect_etl.core.sql import literal
from prefect_etl.core.warehouse import TableRef
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import ConfigError

_HINT = "A transformation is one SELECT over tables; files become tables as datasets."
_LOOKS_LIKE_FILE = re.compile(
    r"[/\\*:]|\.(csv|tsv|txt|json\w*|ndjson|parquet|arrow|db|duckdb|xlsx|gz|zst)$"
)
# A recursive CTE under its alias for all rows so far.
_RECURRING = "recurring"
_PLACEHOLDER = re.compile(
    r"""
    [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/
    | \$([A-Za-z_]\w*|)\$.*?\$\1\$ | (?<![\w$])\$(?P<name>[A-Za-z_]\w*)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(slots=True)
class _Found:
    reads: dict[TableRef, None] = field(default_factory=dict)
    bare: set[TableRef] = field(default_factory=set)
    parameters: set[str] = field(default_factory=set)
    subqueries: int = 0


def parse_select(session: Session, sql: str, catalog: str, default_schema: str) -> Select:
    """Find out what a SELECT reads.

    Args:
        session: Its engine parses.
        sql: The text.
        catalog: The name of the database that its tables are in.
        default_schema: The schema of tables that are named without one.

    Raises:
        ConfigError: It is not one SELECT, or would read files or the network.

    Example:
        >>> found = parse_select(Session(), "SELECT * FROM a JOIN raw.b USING (id)", "w", "main")
        >>> [str(table) for table in found.reads]
        ['main.a', 'raw.b']
    """
    found = _search(_tree(session, sql), _Names(catalog, default_schema))
    positional = sorted(name for name in found.parameters if name.isdigit())
    if positional:
        raise ConfigError(
            "the SQL has a parameter without a name",
            hint="Write $name, and give it a value under parameters:.",
        )
    return Select(sql, tuple(found.reads), frozenset(found.parameters), frozenset(found.bare))


def check_condition(session: Session, sql: str) -> None:
    """Make sure that a text is one condition on the columns of a row.

    Raises:
        ConfigError: It is not, or has a subquery or a parameter.

    Example:
        >>> check_condition(Session(), "share BETWEEN 0 AND 1")
    """
    node = _tree(session, f"SELECT (\n{sql}\n) FROM _etl_row")
    found = _search(node, _Names("", ""))
    plain = (
        node.get("type") == "SELECT_NODE"
        and len(node["select_list"]) == 1
        and node["from_table"].get("type") == "BASE_TABLE"
        and not node["modifiers"]
        and not any(node[part] for part in ("where_clause", "having", "qualify", "sample"))
        and not node["group_expressions"]
    )
    if not plain or found.subqueries or found.parameters:
        raise ConfigError(
            f"{sql!r} is not a condition on the columns of one row",
            hint="Write for example: amount >= 0. Subqueries belong in the transformation's SQL.",
        )


def bind_parameters(session: Session, select: Select, values: Mapping[str, Any]) -> Select:
    """A SELECT with its parameters written out.

    Args:
        session: Its engine parses.
        select: From :func:`parse_select`.
        values: By parameter; every parameter has one.

    Raises:
        ConfigError: A value cannot be written as SQL.
    """
    named = {name.casefold(): value for name, value in values.items()}

    def replaced(match: re.Match[str]) -> str:
        name = match["name"]
        return match[0] if name is None else _spelled(name, named[name.casefold()])

    text = _PLACEHOLDER.sub(replaced, select.sql)
    left = _parameters(_tree(session, text))
    if left:
        raise ConfigError(f"the parameters {', '.join(sorted(left))} cannot be written into a view")
    return replace(select, sql=text, parameters=frozenset())


def _parameters(node: Any) -> set[str]:
    parts = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    found = set().union(*(_parameters(part) for part in parts))
    if isinstance(node, dict) and node.get("type") == "VALUE_PARAMETER":
        found.add(node["identifier"])
    return found


def _spelled(name: str, value: Any) -> str:
    match value:
        case datetime():
            kind = "TIMESTAMPTZ" if value.tzinfo else "TIMESTAMP"
            return f"{kind} {literal(value.isoformat(sep=' '))}"
        case date():
            return f"DATE {literal(value.isoformat())}"
        case list() | tuple():
            return f"[{', '.join(_spelled(name, part) for part in value)}]"
        case None | bool() | str():
            return literal(value)
        case int() | float():
            return f"({literal(value)})"  # a sign might make a comment of what is before
    raise ConfigError(
        f"parameter {name} is a {type(value).__name__}, which cannot be written into a view",
        hint="Give text, a number, true or false, a date, or a list of them.",
    )


@dataclass(frozen=True, slots=True)
class _Names:
    catalog: str
    default_schema: str

    def table(self, node: Mapping[str, Any]) -> TableRef:
        catalog, schema, name = node["catalog_name"], node["schema_name"], node["table_name"]
        here = self.catalog.casefold()
        if catalog and catalog.casefold() != here:
            raise ConfigError(
                f"the SQL reads {catalog}.{schema}.{name}, which is in another database", hint=_HINT
            )
        if not catalog and not schema and _LOOKS_LIKE_FILE.search(name):
            raise ConfigError(f"the SQL reads the file {name}", hint=_HINT)
        return TableRef(schema or self.default_schema, name)


def _tree(session: Session, sql: str) -> dict[str, Any]:
    """DuckDB's syntax tree of a text that is one SELECT."""
    import duckdb

    if "\0" in sql:
        raise ConfigError("the SQL contains a NUL character")
    if (first := unparsable(sql)) is not None:
        raise ConfigError(f"the SQL is not one SELECT: it is {first}", hint=_HINT)
    try:
        with session.cursor() as cursor:
            statements = cursor.extract_statements(sql)
            _assert_one(sql, statements)
            row = cursor.execute(f"SELECT json_serialize_sql({literal(sql)}::VARCHAR)").fetchone()
    except duckdb.ParserException as error:
        raise ConfigError(f"the SQL cannot be read: {_said(error)}") from error
    parsed = json.loads(row[0]) if row else {}
    if parsed.get("error", True):
        raise ConfigError(f"the SQL is not one SELECT: {parsed.get('error_message')}", hint=_HINT)
    node: dict[str, Any] = parsed["statements"][0]["node"]
    return node


def _assert_one(sql: str, statements: list[Any]) -> None:
    kinds = [statement.type.name for statement in statements]
    if kinds == ["CREATE", "SELECT"] and "pivot" in sql.casefold():
        raise ConfigError(
            "a PIVOT without a list of values is more than one statement",
            hint="List the values: PIVOT t ON month IN (1, 2, 3) USING sum(amount).",
        )
    if kinds != ["SELECT"]:
        what = " and ".join(kinds) if kinds else "empty"
        raise ConfigError(f"the SQL is not one SELECT: it is {what}", hint=_HINT)


def _said(error: Exception) -> str:
    """What DuckDB says, with the place in the text."""
    return "\n".join(line for line in str(error).splitlines() if line.strip())


def _search(node: Mapping[str, Any], names: _Names) -> _Found:
    found = _Found()
    _walk(node, frozenset(), names, found)
    return found


def _walk(node: Any, scope: frozenset[str], names: _Names, found: _Found) -> None:
    """Collect what a tree reads; ``scope`` holds the CTEs that can be seen here."""
    if isinstance(node, list):
        for part in node:
            _walk(part, scope, names, found)
    elif isinstance(node, dict):
        _note(node, scope, names, found)
        for part, visible in _parts(node, scope, names, found):
            _walk(part, visible, names, found)


def _note(node: Mapping[str, Any], scope: frozenset[str], names: _Names, found: _Found) -> None:
    match node.get("type"):
        case "BASE_TABLE":
            if _cte_name(node) not in scope:
                table = names.table(node)
                found.reads[table] = None
                if not node["schema_name"]:
                    found.bare.add(table)
        case "TABLE_FUNCTION":
            _assert_pure(node["function"])
        case "SHOW_REF":
            raise ConfigError("the SQL uses SHOW, DESCRIBE or SUMMARIZE", hint=_HINT)
        case "FUNCTION" if node["function_name"].casefold() in TELLING:
            raise ConfigError(f"the SQL uses {node['function_name']}()", hint=_HINT)
        case "VALUE_PARAMETER":
            found.parameters.add(node["identifier"])
        case "SUBQUERY":
            found.subqueries += 1


def _parts(
    node: Mapping[str, Any], scope: frozenset[str], names: _Names, found: _Found
) -> Iterator[tuple[Any, frozenset[str]]]:
    """The parts of a node, each with the CTEs that it sees."""
    for entry in (node.get("cte_map") or {}).get("map", ()):
        # A CTE sees those before it. Its own name means a table, unless it is recursive.
        _walk(entry["value"], scope, names, found)
        scope |= {entry["key"].casefold()}
    for name, part in node.items():
        if node.get("type") == "RECURSIVE_CTE_NODE" and name == "right":
            itself = node["cte_name"].casefold()
            yield part, scope | {itself, f"{_RECURRING}.{itself}"}
        elif name != "cte_map":
            yield part, scope


def _cte_name(node: Mapping[str, Any]) -> str | None:
    """How a CTE would be in scope that this table reference means; None if it means none."""
    if node["catalog_name"]:
        return None
    schema, name = node["schema_name"].casefold(), node["table_name"].casefold()
    if schema:
        return f"{_RECURRING}.{name}" if schema == _RECURRING else None
    return str(name)


def _assert_pure(function: Mapping[str, Any]) -> None:
    name = function["function_name"]
    if name.casefold() not in PURE or function.get("schema") or function.get("catalog"):
        raise ConfigError(f"the SQL uses {name}(), which may read files or the network", hint=_HINT)
