"""Links and paths that come from data, or from who may write into a folder, lead nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import naughty
import pyarrow as pa
import pytest
from targets import Target

from prefect_etl.connectors.files.config import FilesDataset
from prefect_etl.connectors.files.listing import assert_unchanged, list_files, now_ns, observe
from prefect_etl.core.ledger import LedgerState
from prefect_etl.errors import ConfigError, SourceChangedError, SourceReadError
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.workspace import Options, open_workspace
from prefect_etl.testing.exercises import ParquetFolder


def listed(folder: Path, path: str) -> list[str]:
    return list_files(folder, FilesDataset(name="t", path=path))


@pytest.fixture
def drop(tmp_path) -> Path:
    """A folder into which others write; the secret beside it is not theirs to read."""
    folder = tmp_path / "drop"
    (folder / "sub").mkdir(parents=True)
    for path in ("drop/a.csv", "drop/sub/b.csv", "secret.csv"):
        (tmp_path / path).write_text("id\n1\n")
    return folder


PATTERNS = ["**/*.csv", ".", "*.csv", "*/*.csv", "*", "**", "sub/*.csv", "s[u]b/*"]


@pytest.mark.parametrize("path", PATTERNS)
def test_a_link_out_of_the_folder_is_refused(drop, path):
    for folder in (drop, drop / "sub"):
        (folder / "x.csv").symlink_to(drop.parent / "secret.csv")
    with pytest.raises(SourceReadError, match=r"x\.csv is a link that leads out of"):
        listed(drop, path)


@pytest.mark.parametrize("path", ["**/*.csv", ".", "*/*.csv", "**"])
def test_a_folder_that_is_a_link_out_of_the_folder_is_refused(drop, path):
    (drop / "up").symlink_to("..")
    with pytest.raises(SourceReadError, match="up is a link that leads out of"):
        listed(drop, path)


def test_a_link_that_the_pipeline_names_is_followed(drop):
    (drop / "x.csv").symlink_to(drop.parent / "secret.csv")
    assert listed(drop, "x.csv") == ["x.csv"]
    (drop.parent / "link").symlink_to(drop / "sub")
    assert listed(drop.parent, "link/*.csv") == ["link/b.csv"]
    assert listed(drop.parent, "link") == ["link/b.csv"]


def test_a_link_within_the_folder_is_followed(drop):
    (drop / "c.csv").symlink_to("sub/b.csv")
    (drop / ".versions").mkdir()
    (drop / ".versions" / "v.csv").write_text("id\n1\n")
    (drop / "now").symlink_to(".versions")
    assert listed(drop, "**/*.csv") == ["a.csv", "c.csv", "now/v.csv", "sub/b.csv"]


def test_links_that_go_round_end(drop):
    (drop / "self").symlink_to(".")
    for number in range(12):  # each leads to all others: more ways than anybody can walk
        folder = drop / f"f{number}"
        folder.mkdir()
        (folder / "x.csv").write_text("id\n1\n")
        (folder / "up").symlink_to("..")
    (drop / "loop").symlink_to("loop")
    assert len(listed(drop, "**/*.csv")) == 14
    assert len(listed(drop, ".")) == 14


def test_a_pipe_or_device_is_no_file(drop):
    os.mkfifo(drop / "pipe.csv")
    assert "pipe.csv" not in listed(drop, "*.csv")


def test_a_link_that_is_led_elsewhere_while_it_is_read_is_found_out(drop):
    """Even where size and time of the other file are the same."""
    link = drop / "l.csv"
    link.symlink_to("a.csv")
    other = drop.parent / "secret.csv"
    other.write_text("id\n2\n")
    for path in (drop / "a.csv", other):
        os.utime(path, ns=(10**18, 10**18))
    unit = observe(drop, "l.csv", LedgerState())
    link.unlink()
    link.symlink_to(other)
    with pytest.raises(SourceChangedError):
        assert_unchanged(drop, unit, now_ns())


def test_values_that_look_like_paths_make_folders_of_the_table_only(tmp_path):
    values = [v for v in naughty.of_each(12) if v.lower() != "null" and len(v.encode()) < 80]
    values += ["..", "../..", "/abs", "a\0b", "../../../../../../tmp/owned"]
    target = Target(ParquetFolder(), tmp_path)
    rows = pa.table({"id": range(len(values)), "p": values})
    (report,) = target.load({"t": {"partition_by": "p"}}, {"t": rows})
    assert report.status == "loaded", report.reason
    assert {row["id"]: row["p"] for row in target.rows("t")} == dict(enumerate(values))
    lake = tmp_path / "lake"
    assert {path.name for path in lake.iterdir()} == {"t", ".versions"}
    assert all(p.resolve().is_relative_to(lake) for p in lake.rglob("*"))


@pytest.mark.parametrize("name", ["../up", "a/b", "/abs", "..", ".", "a\\b", "~", "%2e%2e"])
def test_names_of_pipelines_and_datasets_stay_within_their_folder(tmp_path, name):
    root = tmp_path / "project"
    root.mkdir()
    try:
        spec = pipeline_from(
            name=name,
            destination="memory://paths",
            sources={"m": {"connection": "memory://p", "datasets": {name: {"table": "t"}}}},
            root=root,
        )
    except ConfigError:
        return
    with open_workspace(spec, Options(lock_timeout=1)) as workspace:
        assert workspace.folder.resolve().is_relative_to(root / ".prefect_etl")
        zone = workspace.raw.dataset(name)
        assert zone.folder.resolve().is_relative_to(workspace.folder)
    assert {path.name for path in tmp_path.iterdir()} == {"project"}
