"""What the database servers of the tests have in common: a folder, a port, a life."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import trustme

HOST = "127.0.0.1"
USER = "etl"
PASSWORD = "sesame-1001"  # said nowhere: tests search for it in what is shown
START_SECONDS = 60
POLL_SECONDS = 0.02
# Below the ports that systems give to clients: a server that restarts finds its own free.
PORTS = range(20_000, 32_000)


class StartError(Exception):
    """A server did not start."""


def run(command: Sequence[str | Path], **options: Any) -> None:
    """Run a program that makes a data folder.

    Raises:
        StartError: It failed; the message is what it said.
    """
    done = subprocess.run(command, check=False, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise StartError(f"{command[0]}: {done.stdout}{done.stderr}")


def free_port() -> int:
    """A port that nobody listens at just now."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        return port


class Server(ABC):
    """A server in a temporary folder, which ends at the latest with this process.

    Args:
        user: The system's user to run it as; this process's own if None.
    """

    scheme: str
    first_database: str
    last_signal: str
    """Ends it at once, without a care for its data."""

    def __init__(self, user: str | None = None) -> None:
        self._user = user
        self._guard: subprocess.Popen[str] | None = None
        self._numbers = count(1)
        self.port = free_port()
        self.pid = 0
        self.folder = Path(tempfile.mkdtemp(prefix="prefect-etl-server-"))
        self.data = self.folder / "data"
        self.certificate_authority = self.folder / "ca.pem"
        try:
            self._write_certificates()
            if user is not None:
                for path in (self.folder, *self.folder.iterdir()):
                    shutil.chown(path, user)
            self._initialize()
        except BaseException:  # also Ctrl-C: nobody else would remove the folder
            shutil.rmtree(self.folder)
            raise

    @abstractmethod
    def _initialize(self) -> None:
        """Make the data folder."""

    @abstractmethod
    def _command(self) -> list[str]:
        """What runs the server in the foreground."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it lets us in."""

    @abstractmethod
    def execute(self, sql: str, database: str | None = None) -> None:
        """Run one statement, committed."""

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def uri(
        self,
        database: str | None = None,
        *,
        port: int | None = None,
        user: str = USER,
        password: str = PASSWORD,
    ) -> str:
        """Where a database is; ``port`` names a proxy's."""
        name = quote(database or self.first_database, safe="")
        return f"{self.scheme}://{user}:{password}@{HOST}:{port or self.port}/{name}"

    @abstractmethod
    def drop_database(self, name: str) -> None:
        """Drop it, whoever is connected."""

    def new_database(self) -> str:
        """Create an empty database, and say its name."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def start(self) -> None:
        """Return when it lets clients in."""
        if self._guard is not None:
            return
        guard = [sys.executable, "-S", "-I", str(Path(__file__).with_name("guard.py"))]
        self._guard = subprocess.Popen(
            [*guard, str(self.folder), self._user or "", self.last_signal, *self._command()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for pytest
        )
        assert self._guard.stdout is not None
        self.pid = int(self._guard.stdout.readline())
        give_up = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._guard.poll() is not None or time.monotonic() > give_up:
                raise StartError(f"{self.scheme} did not start: {self.log[-2000:]}")
            time.sleep(POLL_SECONDS)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it in good order; the data stays."""
        os.kill(self.pid, how)
        self._ended()

    def kill9(self) -> None:
        """End it as a crash would."""
        os.kill(self.pid, signal.SIGKILL)
        self._ended()

    def restart(self) -> None:
        """Start it at the same port, stopped before if it still runs."""
        if self._guard is not None:
            self.stop()
        self.start()

    def close(self) -> None:
        """End it for good and remove its folder."""
        if self._guard is None:
            shutil.rmtree(self.folder)
        else:
            self._guard.communicate()  # its input is its lease
            self._guard = None

    def _ended(self) -> None:
        assert self._guard is not None
        self._guard.wait(START_SECONDS)  # before its input ends, or it would remove the folder
        self._guard.communicate()
        self._guard = None

    def _write_certificates(self) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.certificate_authority)
        certificate = authority.issue_cert(HOST, "localhost")
        certificate.private_key_pem.write_to_path(self.folder / "server.key")
        certificate.cert_chain_pems[0].write_to_path(self.folder / "server.pem")
        (self.folder / "server.key").chmod(0o600)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:  # also Ctrl-C: nobody else would end it
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
