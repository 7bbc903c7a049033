"""Markdown for artifacts."""

import json

from prefect_etl.reporting.markdown import report_markdown, report_rows


def test_the_rows_of_an_artifact_are_plain_values(busy):
    rows = report_rows(busy)
    assert json.loads(json.dumps(rows)) == rows
    assert [row["name"] for row in rows] == [
        "flights",
        "weather",
        "airports",
        "planes",
        "carrier_delays",
    ]
    assert rows[2]["quarantined"] == 3
    assert len({tuple(row) for row in rows}) == 1  # the same columns in every row


def test_markdown_has_a_table_of_what_was_loaded(busy):
    text = report_markdown(busy)
    assert "| airports | loaded | 1,458 | 1,455 | 3 | 0.21 | 6.9 k |" in text
    assert "<http://127.0.0.1:4200/runs/flow-run/0d5c>" in text


def test_markdown_of_a_failure_has_its_hint(failed):
    text = report_markdown(failed)
    assert "- **flights** failed: flights/2013-01-08.csv.gz: line 17" in text
    assert "  - Correct the file, or leave it out of path." in text


def test_markdown_of_an_idle_run_has_no_tables(idle):
    assert "|" not in report_markdown(idle)


def test_text_from_data_is_no_markup_in_markdown(hostile):
    text = report_markdown(hostile)
    assert "<script" not in text.replace("\\<script", "")
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in tables} == {8, 6}
