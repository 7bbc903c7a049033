"""A raw zone that rots: what is damaged is named, and never published."""

from __future__ import annotations

import os
import shutil

import pytest
from project import Project
from steps import Step, watch


class _Killed(BaseException):
    """As if the process ended here."""


@pytest.fixture
def pending(tmp_path) -> Project:
    """A project whose first batch is in the raw zone and not in the table."""
    project = Project(tmp_path)
    rows = "".join(f"{n},name {n}\n" for n in range(3000))
    (project.folder / "a.csv").write_text("n,what\n" + rows)

    def before(step: Step) -> None:
        if step.call == "ATTACH":
            raise _Killed

    with watch(before=before), pytest.raises(_Killed):
        project.run()
    return project


def _batch(project: Project):
    return next((project.kept / "raw/faulty/batches").iterdir())


def test_a_pending_batch_is_loaded_without_being_read_again(pending):
    report = pending.run_faulty()
    assert (report.status, report.reused) == ("loaded", 1)


def test_a_damaged_batch_is_named_until_it_is_removed_and_its_source_read_again(pending):
    data = _batch(pending) / "data.parquet"
    content = bytearray(data.read_bytes())
    content[2000:2100] = bytes(byte ^ 0x5A for byte in content[2000:2100])
    data.write_bytes(content)
    report = pending.run_faulty()
    assert report.status == "failed"
    assert report.reason.startswith(f"{data} cannot be read: ")
    assert report.hint == f"If it is damaged, remove {data.parent}; then run again."
    assert pending.rows() is None
    shutil.rmtree(data.parent)
    report = pending.run_faulty()
    assert (report.status, report.reused, report.counts.inserted) == ("loaded", 0, 3000)


@pytest.mark.parametrize("size", [0, 2000, None])
def test_a_batch_that_is_not_there_in_full_is_read_again(pending, size):
    data = _batch(pending) / "data.parquet"
    data.unlink() if size is None else os.truncate(data, size)
    report = pending.run_faulty()
    assert (report.status, report.reused, report.counts.inserted) == ("loaded", 0, 3000)
    assert len(list((pending.kept / "raw/faulty/batches").iterdir())) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 99}'])
def test_a_damaged_manifest_is_named_and_stops_its_dataset_only(pending, content):
    manifest = _batch(pending) / "manifest.json"
    manifest.write_text(content)
    report = pending.run_faulty()
    assert report.status == "failed"
    assert str(manifest) in report.reason
    assert report.hint == f"Remove {manifest.parent} and run again."


@pytest.mark.parametrize("name", ["lost+found", "x", "00000000", "notes.txt"])
def test_what_somebody_else_put_there_does_not_matter(pending, name):
    (pending.kept / "raw/faulty/batches" / name).mkdir()
    (pending.kept / "raw/faulty/loads").mkdir(exist_ok=True)
    (pending.kept / "raw/faulty/loads/notes.txt").touch()
    assert pending.run_faulty().status == "loaded"
    assert pending.run_faulty().status == "unchanged"
