"""Runs a server for as long as the process that asked for it lives, however that one ends.

``python guard.py FOLDER USER SIGNAL COMMAND…`` says the server's process id in a line. When its
standard input ends, it ends the server by the signal and removes the folder.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread
from typing import Any

PATIENCE_SECONDS = 10


def main(folder: str, user: str, last_signal: str, *command: str) -> int:
    as_user: dict[str, Any] = {"user": user, "extra_groups": []} if user else {}
    with (Path(folder) / "log").open("ab") as log:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, **as_user
        )
    sys.stdout.write(f"{server.pid}\n")
    sys.stdout.flush()
    over, alone = Event(), Event()

    def watch_server() -> None:
        server.wait()
        over.set()

    def watch_owner() -> None:
        os.read(0, 1)  # sys.stdin's lock would be held at exit
        alone.set()
        over.set()

    Thread(target=watch_server, daemon=True).start()
    Thread(target=watch_owner, daemon=True).start()
    over.wait()
    if alone.is_set():
        _end(server, signal.Signals[last_signal])
        shutil.rmtree(folder, ignore_errors=True)
    return server.wait()


def _end(server: subprocess.Popen[bytes], last_signal: signal.Signals) -> None:
    server.send_signal(last_signal)
    try:
        server.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
