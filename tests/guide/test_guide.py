"""Each snippet of the guide runs as it stands; only its import lines say ``prefect_etl``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings
from snippets import GUIDE, module_of, text_of

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("prefect_server")]

PROCESS_DATA = """
async def process_data(data=None):
    return {"processed": 0 if data is None else len(data)}
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Results of these tests only: what an earlier run cached must not answer."""
    monkeypatch.chdir(tmp_path)  # where rows are put aside
    folder = tmp_path / "results"
    with temporary_settings({PREFECT_LOCAL_STORAGE_PATH: folder}):
        yield


def frame(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"n": range(rows)})


@pytest.mark.parametrize("number", range(1, 7))
def test_only_import_lines_of_a_snippet_are_changed(number: int) -> None:
    guide = GUIDE.read_text().splitlines()
    changed = [line for line in text_of(number).splitlines() if line not in guide]
    assert all(line.startswith("from prefect_etl import ") for line in changed)


async def test_1_dynamic_tasks_give_the_rows_of_all_partitions(tmp_path: Path) -> None:
    guide = module_of(1, tmp_path)
    assert await guide.dynamic_processing(frame(3_500)) == 3_500
    assert await guide.dynamic_processing(frame(25), partition_size=10) == 25


async def test_2_a_query_that_was_fetched_is_not_fetched_again(tmp_path: Path) -> None:
    guide = module_of(2, tmp_path)

    async def states(*queries: str) -> list[str]:
        runs = [await guide.cached_data_fetch(query, return_state=True) for query in queries]
        return [state.name for state in runs]

    assert await states("a", "a", "b") == ["Completed", "Cached", "Completed"]
    guide = module_of(2, tmp_path)
    assert await states("b") == ["Cached"]


def test_2_another_process_finds_what_was_fetched(tmp_path: Path) -> None:
    module_of(2, tmp_path)
    program = (
        "import asyncio, guide_2\n"
        "state = asyncio.run(guide_2.cached_data_fetch(query_id='a', return_state=True))\n"
        "print(state.name)\n"
    )

    def run() -> str:
        found = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            check=True,
        )
        return found.stdout.strip()

    assert [run(), run()] == ["Completed", "Cached"]


def environment(folder: Path) -> dict[str, str]:
    import os

    from prefect.settings import PREFECT_API_URL

    return os.environ | {
        "PREFECT_LOCAL_STORAGE_PATH": str(folder / "results"),
        "PREFECT_API_URL": str(PREFECT_API_URL.value()),
    }


async def test_3_a_connection_is_opened_and_closed_around_the_operation(tmp_path: Path) -> None:
    supplied = f"""
from prefect_etl import create_connection as connect, task

connection_params = {{"url": "sqlite:///{tmp_path / "shop.db"}"}}
opened = []

async def create_connection(params):
    conn = await connect(params)
    opened.append(conn)
    return conn
"""
    guide = module_of(3, tmp_path, supplied)
    await guide.database_operation()
    (connection,) = guide.opened
    with pytest.raises(Exception, match=r"(?i)closed"):
        await connection.execute("SELECT 1")


async def test_4_a_monitored_flow_keeps_its_metrics(tmp_path: Path) -> None:
    from prefect_etl import read_metrics

    guide = module_of(4, tmp_path, PROCESS_DATA)
    state = await guide.monitored_flow(return_state=True)
    kept = read_metrics(state.state_details.flow_run_id)
    assert kept.value("records_processed", environment="production") == 1
    assert kept.value("processing_time_seconds") is not None


@pytest.mark.parametrize("sizes", [(10, 1_500, 1_000, 2_000)])
async def test_5_datasets_give_their_results_in_order(tmp_path: Path, sizes: Any) -> None:
    guide = module_of(5, tmp_path, PROCESS_DATA)
    results = await guide.parent_flow([frame(size) for size in sizes])
    assert results == [{"processed": size} for size in sizes]


async def test_5_large_datasets_run_in_subflows(tmp_path: Path) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId

    guide = module_of(5, tmp_path, PROCESS_DATA)
    state = await guide.parent_flow([frame(10), frame(1_001)], return_state=True)
    parent = FlowRunFilterParentFlowRunId(any_=[state.state_details.flow_run_id])
    async with get_client() as client:
        runs = await client.read_flow_runs(flow_run_filter=FlowRunFilter(parent_flow_run_id=parent))
    assert [run.parameters for run in runs] == [
        {"data": "<pandas.DataFrame 1001 rows x 1 columns: n int64>"}
    ]


async def test_6_valid_data_is_processed(tmp_path: Path) -> None:
    guide = validating(tmp_path)
    assert await guide.validation_flow(frame(3)) == {"processed": 3}


async def test_6_data_with_nulls_are_retried_handled_and_raised(tmp_path: Path) -> None:
    from prefect_etl.testing import instant_retries

    guide = validating(tmp_path)
    with instant_retries(), pytest.raises(guide.DataValidationError, match="null values"):
        await guide.validation_flow(pd.DataFrame({"n": [1, None]}))


def validating(folder: Path) -> Any:
    supplied = (
        PROCESS_DATA + "\nfrom prefect_etl import exponential_backoff, handle_validation_error\n"
    )
    return module_of(6, folder, supplied)


def test_all_names_that_the_guide_imports_are_ours() -> None:
    import ast

    import prefect_etl

    for number in range(1, 7):
        for node in ast.walk(ast.parse(text_of(number))):
            if isinstance(node, ast.ImportFrom) and node.module == "prefect_etl":
                for name in node.names:
                    assert getattr(prefect_etl, name.name) is not None, name.name
