"""Sees every write-side step of this process, wrapped from outside: the product has no hooks.

A step is a system call that changes a file or a name, or a statement of DuckDB's or PostgreSQL's
that changes a database. :func:`watch` calls its hooks just before and just after each.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_STATEMENT = re.compile(
    r"\s*(COPY|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|ATTACH|DETACH|BEGIN|COMMIT)\b", re.IGNORECASE
)
_CALLS = ("fsync", "replace", "rename", "mkdir", "unlink", "remove", "rmdir", "link", "truncate")
_TRANSACTION = ("begin", "commit")
SEPARATOR = " -> "
POSTGRES = "PostgreSQL"


@dataclass(frozen=True)
class Step:
    """One step: what is called, and on what."""

    call: str
    subject: str

    @property
    def paths(self) -> list[Path]:
        """What a system call is about; two where something gets another name."""
        return [Path(part) for part in self.subject.split(SEPARATOR)]

    def __str__(self) -> str:
        return f"{self.call} {self.subject}"


Hook = Callable[[Step], None]


def _ignore(step: Step) -> None:
    """Do nothing."""


@contextmanager
def watch(before: Hook = _ignore, after: Hook = _ignore) -> Iterator[None]:
    """Call hooks around every write-side step."""
    import duckdb
    import psycopg

    originals: list[tuple[Any, str, Any]] = []

    def wrap(owner: Any, name: str, step_of: Callable[..., Step | None]) -> None:
        original = getattr(owner, name)

        def wrapped(*args: Any, **options: Any) -> Any:
            step = step_of(*args, **options)
            if step is None:
                return original(*args, **options)
            before(step)
            result = original(*args, **options)
            after(step)
            return result

        originals.append((owner, name, original))
        setattr(owner, name, wrapped)

    for name in _CALLS:
        wrap(os, name, lambda *args, _name=name, **_: Step(_name, _said(args)))
    wrap(os, "open", _os_open)
    wrap(io, "open", _io_open)
    wrap(duckdb.DuckDBPyConnection, "execute", _statement)
    wrap(psycopg.Connection, "execute", _postgres_statement)
    wrap(psycopg.Copy, "write", lambda *_: Step(f"{POSTGRES} copy", ""))
    for name in _TRANSACTION:
        wrap(duckdb.DuckDBPyConnection, name, lambda *_, _name=name: Step(_name, ""))
    try:
        yield
    finally:
        for owner, name, original in reversed(originals):
            setattr(owner, name, original)


def _said(args: tuple[Any, ...]) -> str:
    return SEPARATOR.join(_named(arg) for arg in args[:2])


def _named(value: Any) -> str:
    """A path; for a descriptor the path that it is open on."""
    if not isinstance(value, int):
        return os.fspath(value) if isinstance(value, str | os.PathLike) else str(value)
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return str(Path(f"{folder}/{value}").readlink())
        except OSError:
            continue
    return str(value)


def _os_open(path: Any, flags: int, *_: Any, **__: Any) -> Step | None:
    return Step("open", _named(path)) if flags & _WRITES else None


def _io_open(file: Any, mode: str = "r", *_: Any, **__: Any) -> Step | None:
    return Step("open", _named(file)) if set(mode) & set("wxa+") else None


def _statement(_: Any, sql: Any, *__: Any, **___: Any) -> Step | None:
    found = _STATEMENT.match(str(sql))
    return Step(found[1].upper(), " ".join(str(sql).split())) if found else None


def _postgres_statement(_: Any, sql: Any, *__: Any, **___: Any) -> Step | None:
    step = _statement(_, sql.decode() if isinstance(sql, bytes) else sql)
    return Step(f"{POSTGRES} {step.call}", step.subject) if step else None
