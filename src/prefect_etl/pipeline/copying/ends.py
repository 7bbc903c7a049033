"""The two ends of a copy: what a text on the command line means."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import IO, get_args

from prefect_etl.connectors.files.config import FilesConnection, Format, format_of
from prefect_etl.connectors.registry import connector_for
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.errors import ConfigError
from prefect_etl.pipeline.copying.request import STANDARD, Request, Work
from prefect_etl.pipeline.spec.connection import Connection, Connections
from prefect_etl.pipeline.spec.document import Mistake
from prefect_etl.pipeline.spec.environment import Expansion

# Two letters at least: one is a drive of Windows'.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_FILE = "file:"
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"PAR1", ".parquet"),
    (b"ARROW1", ".arrow"),
    (b"\x1f\x8b", ".gz"),
    (b"\x28\xb5\x2f\xfd", ".zst"),
)
_WRITTEN = ("csv", "tsv", "json", "jsonl", "parquet")


@dataclass(frozen=True, slots=True)
class Reading:
    """Where a copy reads.

    Attributes:
        connection: The connector, and where it is.
        path: Of files: a path or glob below the connection's folder.
        label: What people call it, where it is not a table.
        once: It cannot be read again: standard input.
    """

    connection: Connection
    path: str | None = None
    label: str | None = None
    once: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """A file that a copy writes, or standard output."""

    path: Path | None
    format: str


def reading_end(request: Request, work: Work) -> Reading:
    """Where a copy reads; standard input is put into a file first.

    Raises:
        ConfigError: There is no such place.
    """
    if request.source == STANDARD:
        return _standard_input(request, work)
    text = _expanded(request.source, "SOURCE", work)
    if not text.startswith(_FILE) and (_SCHEME.match(text) or text in work.means.connections):
        return Reading(_connection(request.source, "SOURCE", work))
    path = _path(text, work)
    if not has_magic(str(path)) and not path.exists():
        near = did_you_mean(text, [*work.means.connections, *_neighbours(path)])
        raise ConfigError(
            f"SOURCE: there is no file {text}, and no connection of this name{near}",
            hint="Give a path, a URI such as postgresql://host/db, or the name of a "
            "connection; `prefect-etl connections list` lists those.",
        )
    return _file(path)


def _file(path: Path, label: str | None = None, *, once: bool = False) -> Reading:
    # Up to the first wildcard it is a folder; the rest is what the connector looks for there.
    fixed = list(path.parts[:-1])
    while any(has_magic(part) for part in fixed):
        fixed.pop()
    folder = Path(*fixed)
    config = FilesConnection(folder=folder)
    connection = Connection(connector_for(_FILE), config)
    return Reading(connection, str(path.relative_to(folder)), label or path.name, once)


def writing_end(request: Request, work: Work) -> Connection | Output:
    """Where a copy writes.

    Raises:
        ConfigError: There is no such place, or nothing can be written there.
    """
    if request.destination == STANDARD:
        return Output(None, _written(request.format or "csv"))
    text = _expanded(request.destination, "DEST", work)
    named = text in work.means.connections
    if not text.startswith(_FILE) and (_SCHEME.match(text) or named):
        connection = _connection(request.destination, "DEST", work)
        if connection.connector.destination is None:
            raise ConfigError(f"DEST: {connection.connector.name} cannot be written to")
        return connection
    path = _path(text, work)
    # The name of a file that is written tells its format; --format is of a source that is one.
    kind = format_of(path.name) or request.format
    if kind is None:
        near = did_you_mean(text, work.means.connections)
        raise ConfigError(
            f"DEST: {text} is no connection{near}, and as a file its name tells no format",
            hint="Write to a file that ends with .csv, .jsonl or .parquet, or give a URI such as "
            "duckdb:///warehouse.duckdb.",
        )
    return Output(path, _written(kind))


def _written(kind: str) -> str:
    if kind not in _WRITTEN:
        raise ConfigError(f"{kind} cannot be written", hint=f"Write {', '.join(_WRITTEN)}.")
    return kind


def _expanded(text: str, place: str, work: Work) -> str:
    expansion = Expansion(work.means.environment)
    found = str(expansion.expand(text, (place,)))
    _raise_first(expansion.mistakes)
    return found


def _connection(text: str, place: str, work: Work) -> Connection:
    expansion = Expansion(work.means.environment)
    found = str(expansion.expand(text, (place,)))
    mistakes: list[Mistake] = []
    connections = Connections(work.means.root, work.means.connections, expansion)
    connection = connections.resolve(found, (place,), mistakes)
    _raise_first(mistakes)
    if connection is None:
        raise ConfigError(f"{place} is not a connection")
    return connection


def _raise_first(mistakes: list[Mistake]) -> None:
    if mistakes:
        raise ConfigError(f"{mistakes[0].place[0]}: {mistakes[0].text}")


def _path(text: str, work: Work) -> Path:
    if text.startswith(_FILE):
        return FilesConnection.from_uri(text, work.means.root).folder
    return (work.means.root / Path(text).expanduser()).absolute()


def _neighbours(path: Path) -> list[str]:
    return [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []


def _standard_input(request: Request, work: Work) -> Reading:
    """Standard input as a file: its types are found by reading it twice."""
    stream = work.means.stdin
    if stream is None or stream.isatty():
        raise ConfigError(
            "SOURCE is -, and nothing comes on standard input",
            hint="Pipe something in: cat orders.csv | prefect-etl copy - duckdb:///w.duckdb …",
        )
    head = _head(stream)
    path = work.folder / f"stdin{_ending(head, request.format)}"
    with path.open("wb") as file:
        file.write(head)
        shutil.copyfileobj(stream, file, 1 << 20)
    if not path.stat().st_size:
        raise ConfigError(
            "standard input is empty", hint="Look at the program that should have written there."
        )
    return _file(path, "stdin", once=True)


_HEAD = 512


def _head(stream: IO[bytes]) -> bytes:
    head = b""
    while len(head) < _HEAD and (more := stream.read(_HEAD - len(head))):
        head += more
    return head


def _ending(head: bytes, kind: str | None) -> str:
    """The ending of a file's name that tells its format, from its first bytes.

    Example:
        >>> _ending(b'{"id": 1}', None), _ending(b"id,name", None), _ending(b"PAR1", None)
        ('.jsonl', '.csv', '.parquet')
    """
    if kind is not None and kind not in get_args(Format):
        raise ConfigError(f"there is no format {kind}{did_you_mean(kind, get_args(Format))}")
    packed = next((ending for magic, ending in _MAGIC if head.startswith(magic)), "")
    if packed in (".parquet", ".arrow"):
        return packed
    if kind is None:
        text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
        kind = {b"[": "json", b"{": "jsonl"}.get(text[:1], "csv") if not packed else "csv"
    return f".{kind}{packed}"
