"""Large datasets run as a deployment: the data by reference, the run by its content."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from pandas.testing import assert_frame_equal
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings
from prefect.states import Completed

from prefect_etl.errors import ConfigError, StorageError
from prefect_etl.orchestration.decorators import flow
from prefect_etl.orchestration.routing.by_size import route_by_size
from prefect_etl.orchestration.routing.reference import (
    FrameReference,
    remove_frame,
    with_frames,
    write_frame,
)

SERVED = """
from pathlib import Path
import pandas as pd
import polars as pl
from prefect import serve
from prefect_etl import flow

@flow(name="remote", persist_result=True)
def remote(data: pd.DataFrame | pl.DataFrame, factor: int = 2) -> dict:
    count = len(list(Path(".").glob("ran-*")))
    Path(f"ran-{count}").touch()
    if data["n"].max() == 1999 and not Path("failed").exists():
        Path("failed").touch()
        raise ValueError("first time")
    return {"type": type(data).__module__.split(".")[0], "sum": int(data["n"].sum()) * factor}

if __name__ == "__main__":
    serve(remote.to_deployment("test"))
"""


def frame(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"n": range(rows)}, index=pd.Index(range(rows), name="id"))


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Path]:
    with temporary_settings({PREFECT_LOCAL_STORAGE_PATH: tmp_path / "storage"}):
        yield tmp_path / "storage"


def test_a_frame_comes_back_from_storage_as_it_was(prefect_server: object, storage: Path) -> None:
    reference = write_frame(frame(10), "one")
    assert (reference.rows, reference.storage) == (10, None)
    parameter = reference.as_parameter()
    assert with_frames({"x": 1, "l": [1]}) == {"x": 1, "l": [1]}
    found = with_frames({"data": [parameter, {"deep": parameter}]})["data"]
    assert_frame_equal(found[0], frame(10))
    assert_frame_equal(found[1]["deep"], frame(10))
    remove_frame(reference)
    remove_frame(reference)
    assert [path for path in storage.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("key", ["../secret", "prefect-etl-frames/../../x", "/etc/passwd", "x/y"])
def test_nothing_is_read_from_elsewhere(storage: Path, key: str) -> None:
    reference = FrameReference(key, None, 1, 1, "<frame>")
    with pytest.raises(StorageError, match="no place of a frame"):
        with_frames({"data": reference.as_parameter()})


def test_what_is_not_there_is_said(storage: Path) -> None:
    gone = FrameReference("prefect-etl-frames/gone", None, 1, 1, "<pandas.DataFrame 1 rows>")
    with pytest.raises(StorageError, match="1 rows> is not in this machine's result storage"):
        gone.read()


def test_an_unknown_deployment_is_said(prefect_server: object, storage: Path) -> None:
    with pytest.raises(ConfigError, match="no deployment 'no/such'"):
        route_by_size(frame(2000), small=len, deployment="no/such")
    assert not storage.exists()


@pytest.fixture
def served(prefect_server: object, tmp_path: Path, storage: Path) -> Iterator[Path]:
    (tmp_path / "served.py").write_text(SERVED)
    env = {
        **os.environ,
        "PREFECT_LOCAL_STORAGE_PATH": str(storage),
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
    }
    with (tmp_path / "served.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "served.py"], cwd=tmp_path, env=env, stdout=log, stderr=log
        )
    try:
        yield tmp_path
    finally:
        process.terminate()
        process.wait()


def wait_for_deployments() -> None:
    with get_client(sync_client=True) as client:
        for _ in range(600):
            try:
                client.read_deployment_by_name("remote/test")
            except ObjectNotFound:
                time.sleep(0.1)
            else:
                return
    pytest.fail("the deployments did not appear")


@flow(retries=1)
def parent(datasets: list[Any]) -> list[Any]:
    return list(route_by_size(datasets, small=len, deployment="remote/test"))


def test_large_ones_run_as_a_deployment_and_a_retry_runs_only_what_failed(
    served: Path, storage: Path
) -> None:
    wait_for_deployments()
    lazy = pl.LazyFrame({"n": range(1500)})
    found = parent([frame(2000), frame(3), lazy])
    assert found == [
        {"type": "pandas", "sum": 2 * sum(range(2000))},
        3,
        {"type": "polars", "sum": 2 * sum(range(1500))},
    ]
    assert len(list(served.glob("ran-*"))) == 3
    assert list((storage / "prefect-etl-frames").iterdir()) == []


def test_a_deployment_whose_flow_keeps_no_result_is_said(
    prefect_server: object, storage: Path
) -> None:
    @flow(name="silent")
    def silent(data: Any) -> None:
        """Is never run: what a worker would say is said here."""

    deployment = RunnerDeployment.from_flow(silent, "test").apply()
    with ThreadPoolExecutor(1) as threads, get_client(sync_client=True) as client:
        routed = threads.submit(route_by_size, frame(1001), small=len, deployment="silent/test")
        of_it = DeploymentFilter(id={"any_": [deployment]})
        while not (runs := client.read_flow_runs(deployment_filter=of_it)):
            time.sleep(0.1)
        assert FrameReference.of_parameter(runs[0].parameters["data"]) is not None
        client.set_flow_run_state(runs[0].id, Completed(), force=True)
        with pytest.raises(ConfigError, match="kept no result"):
            routed.result()
