"""From the parameters of a connection to an open one: which driver, which fields, which errors.

Another database is one more entry of ``_DRIVERS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote

from prefect_etl.core.nearest import did_you_mean
from prefect_etl.errors import BusyError, ConfigError, EtlError, StorageError
from prefect_etl.utils.database import postgres

_BY_SUFFIX = {
    ".duckdb": "duckdb",
    ".ddb": "duckdb",
    ".db": "sqlite",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
}
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
_ALIASES = {"postgres": "postgresql"}
_EXAMPLE = (
    "Write duckdb:///warehouse.duckdb, sqlite:///shop.db or postgresql://user@host/database, or "
    "give the field `driver`."
)


class DriverConnection(Protocol):
    """What drivers give: the part of PEP 249 that is used here, and a way to stop a statement."""

    def execute(self, sql: str, parameters: Any = ...) -> Any:
        """Run a statement; gives what its rows can be fetched from."""

    def executemany(self, sql: str, parameters: Any) -> Any:
        """Run a statement once for each of many rows of parameters."""

    def interrupt(self) -> object:
        """Stop the statement that runs in another thread."""

    def close(self) -> object:
        """Close it."""


@dataclass(frozen=True, slots=True)
class Target:
    """What to connect to.

    Attributes:
        driver: Its name.
        fields: The driver's own; may hold a password, so they are never shown.
    """

    driver: str
    fields: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Driver:
    """How one kind of database is reached.

    Attributes:
        fields: The names of its fields.
        connect: Opens a connection that commits each statement by itself.
        translate: Makes one of our errors of one of the driver's.
        settle: Leaves no transaction open; whether the connection can be used again.
        parse: The fields of a URL.
        describe: The URL without anything that could be a secret.
    """

    fields: frozenset[str]
    connect: Callable[[Mapping[str, Any]], DriverConnection]
    translate: Callable[[Exception, str], EtlError | None]
    settle: Callable[[Any], bool]
    parse: Callable[[str], dict[str, Any]]
    describe: Callable[[Mapping[str, Any]], str]


def resolve(params: str | Mapping[str, Any]) -> Target:
    """Find out what parameters mean.

    Raises:
        ConfigError: They are wrong, or mean a database that is not supported.

    Example:
        >>> described(resolve("duckdb:///warehouse.duckdb?read_only=true"))
        'duckdb:///warehouse.duckdb'
    """
    if not isinstance(params, str | Mapping):
        raise ConfigError(
            f"the parameters of a connection are a URL or a mapping, not a {type(params).__name__}",
            hint=_EXAMPLE,
        )
    given = {"url": params} if isinstance(params, str) else dict(params)
    url, driver = given.pop("url", None), given.pop("driver", None)
    if url is not None:
        scheme, fields = _parsed(str(url))
        if driver not in (None, scheme):
            raise ConfigError(f"the connection's url is of {scheme}, its driver is {driver}")
        driver, given = scheme, fields | given
    elif driver is None:
        driver = _guessed(given)
    name = _known(str(driver))
    for key in given:
        if key not in _DRIVERS[name].fields:
            near = did_you_mean(key, _DRIVERS[name].fields)
            raise ConfigError(
                f"a connection of {name} has no field {key}{near}",
                hint=f"Its fields: {', '.join(sorted(_DRIVERS[name].fields))}.",
            )
    return Target(name, given)


def described(target: Target) -> str:
    """The target for people: without anything that could be a secret."""
    return _DRIVERS[target.driver].describe(target.fields)


def settle(target: Target, connection: DriverConnection) -> bool:
    """Undo a transaction that was left open; whether the connection can be used again."""
    return _DRIVERS[target.driver].settle(connection)


def connect_to(target: Target) -> DriverConnection:
    """Open a connection.

    Raises:
        EtlError: It cannot be opened; says what and why.
    """
    driver = _DRIVERS[target.driver]
    try:
        return driver.connect(target.fields)
    except EtlError:
        raise
    except Exception as error:
        translated = driver.translate(error, described(target))
        if translated is None:
            raise
        raise translated from error


def _parsed(url: str) -> tuple[str, dict[str, Any]]:
    scheme, colon, rest = url.partition(":")
    if not colon or not scheme.isascii():
        # The text may be a secret that was given in the wrong place; it is not shown.
        raise ConfigError("a connection's url has a scheme, and this one has none", hint=_EXAMPLE)
    scheme = _known(scheme.partition("+")[0])
    return scheme, _DRIVERS[scheme].parse(f"{scheme}:{rest}")


def _parsed_file(url: str) -> dict[str, Any]:
    scheme, _, rest = url.partition(":")
    path, _, query = rest.removeprefix("//").partition("?")
    if path and not path.startswith("/"):
        raise ConfigError(
            f"a {scheme} url names a file, no host",
            hint=f"Write {scheme}:///relative/path, or with four slashes an absolute path.",
        )
    return {"database": unquote(path[1:]) or ":memory:", **dict(parse_qsl(query))}


def _described_file(scheme: str) -> Callable[[Mapping[str, Any]], str]:
    def describe(fields: Mapping[str, Any]) -> str:
        database = fields.get("database") or ":memory:"
        return f"{scheme}:///{database}".partition("?")[0]

    return describe


def _guessed(fields: Mapping[str, Any]) -> str:
    suffix = PurePath(str(fields.get("database", ""))).suffix.lower()
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    if "host" in fields or "dbname" in fields:
        return "postgresql"
    raise ConfigError("the connection's parameters name no database", hint=_EXAMPLE)


def _known(name: str) -> str:
    name = _ALIASES.get(name, name)
    if name in _DRIVERS:
        return name
    raise ConfigError(
        f"connections to {name} are not supported{did_you_mean(name, _DRIVERS)}",
        hint=f"Supported: {', '.join(_DRIVERS)}.",
    )


def _flag(value: Any, name: str) -> bool:
    text = str(value).lower()
    if text not in (*_YES, *_NO):
        raise ConfigError(f"the connection's {name} should be true or false, not {value!r}")
    return text in _YES


def _open_duckdb(fields: Mapping[str, Any]) -> DriverConnection:
    import duckdb

    connection: DriverConnection = duckdb.connect(
        str(fields.get("database", ":memory:")),
        read_only=_flag(fields.get("read_only", False), "read_only"),
        config=dict(fields.get("config", {})),
    )
    return connection


def _duckdb_error(error: Exception, what: str) -> EtlError | None:
    import duckdb

    if not isinstance(error, duckdb.Error):
        return None
    text = str(error).strip().split("\n")[0]
    if "Could not set lock" in text:
        return BusyError(
            f"{what} is held by another process",
            hint="Close the program that has it open: DuckDB allows one writer, or many readers.",
        )
    return StorageError(f"{what} cannot be opened: {text}", hint="Check the path and the file.")


def _open_sqlite(fields: Mapping[str, Any]) -> DriverConnection:
    import sqlite3

    try:
        seconds = float(fields.get("timeout", 5.0))
    except (TypeError, ValueError):
        wrong = fields["timeout"]
        raise ConfigError(f"the connection's timeout is in seconds, not {wrong!r}") from None
    connection: DriverConnection = sqlite3.connect(
        str(fields.get("database", ":memory:")),
        timeout=seconds,
        isolation_level=None,  # each statement commits by itself, as in DuckDB
        uri=_flag(fields.get("uri", False), "uri"),
        check_same_thread=False,  # only to interrupt
    )
    return connection


def _sqlite_error(error: Exception, what: str) -> EtlError | None:
    import sqlite3

    if not isinstance(error, sqlite3.Error):
        return None
    return StorageError(f"{what} cannot be opened: {error}", hint="Check the path and the file.")


def _settle_duckdb(connection: Any) -> bool:
    import duckdb

    with suppress(duckdb.TransactionException):  # usually no transaction is open
        connection.rollback()
    return True


def _settle_sqlite(connection: Any) -> bool:
    connection.rollback()
    return True


_DRIVERS = {
    "duckdb": Driver(
        frozenset({"database", "read_only", "config"}),
        _open_duckdb,
        _duckdb_error,
        _settle_duckdb,
        _parsed_file,
        _described_file("duckdb"),
    ),
    "sqlite": Driver(
        frozenset({"database", "timeout", "uri"}),
        _open_sqlite,
        _sqlite_error,
        _settle_sqlite,
        _parsed_file,
        _described_file("sqlite"),
    ),
    "postgresql": Driver(
        postgres.FIELDS,
        postgres.connect,
        postgres.translate,
        postgres.settle,
        postgres.parse,
        postgres.describe,
    ),
}
