"""Tries SQL in an empty copy of a database from which nothing outside can be reached.

DuckDB itself judges so, and sees through all that a text may hide: views, macros, names of files in
any place, whatever its next version can read. Only what a statement would do while it runs does not
show, which is why functions that reach out are known by their names, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from prefect_etl.connectors.duckdb.words import forbidden_word
from prefect_etl.core.sql import identifier, literals, qualified
from prefect_etl.errors import ConfigError

if TYPE_CHECKING:
    import duckdb

# They can be explained, which needs no rows; all others make, change and drop what is empty here.
_EXPLAINED = frozenset(("DELETE", "INSERT", "MERGE_INTO", "SELECT", "UPDATE"))
_VIEWS = """
SELECT schema_name, view_name, sql FROM duckdb_views()
WHERE database_name = current_database() AND NOT internal
"""
_MACROS = """
SELECT schema_name, function_name, parameters, function_type = 'table_macro', macro_definition
FROM duckdb_functions()
WHERE database_name = current_database() AND NOT internal AND macro_definition IS NOT NULL
"""
_OTHERS = """
SELECT sql FROM duckdb_sequences() WHERE database_name = current_database()
UNION ALL SELECT sql FROM duckdb_tables() WHERE database_name = current_database()
"""
_ENUMS = """
SELECT schema_name, type_name, labels FROM duckdb_types()
WHERE database_name = current_database() AND NOT internal AND labels IS NOT NULL
"""
_SCHEMAS = """
SELECT schema_name FROM duckdb_schemas()
WHERE database_name = current_database() AND schema_name <> 'main'
"""


class Rehearsal:
    """An empty copy of the database that is in use.

    Args:
        cursor: On the database, maybe in a transaction that has changed it.

    Attributes:
        outside: Names of views and macros that read something outside, and what DuckDB, or we, say.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        import duckdb

        ((name,),) = cursor.execute("SELECT current_database()").fetchall()
        self._copy = duckdb.connect(config={"threads": 1, "memory_limit": "256MB"})
        self._run(f"ATTACH ':memory:' AS {identifier(name)}; USE {identifier(name)}")
        self._run("SET GLOBAL TimeZone = 'UTC'")
        self._run("SET GLOBAL enable_external_access = false; SET lock_configuration = true")
        self.outside = self._make(_definitions(cursor))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._copy.close()

    def run(
        self, sql: str, kind: str = "SELECT", parameters: Sequence[Any] | Mapping[str, Any] = ()
    ) -> None:
        """Try one statement.

        Args:
            sql: The statement.
            kind: As DuckDB's parser calls it.
            parameters: Its parameters.

        Raises:
            ConfigError: It reaches for files, extensions, other databases or the network.
            duckdb.Error: It fails, as it would in the database itself.
        """
        import duckdb

        try:
            self._run(f"EXPLAIN {sql}" if kind in _EXPLAINED else sql, parameters)
        except duckdb.Error as error:
            if reached := _reaches(error):
                raise ConfigError(reached) from error
            for name, said in self.outside.items():
                if f'"{name}"' in str(error) or f" {name} " in str(error):
                    raise ConfigError(f"{name} {said}") from error
            raise

    def _run(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> None:
        self._copy.execute(sql, parameters).fetchall()

    def _make(self, pending: Mapping[str, tuple[str, str]]) -> dict[str, str]:
        """Make what was defined; each of it may need other parts, so again while there is more."""
        import duckdb

        reasons: dict[str, str] = {}
        while True:
            left = {}
            for key, (name, sql) in pending.items():
                word = forbidden_word(sql) if name else None
                if word is not None:
                    reasons[name] = f"uses {word}()"
                    continue
                try:
                    self._run(sql)
                except duckdb.Error as error:
                    left[key] = (name, sql)
                    reasons[name] = _reaches(error) or f"cannot be made: {_first_line(error)}"
                else:
                    reasons.pop(name, None)
            if len(left) == len(pending) or not left:
                return {name: said for name, said in reasons.items() if name}
            pending = left


def assert_within(
    cursor: duckdb.DuckDBPyConnection,
    sql: str,
    parameters: Sequence[Any] | Mapping[str, Any] = (),
    *,
    foreign: bool = False,
) -> None:
    """Make sure that no view or macro of a database leads a SELECT to anything outside of it.

    Args:
        cursor: On the database.
        sql: The SELECT, which itself was judged already.
        parameters: Its parameters.
        foreign: Whether somebody else may have made the file. Its macros are looked at then, which
            takes hundredths of a second: one may have the name of any function.

    Raises:
        ConfigError: One does.
        duckdb.Error: It fails.
    """
    found = cursor.execute(_VIEWS).fetchall()
    if not found and not (foreign and cursor.execute(_MACROS).fetchall()):
        return
    with Rehearsal(cursor) as rehearsal:
        if foreign:
            views = {view for _, view, _ in found}
            for name, said in rehearsal.outside.items():
                if name not in views:
                    raise ConfigError(f"the macro {name} of the database {said}")
        rehearsal.run(sql, parameters=parameters)


def _definitions(cursor: duckdb.DuckDBPyConnection) -> dict[str, tuple[str, str]]:
    """How all that is in a database is made; views and macros with their names."""
    made = [f"CREATE SCHEMA {identifier(name)}" for (name,) in cursor.execute(_SCHEMAS).fetchall()]
    for schema, name, labels in cursor.execute(_ENUMS).fetchall():
        made.append(f"CREATE TYPE {qualified(schema, name)} AS ENUM ({literals(labels)})")
    made += [sql for (sql,) in cursor.execute(_OTHERS).fetchall()]
    found = {f"{index}": ("", sql) for index, sql in enumerate(made)}
    for schema, name, sql in cursor.execute(_VIEWS).fetchall():
        found[f"view {schema}.{name}"] = (name, sql)
    for index, (schema, name, names, tabular, body) in enumerate(
        cursor.execute(_MACROS).fetchall()
    ):
        # Its parameters' defaults are not known, so each may be left out.
        parameters = ", ".join(f"{identifier(parameter)} := NULL" for parameter in names)
        kind = "TABLE " if tabular else ""
        made_so = f"{qualified(schema, name)}({parameters}) AS {kind}{body}"
        found[f"macro {index}"] = (name, f"CREATE OR REPLACE MACRO {made_so}")
    return found


def _reaches(error: Exception) -> str | None:
    """In words, that a statement reached outside; None where it failed otherwise."""
    import duckdb

    said = _first_line(error)
    if isinstance(error, duckdb.PermissionException) or "required extension" in said:
        return f"reads files, extensions or the network: {said}"
    return None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
