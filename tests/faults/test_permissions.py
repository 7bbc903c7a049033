"""Files and folders that may not be read or written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from shop import DATASETS, FIRST, INCREMENTS, SECOND, arrive, make, outcome


@contextmanager
def _forbidden(path: Path, mode: int) -> Iterator[None]:
    before = path.stat().st_mode
    path.chmod(mode)
    yield
    path.chmod(before)


@pytest.fixture
def run(runner, root):
    return lambda: runner.run(root, obeys_permissions=True)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory):
    """What the tables hold after one increment, and after both."""
    from runner import Runner

    found = []
    folder = make(tmp_path_factory.mktemp("wanted"))
    with Runner() as runner:
        for files in INCREMENTS:
            arrive(folder, files)
            runner.run(folder)
            found.append(outcome(folder))
    return found


def test_a_file_that_may_not_be_read_is_named_and_the_others_are_loaded(run, root, wanted):
    with _forbidden(root / "data/orders/2.csv", 0):
        answer = run()
    assert answer["status"] == "failed"
    assert answer["failed"] == {"orders": "orders/2.csv cannot be read: Permission denied"}
    assert "run again" in answer["hints"][0]
    found = outcome(root)["tables"]
    assert found == {t: c for t, c in wanted[0]["tables"].items() if t != "main.orders"}
    assert run()["status"] == "completed"
    assert outcome(root)["tables"] == wanted[0]["tables"]


@pytest.mark.parametrize("mode", [0, 0o111])
@pytest.mark.parametrize("path", ["prices/*.csv", "prices", "**/*.csv", "*/*.csv"])
def test_a_folder_that_may_not_be_listed_is_not_taken_for_an_empty_one(path, mode, run, root):
    pipeline = root / "pipeline.yaml"
    pipeline.write_text(pipeline.read_text().replace("path: prices/*.csv", f"path: '{path}'"))
    if path.startswith("*"):
        for other in ("events", "orders"):
            shutil.rmtree(root / "data" / other)
    assert "prices" not in run()["failed"]
    before = outcome(root)
    with _forbidden(root / "data/prices", mode):
        answer = run()
    assert answer["status"] == "failed"
    assert str(root / "data/prices") in answer["failed"]["prices"]
    assert "Permission denied" in answer["failed"]["prices"]
    assert outcome(root)["tables"] == before["tables"]


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("", "Permission denied"),
        (".prefect_etl", "Permission denied"),
        (".prefect_etl/shop", "Permission denied"),
        (".prefect_etl/shop/raw/leases", "Permission denied"),
        (".prefect_etl/shop/runs", "Permission denied"),
        (".prefect_etl/shop/raw", "Permission denied"),
        (".prefect_etl/shop/raw/events/batches", "Permission denied"),
        (".prefect_etl/shop/raw/events/loads", "Permission denied"),
        (".prefect_etl/shop/quarantine/people", "Permission denied"),
    ],
)
def test_a_folder_that_may_not_be_written_is_named_and_nothing_is_lost(
    folder, said, run, root, wanted
):
    assert run()["status"] == "completed"
    arrive(root, SECOND)
    with _forbidden(root / folder, 0o555):
        answer = run()
    told = "\n".join(answer["failed"].values())
    if answer["status"] != "completed":
        assert said in told
        assert str(root / folder) in told or folder in told
        assert "fault of prefect_etl" not in "".join(answer["hints"])
    found = outcome(root)["tables"]
    for dataset in DATASETS:
        table = f"main.{dataset}"
        expected = wanted[0] if dataset in answer["failed"] or "" in answer["failed"] else wanted[1]
        assert found[table] == expected["tables"][table]
    assert run()["status"] == "completed"
    assert outcome(root) == wanted[1]


@pytest.mark.parametrize("path", [".", "warehouse.duckdb"])
def test_a_warehouse_that_may_not_be_written_is_named_and_stays_as_it_is(path, run, root, wanted):
    assert run()["status"] == "completed"
    arrive(root, SECOND)
    with _forbidden(root / path, 0o555):
        answer = run()
    assert answer["status"] == "failed"
    for reason in answer["failed"].values():
        assert str(root / "warehouse.duckdb") in reason
        assert "Permission denied" in reason
    assert outcome(root)["tables"] == wanted[0]["tables"]
    assert run()["status"] == "completed"
    assert outcome(root) == wanted[1]


def test_a_first_run_in_a_folder_that_may_not_be_written_says_so(runner, tmp_path):
    folder = make(tmp_path / "project")
    arrive(folder, FIRST)
    with _forbidden(folder, 0o555):
        answer = runner.run(folder, obeys_permissions=True)
    assert "Permission denied" in answer["failed"][""]
    assert str(folder / ".prefect_etl") in answer["failed"][""]
    assert "may be written, then run again" in answer["failed"][""]
