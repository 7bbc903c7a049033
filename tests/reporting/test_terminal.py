"""What a terminal shows, and a file that a terminal's output went to."""

import io
import re

import pytest
from rich.console import Console

from prefect_etl.core.plan import DatasetPlan, RunPlan, TransformationPlan
from prefect_etl.core.unit import Batch, Unit
from prefect_etl.reporting.terminal import render_history, render_plan, render_report


def shown(render, value, width=80, **options):
    file = io.StringIO()
    render(value, Console(file=file, width=width, **options))
    return file.getvalue()


def table_of(text):
    """Rows of a table as lists of cells, which two spaces part."""
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]


def test_a_run_ends_with_a_table_of_what_was_loaded(busy):
    rows = table_of(shown(render_report, busy))
    assert rows[0] == [
        "Dataset",
        "Status",
        "Rows read",
        "Loaded",
        "Quarantined",
        "Seconds",
        "Rows/s",
    ]
    assert ["airports", "loaded", "1,458", "1,455", "3", "0.21", "6.9 k"] in rows
    assert ["all", "30,688", "30,681", "3", "1.42", "21.6 k"] in rows


def test_the_paths_of_warehouse_and_report_come_last(busy):
    last = shown(render_report, busy).splitlines()[-3:]
    assert [line.split()[0] for line in last] == ["warehouse", "report", "prefect"]
    assert last[1].endswith("20260201T063000-7f3a.html")


def test_every_row_is_accounted_for_in_words(busy):
    assert (
        "flights: 27,004 read = 26,000 inserted + 900 updated + 100 unchanged + 4 superseded"
        in shown(render_report, busy)
    )


def test_broken_rules_say_what_became_of_the_rows(busy):
    text = shown(render_report, busy)
    assert "airports: 1 row put aside: lat is more than 72 (lat.le)" in text
    assert "weather: 1 row loaded all the same: wind_gust is more than 60" in text


def test_a_failure_says_what_where_and_what_to_do_next(failed):
    text = shown(render_report, failed)
    assert "line 17 has 18 columns, expected 19" in text
    assert "Correct the file, or leave it out of path." in text
    assert "departures skipped: flights failed" in text
    assert "check unique: day failed: 3 rows, such as 2013-01-01" in text
    assert "nyc_flights: failed after 1.4 s: flights, daily" in text


def test_a_run_with_nothing_new_is_one_line_and_its_links(idle):
    first, *links = shown(render_report, idle).splitlines()
    assert first == "nyc_flights: nothing new (2 datasets and 1 transformation unchanged, 180 ms)"
    assert len(links) == 3


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_message_is_cut_at_any_width(failed, width):
    text = shown(render_report, failed, width=width)
    assert "flights/2013-01-08.csv.gz: line 17 has 18 columns, expected 19" in text
    assert "\u2026" not in text


def test_tables_fit_eighty_columns(busy, failed):
    for report in (busy, failed):
        lines = shown(render_report, report).splitlines()
        table = [line for line in lines if line.startswith(("Dataset", "flights ", "airports "))]
        assert table
        assert all(len(line) <= 80 for line in table)


def test_there_is_no_colour_when_it_is_not_a_terminal(busy):
    assert "\x1b" not in shown(render_report, busy)


def test_there_is_colour_on_a_terminal(busy):
    assert "\x1b[" in shown(render_report, busy, force_terminal=True, color_system="standard")


@pytest.mark.parametrize("terminal", [True, False])
def test_text_from_data_cannot_reach_the_terminal_as_a_command(hostile, terminal):
    text = shown(render_report, hostile, force_terminal=terminal, color_system=None)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[red]" in text  # not taken for markup


@pytest.fixture
def plan():
    batch = Batch((Unit("a.csv", "1", size=150_000), Unit("b.csv", "1", size=150_000)))
    return RunPlan(
        "nyc",
        (
            DatasetPlan(
                "flights",
                "main.flights",
                "load",
                ("2 new files",),
                batches=(batch,),
                pending=1,
                removed=("old.csv",),
                schema_changes=("column gate VARCHAR added",),
            ),
            DatasetPlan("planes", "main.planes", "skip", ("1 file, unchanged",)),
            DatasetPlan(
                "orders", "main.orders", "blocked", (), error="no file matches", hint="Put one."
            ),
        ),
        (TransformationPlan("delays", "main.delays", "run", ("flights changes in this run",)),),
    )


def test_a_plan_says_what_would_run_and_why(plan):
    rows = table_of(shown(render_plan, plan))
    assert ["flights", "load", "2", "300 kB", "2 new files"] in rows
    assert ["planes", "skip", "1 file, unchanged"] in rows
    assert ["delays", "run", "flights changes in this run"] in rows


def test_a_plan_says_schema_differences_and_what_blocks(plan):
    text = shown(render_plan, plan)
    assert "flights: column gate VARCHAR added" in text
    assert "flights: 1 batch is in the raw zone already" in text
    assert "flights: no longer at the source: old.csv" in text
    assert "orders is blocked: no file matches\n  Put one.\n" in text


def test_a_plan_with_nothing_to_do_says_so():
    plan = RunPlan("nyc", (DatasetPlan("a", "main.a", "skip", ("unchanged",)),))
    assert "nyc: nothing to do" in shown(render_plan, plan)


def test_a_plan_with_nothing_to_do_says_whose_settings_changed():
    why = "nothing new; its settings changed: --full-refresh applies them"
    plan = RunPlan(
        "nyc",
        (
            DatasetPlan("a", "main.a", "skip", ("nothing new",)),
            DatasetPlan("b", "main.b", "skip", (why,)),
        ),
    )
    assert shown(render_plan, plan).splitlines()[1:] == [f"b: {why}"]


def test_a_history_lists_runs_and_why_they_failed(busy, failed, idle):
    text = shown(render_history, [busy, failed, idle])
    rows = table_of(text)
    assert ["2026-02-01 06:30", "completed", "30,681", "3", "1.4 s", busy.run_id] in rows
    assert ["2026-02-01 06:30", "nothing new", "180 ms", idle.run_id] in rows
    assert f"{failed.run_id}: flights: flights/2013-01-08.csv.gz: line 17" in text


def test_an_empty_history_says_how_to_begin():
    assert "prefect-etl run" in shown(render_history, [])


def test_importing_the_renderers_does_not_import_rich():
    import subprocess
    import sys

    code = (
        "import sys, prefect_etl.reporting.terminal, prefect_etl.reporting.html;"
        "print([m for m in ('rich', 'jinja2', 'duckdb') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
