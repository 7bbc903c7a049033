"""Where a MySQL or MariaDB database is, and how to connect to it."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

from pydantic import SecretStr

from prefect_etl.connectors.base import ConnectionConfig
from prefect_etl.connectors.mysql.faults import translate
from prefect_etl.errors import ConfigError, EtlError

if TYPE_CHECKING:
    import pymysql

INSTALL = "Install the extra: pip install 'prefect-etl[mysql]'."
# Values and SQL mean the same, whatever the server's settings say: times are in UTC, text stands in
# single or double quotes with backslashes, names in backticks.
SESSION = (
    "SET time_zone = '+00:00'",
    "SET sql_mode = 'STRICT_TRANS_TABLES'",
    "SET NAMES utf8mb4",
    # A destination that waits its turn must not end what is read.
    "SET net_write_timeout = 3600",
    # MySQL 8 remembers sizes of tables for a day; MariaDB takes this for a comment.
    "SET @etl = 1 /*!80000 , SESSION information_schema_stats_expiry = 0 */",
)
_PORT = 3306
_CONNECT_SECONDS = 10
_MODES = ("DISABLED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")


class MySqlConnection(ConnectionConfig):
    """A MySQL or MariaDB database.

    The password may come from ``MYSQL_PWD``. Of TLS know ``ssl-mode`` (as MySQL's own clients:
    ``DISABLED``, ``REQUIRED``, ``VERIFY_CA``, ``VERIFY_IDENTITY``) and ``ssl-ca``, a file.

    Example:
        >>> uri = "mariadb://etl:secret@db/shop?ssl-mode=REQUIRED"
        >>> MySqlConnection.from_uri(uri, Path()).display
        'mysql://etl:***@db/shop?ssl-mode=REQUIRED'
    """

    uri: SecretStr

    @classmethod
    def from_uri(cls, uri: str, root: Path) -> Self:
        """Take a URI, also with a driver as SQLAlchemy writes it.

        Raises:
            ConfigError: It is no such URI, or has an option that is not known.
        """
        _, _, rest = uri.partition(":")
        try:
            parts = urlsplit(f"mysql:{rest}")
            _ = parts.port
        except ValueError as error:
            raise ConfigError("the port of a MySQL connection is a number") from error
        if rest and (not rest.startswith("//") or not parts.path.strip("/")):
            raise ConfigError(
                "a MySQL connection names a server and a database",
                hint="Write mysql://user@host:3306/database; the password may come from MYSQL_PWD.",
            )
        options = {name.replace("_", "-"): value for name, value in parse_qsl(parts.query)}
        _assert_known(options)
        if "ssl-ca" in options:
            options["ssl-ca"] = str(root / options["ssl-ca"])
        query = "&".join(f"{name}={quote(value, safe='/')}" for name, value in options.items())
        return cls(uri=SecretStr(urlunsplit(parts._replace(query=query))))

    @property
    def display(self) -> str:
        """The URI without secrets."""
        parts = urlsplit(self.uri.get_secret_value())
        user, at, host = parts.netloc.rpartition("@")
        name, colon, _ = user.partition(":")
        netloc = f"{name}:***@{host}" if colon else f"{name}{at}{host}"
        return urlunsplit(parts._replace(netloc=netloc))

    @property
    def default_schema(self) -> str:
        """The database: MySQL's schemas are its databases."""
        return unquote(urlsplit(self.uri.get_secret_value()).path.strip("/"))

    @property
    def options(self) -> dict[str, str]:
        """What stands behind the question mark."""
        return dict(parse_qsl(urlsplit(self.uri.get_secret_value()).query))

    @property
    def verifies(self) -> bool:
        """Whether the server's certificate is looked at."""
        return self.options.get("ssl-mode", "").startswith("VERIFY")

    def for_connectorx(self) -> str:
        """The URI as ConnectorX takes it, with its secrets."""
        parts = urlsplit(self.uri.get_secret_value())
        user, _, host = parts.netloc.rpartition("@")
        name, _, password = user.partition(":")
        password = password or quote(os.environ.get("MYSQL_PWD", ""), safe="")
        netloc = f"{name}:{password}@{host}" if password else parts.netloc
        mode = self.options.get("ssl-mode")
        return urlunsplit(parts._replace(netloc=netloc, query=f"ssl-mode={mode}" if mode else ""))

    def connect(self, **options: Any) -> pymysql.Connection[Any]:
        """Open a connection.

        Args:
            options: Of pymysql.

        Raises:
            UnreachableError: The server does not answer.
            AccessError: It refuses.
            ConfigError: The URI is wrong, or the driver is not installed.
        """
        try:
            import pymysql
        except ImportError as error:
            raise ConfigError("MySQL needs the package pymysql", hint=INSTALL) from error
        parts = urlsplit(self.uri.get_secret_value())
        context = self._tls()
        with translated(self.display):
            connection = pymysql.connect(
                host=unquote(parts.hostname or "localhost"),
                port=parts.port or _PORT,
                user=unquote(parts.username or "") or None,
                password=unquote(parts.password or "") or os.environ.get("MYSQL_PWD", ""),
                database=self.default_schema,
                charset="utf8mb4",
                connect_timeout=_CONNECT_SECONDS,
                autocommit=True,
                ssl=context,
                ssl_disabled=context is None,
                **options,
            )
            try:
                with connection.cursor() as cursor:
                    for statement in SESSION:
                        cursor.execute(statement)
            except BaseException:  # also Ctrl-C: nobody else would close it
                connection.close()
                raise
        return connection

    def _tls(self) -> ssl.SSLContext | None:
        mode = self.options.get("ssl-mode", "DISABLED")
        if mode == "DISABLED":
            return None
        try:
            context = ssl.create_default_context(cafile=self.options.get("ssl-ca"))
        except OSError as error:
            raise ConfigError(f"ssl-ca: {self.options['ssl-ca']}: {error}") from error
        context.check_hostname = mode == "VERIFY_IDENTITY"
        if not self.verifies:
            context.verify_mode = ssl.CERT_NONE
        return context


def _assert_known(options: dict[str, str]) -> None:
    for name in options:
        if name not in ("ssl-mode", "ssl-ca"):
            raise ConfigError(
                f"a MySQL connection has no option {name}", hint="It knows ssl-mode and ssl-ca."
            )
    mode = options.get("ssl-mode", _MODES[0])
    if mode not in _MODES:
        raise ConfigError(f"ssl-mode is none of {', '.join(_MODES)}: {mode}")


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Make our errors of the driver's.

    Args:
        what: What is done, or where, for the message; without secrets.

    Raises:
        EtlError: As :func:`prefect_etl.connectors.mysql.faults.translate` says.
    """
    import pymysql

    try:
        yield
    except EtlError:
        raise
    except (pymysql.Error, OSError) as error:
        raise translate(error, what) from error
