"""A reader of one file, with its rejects and repairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from prefect_etl.connectors.files import FilesConnection, FilesDataset, FilesSource
from prefect_etl.connectors.files.csv.careful.reading import CAREFUL
from prefect_etl.connectors.files.csv.layout import Layout
from prefect_etl.connectors.files.csv.scan import HELD
from prefect_etl.connectors.files.reading import Reading
from prefect_etl.core.aside import Aside, Repair
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Batch
from prefect_etl.engine.duckdb import Session


@dataclass(frozen=True)
class Found:
    """What reading a file gave: rows, rejects (line, byte, rule, reason, text), repairs."""

    rows: list[Any]
    rejects: list[Any] = field(default_factory=list)
    repairs: tuple[Repair, ...] = ()

    @property
    def rules(self) -> list[tuple[int, str]]:
        """Line and rule of each reject."""
        return [(line, rule) for line, _, rule, *_ in self.rejects]


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    opened = Session(spill=tmp_path_factory.mktemp("spill"), threads=1)
    yield opened
    opened.close()


Careful = Callable[..., Found]


@pytest.fixture
def careful(tmp_path: Path, session: Session) -> Careful:
    """Reads text or bytes with care: columns a, b, … of text unless types say otherwise."""

    def read(
        data: str | bytes,
        layout: Layout | None = None,
        types: tuple[str, ...] = ("VARCHAR", "VARCHAR"),
        **fields: Any,
    ) -> Found:
        content = data if isinstance(data, bytes) else data.encode()
        (tmp_path / "a.csv").write_bytes(content)
        names = [chr(ord("a") + n) if len(types) < 27 else f"c{n}" for n in range(len(types))]
        columns = TableSchema.from_pairs(zip(names, types, strict=True))
        options = {CAREFUL: (layout or Layout()).as_dict(), HELD: names}
        dataset = FilesDataset(name="t", path="a.csv", **fields)
        source = FilesSource(FilesConnection(folder=tmp_path), dataset, session)
        units = tuple(source.units(LedgerState()))
        with source.read(Batch(units, Reading("csv", columns, options).as_dict())) as rows:
            found = session.query(rows.sql)
            aside = rows.aside() if rows.aside else Aside()
            rejects = []
            if aside.rejects is not None:
                rejects = session.query(
                    f"SELECT line, byte, rule, reason, text FROM '{aside.rejects}'"
                )
            return Found(found, rejects, tuple(aside.repairs))

    return read
