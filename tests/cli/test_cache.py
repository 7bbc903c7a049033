import json
from datetime import UTC, datetime

import pytest

from prefect_etl.cli.main import main
from prefect_etl.orchestration.caching.entries import FOLDER, Draft, file_name
from prefect_etl.orchestration.caching.result_file import write_value


@pytest.fixture
def storage(tmp_path):
    """A storage with a result that lasts, an expired one, and half of one."""
    folder = tmp_path / "results"
    keep(folder, "fetch", "fetch:q1", expires=None)
    keep(folder, "fetch", "fetch:q2", expires="2020-01-01T00:00:00+00:00")
    keep(folder, "split", "split:\x1b[31m", expires="2999-01-01T00:00:00+00:00")
    half = folder / FOLDER / file_name("half")
    half.write_bytes((folder / FOLDER / file_name("fetch:q1")).read_bytes()[:-9])
    return folder


def keep(folder, task, key, expires):
    about = {"task": task, "key": key, "created": datetime.now(UTC).isoformat(), "expires": expires}
    draft = Draft(folder / FOLDER / file_name(key))
    write_value(draft.file, {"rows": 1}, about)
    draft.publish()


def test_results_are_a_table_for_people(storage, capsys):
    assert main(["cache", "list", "--storage", str(storage)]) == 0
    text = capsys.readouterr().out
    assert "fetch:q1" in text
    assert "never" in text
    assert "expired" in text
    assert "2999-01-01" in text
    assert "(damaged)" in text
    assert "\x1b[31m" not in text
    assert "4 results" in text


def test_results_are_json_for_programs(storage, capsys):
    assert main(["cache", "list", "--storage", str(storage), "--task", "fetch", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {(row["task"], row["key"], row["expired"]) for row in found} == {
        ("fetch", "fetch:q1", False),
        ("fetch", "fetch:q2", True),
    }
    assert found[0]["bytes"] > 100


def test_an_empty_storage_says_so(tmp_path, capsys):
    assert main(["cache", "list", "--storage", str(tmp_path)]) == 0
    assert "no kept results" in capsys.readouterr().out
    assert main(["cache", "list", "--storage", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (["--expired"], ["fetch:q1", "split:\x1b[31m"]),
        (["--task", "fetch"], ["", "split:\x1b[31m"]),
        (["--task", "fetch", "--expired"], ["", "fetch:q1", "split:\x1b[31m"]),
        (["--yes"], []),
    ],
)
def test_results_are_removed_as_asked(words, left, storage, capsys):
    assert main(["cache", "clear", "--storage", str(storage), *words]) == 0
    assert "Removed" in capsys.readouterr().out
    main(["cache", "list", "--storage", str(storage), "--json"])
    assert sorted(row["key"] for row in json.loads(capsys.readouterr().out)) == left


def test_everything_is_not_removed_unasked(storage, capsys):
    assert main(["cache", "clear", "--storage", str(storage)]) == 2
    assert "Add --yes" in capsys.readouterr().err
    assert len([*(storage / FOLDER).iterdir()]) == 4


def test_a_folder_that_is_not_there_is_wrong_use(capsys):
    assert main(["cache", "list", "--storage", "nowhere"]) == 2
    assert "there is no folder nowhere" in capsys.readouterr().err


def test_without_a_folder_it_is_prefects(script, monkeypatch, storage):
    monkeypatch.setenv("PREFECT_LOCAL_STORAGE_PATH", str(storage))
    done = script("cache", "list")
    assert "4 results" in done.stdout, done.stderr
