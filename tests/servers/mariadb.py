"""MariaDB, as Debian's package ``mariadb-server`` installs it."""

from __future__ import annotations

import os
import shutil
from urllib.parse import urlsplit

from servers.server import HOST, PASSWORD, USER, Server, run

# A system's programs are not in every user's path.
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
SMALL = (
    "--innodb-log-file-size=16M",
    "--innodb-buffer-pool-size=64M",
    # What a killed server wrote is the system's: only a power cut would lose it.
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-flush-method=nosync",
)


def program(name: str) -> str | None:
    """Where a program of MariaDB's is, if it is installed."""
    return shutil.which(name, path=PATH)


class MariaDBServer(Server):
    """A MariaDB with the user ``etl``, who may do all; it speaks TLS to those who ask."""

    scheme = "mysql"
    first_database = "test_0"
    last_signal = "SIGKILL"

    def _initialize(self) -> None:
        install = program("mariadb-install-db")
        assert install is not None
        run(
            [
                *(install, "--no-defaults", *self._own(), *SMALL),
                *("--skip-test-db", "--auth-root-authentication-method=normal"),
            ]
        )
        (self.folder / "first.sql").write_text(
            f"CREATE USER IF NOT EXISTS '{USER}'@'{HOST}' IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL ON *.* TO '{USER}'@'{HOST}' WITH GRANT OPTION;\n"
            f"CREATE DATABASE IF NOT EXISTS {self.first_database};\n"
        )

    def _own(self) -> list[str]:
        user = ["--user=root"] if os.geteuid() == 0 else []
        return [f"--datadir={self.data}", *user]

    def _command(self) -> list[str]:
        server = program("mariadbd")
        assert server is not None
        return [
            *(server, "--no-defaults", *self._own(), *SMALL),
            *(f"--port={self.port}", f"--bind-address={HOST}", "--skip-name-resolve"),
            *(f"--socket={self.folder / 'socket'}", f"--pid-file={self.folder / 'pid'}"),
            f"--init-file={self.folder / 'first.sql'}",
            *("--character-set-server=utf8mb4", "--max-allowed-packet=64M"),
            *(
                f"--ssl-cert={self.folder / 'server.pem'}",
                f"--ssl-key={self.folder / 'server.key'}",
            ),
        ]

    def _answers(self) -> bool:
        import pymysql

        try:
            self.execute("DO 1")
        except pymysql.OperationalError:
            return False
        return True

    def execute(self, sql: str, database: str | None = None) -> None:
        import pymysql

        at = urlsplit(self.uri(database))
        with pymysql.connect(
            host=at.hostname,
            port=at.port or 0,
            user=USER,
            password=PASSWORD,
            database=at.path[1:],
            autocommit=True,
        ) as connection:
            connection.cursor().execute(sql)

    def drop_database(self, name: str) -> None:
        self.execute(f"DROP DATABASE {name}")
