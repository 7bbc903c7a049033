"""Secrets that are planted, each of its own, and a search of all that was written."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psutil


def forms(secret: str) -> set[bytes]:
    """How a secret may be written."""
    return {form.encode() for form in (secret, quote(secret, safe=""), repr(secret)[1:-1])}


def found_in(data: bytes, secrets: Mapping[str, str]) -> set[str]:
    """The names of the secrets that are in it."""
    return {name for name, secret in secrets.items() if any(f in data for f in forms(secret))}


def found_under(
    folder: Path, secrets: Mapping[str, str], but: frozenset[str] = frozenset()
) -> set[str]:
    """Secrets in files under a folder, or in their names, as ``secret in path``."""
    found = set()
    for path in folder.rglob("*"):
        relative = str(path.relative_to(folder))
        if relative in but or not path.is_file():
            continue
        for name in found_in(path.read_bytes() + relative.encode(), secrets):
            found.add(f"{name} in {relative}")
    return found


@contextmanager
def watched(secrets: Mapping[str, str]) -> Iterator[set[str]]:
    """Secrets in the command lines of any process, while a block runs."""
    found: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            for line in command_lines():
                found.update(f"{n} in {line[:40]!r}" for n in found_in(line, secrets))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def command_lines() -> Iterator[bytes]:
    """Those of this process' descendants, as anybody on the machine can read them."""
    for process in psutil.Process().children(recursive=True):
        try:
            yield Path(f"/proc/{process.pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
