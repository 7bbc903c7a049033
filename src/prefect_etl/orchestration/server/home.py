"""The local server's folder: where its files are, and the record of the running process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from prefect_etl.errors import StorageError


@dataclass(frozen=True, slots=True)
class ServerState:
    """The record that a server process keeps of itself.

    Args:
        pid: Its process id, 0 for none; valid only while the folder's ``server.lock`` is held.
        port: Its port on the loopback address.
        token: What it must answer to be taken for the server of this folder.
        ready: False until it serves; a server that is not ready may still take a minute.
    """

    pid: int
    port: int
    token: str
    ready: bool


@dataclass(frozen=True, slots=True)
class ServerHome:
    """The folder of one server; one for each version of Prefect, for its database's sake."""

    folder: Path

    @classmethod
    def locate(cls, home: Path | None = None) -> ServerHome:
        """Find the folder under ``home``, ``PREFECT_ETL_HOME`` or ``~/.prefect_etl``."""
        base = home or Path(os.environ.get("PREFECT_ETL_HOME") or "~/.prefect_etl")
        return cls(base.expanduser().absolute() / "server" / version("prefect"))

    @property
    def start_lock(self) -> Path:
        """Held by the one process that starts or stops the server."""
        return self.folder / "start.lock"

    @property
    def server_lock(self) -> Path:
        """Held by the server process while it lives; the kernel frees it when it dies."""
        return self.folder / "server.lock"

    @property
    def log(self) -> Path:
        """What the server process prints."""
        return self.folder / "server.log"

    @property
    def state_file(self) -> Path:
        """The record of the running process."""
        return self.folder / "state.json"

    @property
    def database(self) -> Path:
        """Prefect's SQLite database."""
        return self.folder / "prefect.db"

    @property
    def ui(self) -> Path:
        """Prefect's copy of its web pages."""
        return self.folder / "ui"

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Make the folder, for its owner only, and say so when it or its files are refused.

        Raises:
            StorageError: the folder or a file in it cannot be made or written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            yield
        except OSError as error:
            raise StorageError(
                f"The local Prefect server cannot use its folder {self.folder}: {error}",
                hint="Set PREFECT_ETL_HOME to a folder that you can write, on a disk with room.",
            ) from error

    def read_state(self) -> ServerState | None:
        """The record, or None when there is none that can be read."""
        try:
            return ServerState(**json.loads(self.state_file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def forget_process(self) -> None:
        """Keep of the record only the port, which the next server takes again."""
        if state := self.read_state():
            self.write_state(ServerState(pid=0, port=state.port, token="", ready=False))

    def write_state(self, state: ServerState) -> None:
        """Replace the record in one step."""
        temporary = self.state_file.with_suffix(f".{state.pid}")
        temporary.write_text(json.dumps(asdict(state)), encoding="utf-8")
        temporary.replace(self.state_file)
