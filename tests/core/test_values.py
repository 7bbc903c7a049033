"""Values that travel as JSON come back equal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_etl.core.accounting import Accounting, total
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import KnownUnit
from prefect_etl.core.manifest import ExtractedUnit, LoadRecord, Manifest
from prefect_etl.core.report import DatasetReport, RuleCount, RunReport, TransformationReport
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Batch, Unit

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
UNITS = st.builds(Unit, TEXT, TEXT, st.none() | st.integers(0), st.none() | st.integers(0))


@given(st.lists(UNITS, min_size=1, max_size=4), st.dictionaries(TEXT, TEXT | st.integers()))
def test_a_manifest_survives_json(units: list[Unit], reading: dict[str, object]) -> None:
    manifest = Manifest(
        batch_id="b",
        dataset="d",
        extends=3,
        lineage=None,
        run_id="r",
        units=tuple(ExtractedUnit(unit, n, 1) for n, unit in enumerate(units)),
        schema=TableSchema.of(a="BIGINT"),
        bytes=1,
        created_ns=2,
        reading=reading,
    )
    again = Manifest.from_json(manifest.to_json())
    assert again == manifest
    assert again.answers(Batch(tuple(units), reading))


def test_a_later_format_is_refused() -> None:
    record = LoadRecord(1, "l", ("b",), "r", refresh=False, committed_ns=5)
    assert LoadRecord.from_json(record.to_json()) == record
    with pytest.raises(ValueError, match="not a load record of this version"):
        LoadRecord.from_json(record.to_json().replace('"format": 1', '"format": 2'))


def test_a_report_survives_json() -> None:
    dataset = DatasetReport(
        "d", "main.d", "loaded", rules=(RuleCount("a.ge", "a is less than 0", 2, "quarantine"),)
    )
    report = RunReport(
        "r",
        "p",
        "duckdb:///w",
        "completed",
        datetime(2026, 1, 2, tzinfo=UTC),
        datasets=(replace(dataset, counts=Accounting(read=1, inserted=1)),),
        transformations=(TransformationReport("t", "t", "table", "built", reads=("d",)),),
        links={"report": "x.html"},
    )
    assert RunReport.from_json(report.to_json()) == report


@given(st.lists(st.builds(Accounting, *[st.integers(0, 9)] * 9)))
def test_balanced_parts_have_a_balanced_sum(parts: list[Accounting]) -> None:
    balanced = [replace(part, read=part.accounted) for part in parts]
    assert total(balanced).balanced


def test_a_fresh_file_is_never_trusted_by_its_time() -> None:
    known = KnownUnit(1, Unit("a", "v", size=5, modified_ns=10_000_000_000), 11_000_000_000)
    assert not known.looks_same(5, 10_000_000_000)
    assert replace(known, seen_ns=20_000_000_000).looks_same(5, 10_000_000_000)


def test_the_fingerprint_changes_with_what_the_table_looks_like() -> None:
    spec = DatasetSpec(name="a")
    assert spec.fingerprint == DatasetSpec(name="a").fingerprint
    assert spec.fingerprint != DatasetSpec(name="a", where="x > 1").fingerprint


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"write": "merge"}, "needs key"),
        ({"deleted_when": "gone"}, "merge and scd2 only"),
        ({"columns": {"select": ["a"], "drop": ["b"]}}, "not both"),
    ],
)
def test_settings_that_do_not_fit_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DatasetSpec(name="a", **fields)
