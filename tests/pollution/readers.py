"""Readers of polluted files: ours, and those that it is compared with."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pollutions import Case
from scoring import Answer

from prefect_etl.connectors.files import FilesConnection, FilesDataset, FilesSource
from prefect_etl.core.aside import Aside
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.sql import literal
from prefect_etl.core.unit import Batch
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import EtlError
from prefect_etl.pipeline.copying.refining import refining


def ours(path: Path, case: Case, session: Session) -> Answer:
    """prefect_etl's reader of files, below the pipeline."""
    dataset = FilesDataset(name="t", path=path.name, **case.pins)
    source = FilesSource(FilesConnection(folder=path.parent), dataset, session)

    def read(batches: Any) -> Answer:
        batch: Batch = batches[0]
        with source.read(batch) as rows:
            found = session.query(rows.sql, rows.parameters)
            aside = rows.aside() if rows.aside else Aside()
            rejects = []
            if aside.rejects is not None:
                texts = session.query(f"SELECT text FROM read_parquet({literal(aside.rejects)})")
                rejects = [text for (text,) in texts]
            schema = source.schema(batch)
            assert sum(aside.counts.values()) == len(rejects)
            return Answer(schema.names if schema else (), found, rejects)

    try:
        units = source.units(LedgerState())
        return refining(source, source.batches(units, LedgerState()), read)
    except EtlError as error:
        return Answer(refused=str(error))


def duckdb_alone(path: Path, case: Case, session: Session) -> Answer:
    """DuckDB's reader, which detects all that is not pinned."""
    import duckdb

    options = ", ".join(f"{name} = {literal(value)}" for name, value in _duckdb(case.pins).items())
    sql = f"SELECT * FROM read_csv({literal(path)}{', ' if options else ''}{options})"
    try:
        with session.cursor() as cursor:
            cursor.execute(sql)
            names = [column[0] for column in cursor.description or ()]
            return Answer(names, cursor.fetchall())
    except duckdb.Error as error:
        return Answer(refused=str(error))


def _duckdb(pins: Mapping[str, Any]) -> dict[str, Any]:
    known = {"skip": "skip", "comment": "comment", "header": "header"}
    return {known[name]: value for name, value in pins.items() if name in known}


def clevercsv_and_csv(path: Path, case: Case, session: Session) -> Answer:
    """CleverCSV's dialect, Python's reader: text only."""
    import clevercsv

    try:
        text = path.read_text(encoding="utf-8-sig")
        dialect = clevercsv.Sniffer().sniff(text[:4000], verbose=False)
        found = csv.reader(text.splitlines(keepends=True), dialect.to_csv_dialect())
        rows = [row for row in found if row][int(case.pins.get("skip", 0)) :]
    except (UnicodeError, csv.Error, clevercsv.Error, AttributeError, TypeError) as error:
        return Answer(refused=str(error))
    return Answer(rows[0] if rows else (), rows[1:])


def pandas_alone(path: Path, case: Case, session: Session) -> Answer:
    """pandas with the delimiter found by Python's sniffer, as people use it."""
    import pandas as pd

    pins = {name: value for name, value in case.pins.items() if name == "comment"}
    if "skip" in case.pins:
        pins["skiprows"] = case.pins["skip"]
    try:
        frame = pd.read_csv(path, sep=None, engine="python", **pins)
    except (ValueError, csv.Error, pd.errors.ParserError, UnicodeError) as error:
        return Answer(refused=str(error))
    rows = frame.reset_index() if not isinstance(frame.index, pd.RangeIndex) else frame
    return Answer([str(name) for name in frame.columns], list(rows.itertuples(index=False)))


READERS = {
    "prefect_etl": ours,
    "DuckDB": duckdb_alone,
    "CleverCSV + csv": clevercsv_and_csv,
    "pandas": pandas_alone,
}
