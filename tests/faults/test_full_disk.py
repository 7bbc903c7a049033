"""A disk that is full: what could not be loaded says so and stays as it was; then it converges."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from shop import FIRST, SECOND, arrive, leftovers, make, outcome

from prefect_etl.core.report import RunReport
from prefect_etl.errors import StorageError
from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import load_pipeline
from prefect_etl.pipeline.workspace import Options, open_workspace

_SIZE = 8 << 20
_AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "-n"]


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory) -> Iterator[Path]:
    """A file system of 8 MiB."""
    folder = tmp_path_factory.mktemp("disk")
    mount = [*_AS_ROOT, "mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=777", "tmpfs", folder]
    mounted = shutil.which(mount[0]) and subprocess.run(mount, check=False).returncode == 0
    if not mounted:
        assert not os.environ.get("CI"), "CI has to be able to mount a small disk"
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run([*_AS_ROOT, "umount", "--lazy", folder], check=True)


def _run(root: Path) -> RunReport:
    spec = load_pipeline(root / "pipeline.yaml")
    with open_workspace(spec, Options(concurrency=1, threads=1)) as workspace:
        return run_pipeline(workspace)


def _fill(disk: Path, free: int) -> Path:
    hog = disk / "hog"
    room = os.statvfs(disk)
    with hog.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - free)
    return hog


@pytest.fixture
def loaded(small_disk) -> Iterator[Path]:
    """A project on the small disk whose first files are loaded, and whose second are there."""
    root = make(small_disk / "project")
    arrive(root, FIRST)
    assert _run(root).status == "completed"
    arrive(root, SECOND)
    yield root
    (small_disk / "hog").unlink(missing_ok=True)
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory) -> tuple[dict, dict]:
    """What the tables hold before and after the load of the second files."""
    root = make(tmp_path_factory.mktemp("wanted"))
    arrive(root, FIRST)
    _run(root)
    before = outcome(root)
    arrive(root, SECOND)
    _run(root)
    return before, outcome(root)


@pytest.mark.parametrize("free", [0, 4, 8, 12, 16, 24, 32, 64, 128, 256, 384, 512, 768, 1024, 1536])
def test_a_run_on_a_full_disk_says_so_and_the_next_one_converges(free, loaded, small_disk, wanted):
    hog = _fill(small_disk, free << 10)
    before, after = wanted
    try:
        report = _run(loaded)
    except StorageError as error:
        told, published = [str(error)], set()
    else:
        told = [f"{d.reason}\n{d.hint}" for d in report.datasets if d.status == "failed"]
        published = {d.table for d in report.datasets if d.status == "loaded"}
        assert (report.status == "failed") == bool(report.failures or report.error)
    for text in told:
        assert "No space left on device" in text
        assert "Free disk space and run again" in text
    hog.unlink()
    found = outcome(loaded)["tables"]
    for table, content in found.items():
        expected = after if table.removeprefix("main.") in published else before
        assert content == expected["tables"][table]
    assert _run(loaded).status == "completed"
    assert outcome(loaded) == after
    assert leftovers(loaded) == []
