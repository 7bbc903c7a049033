"""Which sources and destinations are measured, and how they are opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path

from cases import DUCKDB, MYSQL, PARQUET, POSTGRES, SQLITE, Case
from matrix import REFUSED, Cell, measure
from systems import DuckDB, Folder, MySQL, Parquet, Postgres, SQLite, System, file_uri

from prefect_etl.connectors.base import Connector
from prefect_etl.connectors.registry import connector_for, schemes

SOURCES: dict[type[System], tuple[Case, ...]] = {
    Postgres: POSTGRES,
    MySQL: MYSQL,
    SQLite: SQLITE,
    DuckDB: DUCKDB,
    Parquet: PARQUET,
}
DESTINATIONS: tuple[type[System], ...] = (Postgres, SQLite, DuckDB, Folder)
_SCHEMES = {
    Postgres: "postgresql",
    MySQL: "mysql",
    SQLite: "sqlite",
    DuckDB: "duckdb",
    Parquet: "file",
    Folder: "parquet",
}
# Gives the URI of a database of its own on a server.
Servers = dict[type[System], Callable[[], str]]
_numbers = count()


def pairs() -> list[tuple[type[System], type[System]]]:
    """Sources and destinations that there are connectors for."""
    found = {kind: _connector(scheme) for kind, scheme in _SCHEMES.items()}
    return [
        (source, destination)
        for source in SOURCES
        for destination in DESTINATIONS
        if (one := found[source]) and one.source and (two := found[destination]) and two.destination
    ]


def _connector(scheme: str) -> Connector | None:
    return connector_for(f"{scheme}:") if scheme in schemes() else None


@contextmanager
def opened(kind: type[System], root: Path, servers: Servers) -> Iterator[System]:
    """A system that is empty."""
    folder = root / f"{kind.__name__}-{next(_numbers)}"
    folder.mkdir()
    uri = servers[kind]() if kind in servers else file_uri(kind, folder)
    with closing(kind(uri, folder)) as system:
        yield system


def measured(
    source: type[System],
    destination: type[System],
    root: Path,
    servers: Servers,
    refused: set[str] | None = None,
    *,
    copies: bool = False,
) -> dict[str, Cell]:
    """What becomes of each type of a source in a destination."""
    folder = root / f"pipeline-{next(_numbers)}"
    folder.mkdir()
    with ExitStack() as stack:
        one = stack.enter_context(opened(source, root, servers))
        other = stack.enter_context(opened(destination, root, servers))
        return measure(one, other, SOURCES[source], folder, refused, copies=copies)


def refused_of(shown: dict[str, str]) -> set[str]:
    """The types that the page says are refused."""
    return {title for title, says in shown.items() if says.startswith(REFUSED)}


def measured_anew(
    source: type[System],
    destination: type[System],
    root: Path,
    servers: Servers,
    refused: set[str],
) -> dict[str, Cell]:
    """The same, where the page may be wrong about what is refused."""
    found = measured(source, destination, root, servers, refused)
    if {title for title, cell in found.items() if cell.says == REFUSED} == refused:
        return found
    return measured(source, destination, root, servers)
