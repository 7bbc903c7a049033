"""What happens to an error of validation, in real runs."""

from __future__ import annotations

import asyncio
import json
import pickle
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pandas as pd
import polars as pl
import prefect
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException

from prefect_etl.cli.main import main
from prefect_etl.core.retry import exponential_backoff
from prefect_etl.errors import DataError
from prefect_etl.orchestration.checking import check
from prefect_etl.orchestration.decorators import flow, task
from prefect_etl.orchestration.validation import (
    EVENT,
    DataValidationError,
    ValidationRecord,
    handle_validation_error,
)
from prefect_etl.pipeline.flow_quarantine import flow_quarantine
from prefect_etl.testing import instant_retries

Program = Callable[..., subprocess.Popen[str]]
CONTRACT = {"columns": {"n": {"ge": 0}}}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with instant_retries():
        yield


class OursError(PrefectException):
    """As in the guide."""


def test_the_guides_flow_retries_records_and_raises(project: Path, prefect_server: object) -> None:
    calls = []

    @task(
        retries=3,
        retry_delay_seconds=exponential_backoff(backoff_factor=60),
        retry_jitter_factor=0.1,
    )
    async def validate_data(data: pd.DataFrame) -> pd.DataFrame:
        calls.append(1)
        if data.isnull().any().any():  # noqa: PD003 - the guide's
            raise OursError("Data contains null values")
        return data

    @flow(validate_parameters=True, version="1.0.0")
    async def validation_flow(data: pd.DataFrame) -> Any:
        try:
            return await validate_data(data)
        except OursError as e:
            await handle_validation_error(e)
            raise

    with pytest.raises(OursError):
        asyncio.run(run(validation_flow, pd.DataFrame({"n": [None, 1]})))
    assert len(calls) == 4
    (record,) = records(project)
    assert (record["error"], record["message"]) == ("OursError", "Data contains null values")
    assert (record["where"], record["quarantine"]) == ("validation-flow", None)
    assert UUID(record["flow_run_id"])
    assert asyncio.run(run(validation_flow, pd.DataFrame({"n": [2.0]}))) is not None


async def run(act: Any, *args: Any) -> Any:
    return await act(*args)


def records(project: Path) -> list[dict[str, Any]]:
    folder = project / ".prefect_etl" / ".flows" / "validation"
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def test_ours_is_both_a_prefect_exception_and_a_data_error() -> None:
    error = DataValidationError("wrong", hint="mend it", rows=pl.DataFrame({"n": [1]}))
    copy = pickle.loads(pickle.dumps(error))
    assert isinstance(error, PrefectException)
    assert isinstance(error, DataError)
    assert (str(copy), copy.hint) == (str(error), "mend it")
    assert copy.rows.equals(error.rows)
    assert str(DataValidationError()) == "the data is wrong"


def test_a_subclass_with_arguments_of_its_own_travels() -> None:
    error = NarrowError(3)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.count) == (NarrowError, "3 nulls", 3)


class NarrowError(DataValidationError):
    def __init__(self, count: int) -> None:
        super().__init__(f"{count} nulls")
        self.count = count


@pytest.mark.parametrize("library", ["pandas", "polars", "arrow"])
def test_the_rows_of_a_failed_check_are_put_aside_and_listed(
    library: str, project: Path, prefect_server: object, capsys: pytest.CaptureFixture[str]
) -> None:
    make = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}[library]

    @task(retries=3)
    def validate(data: Any) -> Any:
        good, failure = check(data, CONTRACT)
        failure.raise_if_any()
        return good

    @flow(name="nightly")
    def nightly(data: Any) -> Any:
        try:
            return validate(data)
        except DataValidationError as error:
            record = handle_validation_error(error)
            assert isinstance(record, ValidationRecord)
            assert record.rows == 2
            raise

    with pytest.raises(DataValidationError, match="2 of 3 rows broke the contract") as caught:
        nightly(make({"n": [1, -5, -6]}))
    assert caught.value.failure is not None
    (entry,) = flow_quarantine(project / ".prefect_etl").entries()
    table = pq.read_table(entry.path)
    assert table["n"].to_pylist() == [-5, -6]
    assert table["_row"].to_pylist() == [2, 3]
    assert table["_reasons"].to_pylist() == [["n is less than 0"]] * 2
    assert (entry.dataset, entry.rows, entry.rules[0].rows) == ("nightly", 2, 2)
    assert main(["quarantine", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["dataset"] == "nightly"
    assert main(["quarantine", "show", "nightly"]) == 0
    assert "nightly row 2: n is less than 0 (n.ge)" in capsys.readouterr().out


def test_values_of_rows_are_in_no_log_and_no_event(
    project: Path, prefect_server: object, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "hunter2"
    _, failure = check(pl.DataFrame({"n": [secret]}), {"columns": {"n": {"isin": ["x"]}}})

    @prefect.flow
    def plain() -> ValidationRecord:
        with pytest.raises(DataValidationError) as caught:
            failure.raise_if_any()
        record = handle_validation_error(caught.value)
        assert isinstance(record, ValidationRecord)
        return record

    record = plain()
    assert secret not in caplog.text
    assert secret not in json.dumps(records(project))
    assert secret not in repr(record)
    assert record.quarantine is not None
    assert secret in str(pq.read_table(record.quarantine).to_pydict())


def test_an_event_is_sent(project: Path, prefect_server: object) -> None:
    @flow
    async def failing() -> ValidationRecord:
        return await handle_validation_error(OursError("a null"))

    record = asyncio.run(run(failing))
    wanted = {"filter": {"event": {"name": [EVENT]}}}
    found: list[dict[str, Any]] = []
    with get_client(sync_client=True) as client:
        for _ in range(150):  # events are sent and stored in the background
            answer = client.request("POST", "/events/filter", json=wanted).json()
            found = [e for e in answer["events"] if e["payload"]["id"] == record.id]
            if found:
                break
            time.sleep(0.1)
    (event,) = found
    assert event["payload"]["error"] == "OursError"
    related = {part["prefect.resource.id"] for part in event["related"]}
    assert f"prefect.flow-run.{record.flow_run_id}" in related


def test_outside_of_a_flow_it_works_as_well(project: Path) -> None:
    record = handle_validation_error(OursError("a null"), data_dir=project / "data")
    assert isinstance(record, ValidationRecord)
    assert (record.where, record.flow_run_id) == ("outside of a flow", None)
    assert asyncio.run(awaited(record)) is record
    assert list((project / "data" / ".flows" / "validation").glob("*.json"))


async def awaited(record: ValidationRecord) -> ValidationRecord:
    return await record


@pytest.mark.parametrize("rows", [[1, 2], "text", object()], ids=["list", "text", "object"])
def test_rows_that_are_no_frame_are_left_alone(rows: object, project: Path) -> None:
    error = OursError("odd")
    error.rows = rows  # type: ignore[attr-defined]
    record = handle_validation_error(error)
    assert isinstance(record, ValidationRecord)
    assert (record.rows, record.quarantine) == (0, None)


def test_a_flows_name_leads_nowhere_else(project: Path, prefect_server: object) -> None:
    @flow(name="..")
    async def failing() -> ValidationRecord:
        rows = pl.DataFrame({"n": [1]})
        return await handle_validation_error(DataValidationError("wrong", rows=rows))

    record = asyncio.run(run(failing))
    assert record.quarantine is not None
    folder = project / ".prefect_etl" / ".flows" / "quarantine"
    assert Path(record.quarantine).resolve().parent.parent == folder.resolve()
    assert flow_quarantine(project / ".prefect_etl").entries("..")


def test_rows_of_any_kind_are_kept_as_well_as_can_be(project: Path) -> None:
    class Odd:
        def __str__(self) -> str:
            return "odd"

    frame = pd.DataFrame({"mixed": [1, "x", None], "odd": [Odd(), Odd(), 3], "n": [1, 2, 3]})
    record = handle_validation_error(DataValidationError("odd", rows=frame))
    assert isinstance(record, ValidationRecord)
    table = pq.read_table(str(record.quarantine))
    assert table["mixed"].to_pylist() == ["1", "x", None]
    assert table["odd"].to_pylist() == ["odd", "odd", "3"]
    assert table["n"].to_pylist() == [1, 2, 3]


def test_a_lazy_frame_is_put_aside_and_nothing_else_is_left(project: Path) -> None:
    record = handle_validation_error(DataValidationError("lazy", rows=pl.LazyFrame({"n": [1]})))
    assert isinstance(record, ValidationRecord)
    assert record.quarantine is not None
    file = Path(record.quarantine)
    assert sorted(path.name for path in file.parent.iterdir()) == [
        file.with_suffix(".json").name,
        file.name,
    ]


def test_a_disk_that_refuses_is_a_warning(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    (project / "data").write_text("a file in the way")
    error = DataValidationError("wrong", rows=pl.DataFrame({"n": [1]}))
    record = handle_validation_error(error, data_dir=project / "data")
    assert isinstance(record, ValidationRecord)
    assert record.quarantine is None
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert any("put its rows aside" in warning for warning in warnings)
    assert any("write its record" in warning for warning in warnings)


def test_a_server_that_is_gone_fails_nothing(program: Program, tmp_path: Path) -> None:
    child = program(
        """
        from prefect_etl.orchestration.validation import handle_validation_error
        print(handle_validation_error(ValueError("wrong")).error)
        """,
        PREFECT_API_URL="http://127.0.0.1:9/api",
    )
    output, errors = child.communicate(timeout=120)
    assert (child.returncode, output.strip()) == (0, "ValueError"), errors


def test_in_an_async_flow_the_event_loop_goes_on(project: Path) -> None:
    async def handling() -> bool:
        pending = handle_validation_error(OursError("a null"))
        assert not isinstance(pending, ValidationRecord)
        record = await pending
        return record.error == "OursError"

    assert asyncio.run(handling())


def test_checking_alone_costs_no_prefect(program: Program) -> None:
    child = program(
        """
        import sys, polars
        from prefect_etl.orchestration.checking import check
        assert check(polars.DataFrame({"n": [1, -1]}), {"columns": {"n": {"ge": 0}}})[1]
        assert "prefect" not in sys.modules
        """
    )
    _, errors = child.communicate(timeout=120)
    assert child.returncode == 0, errors
