"""An acknowledged load survives a power cut: the order of writes, fsyncs and renames.

A power cut leaves of a file what was fsynced, and of a folder the names that were there when it
was. :class:`Disk` keeps that account, strictly, as POSIX has it; real file systems are kinder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from shop import SECOND, arrive
from steps import Step, watch

from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import load_pipeline
from prefect_etl.pipeline.workspace import Options, open_workspace

_COPIED = re.compile(r" TO '([^']+)' \(FORMAT")


class Disk:
    """What a power cut would take: file contents and names that no fsync has made durable."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.loose_contents: set[Path] = set()
        self.loose_names: set[Path] = set()
        self.faults: list[str] = []
        self.commits = 0
        self.attached_for_writing = False
        self.warehouse_names_loose = False

    def after(self, step: Step) -> None:
        match step.call:
            case "COPY":
                self._written(Path(_COPIED.findall(step.subject)[-1]))
            case "open":
                self._written(step.paths[0])
            case "mkdir":
                self.loose_names.add(step.paths[0])
            case "fsync":
                self._synced(step.paths[0])
            case "replace" | "rename":
                self._renamed(*step.paths)
            case "ATTACH":
                self.attached_for_writing = "READ_ONLY" not in step.subject
            case "DETACH" if self.attached_for_writing:
                self.warehouse_names_loose = True

    def before(self, step: Step) -> None:
        if step.call == "commit":
            self.commits += 1
            self._assert_durable(self._published(), "a load commits before it")

    def _written(self, path: Path) -> None:
        self.loose_contents.add(path)
        self.loose_names.add(path)

    def _synced(self, path: Path) -> None:
        self.loose_contents.discard(path)
        self.loose_names -= {name for name in self.loose_names if name.parent == path}
        if path == self.root:
            self.warehouse_names_loose = False

    def _renamed(self, old: Path, new: Path) -> None:
        inside = [path for path in new.rglob("*") if new.is_dir()]
        was = [old, *(old / path.relative_to(new) for path in inside)]
        loose = [p for p in was if p in self.loose_contents]
        loose += [p for p in was[1:] if p in self.loose_names]
        self.faults += [f"{path} gets its name before it is durable" for path in loose]
        if self.warehouse_names_loose and "loads" in new.parts:
            self.faults.append(f"{new} is recorded before the warehouse's name is durable")
        self.loose_contents -= set(was)
        self.loose_names -= set(was)
        self.loose_names.add(new)

    def _published(self) -> Iterable[Path]:
        """Every file that a load may need later, with the folders that lead to it."""
        kept = self.root / ".prefect_etl/shop"
        for pattern in ("raw/*/batches/[!.]*/*", "quarantine/*/[!.]*", "raw/*/loads/[!.]*"):
            for path in kept.glob(pattern):
                yield path
                yield from (p for p in path.parents if p.is_relative_to(self.root))

    def _assert_durable(self, paths: Iterable[Path], what: str) -> None:
        loose = {p for p in paths if p in self.loose_contents or p in self.loose_names}
        self.faults += [f"{what} is durable: {path}" for path in sorted(loose)]


def _run(root: Path) -> Disk:
    disk = Disk(root)
    spec = load_pipeline(root / "pipeline.yaml")
    with (
        watch(disk.before, disk.after),
        open_workspace(spec, Options(concurrency=1, threads=1)) as workspace,
    ):
        assert run_pipeline(workspace).status == "completed"
    return disk


def test_all_that_a_load_needs_is_durable_before_it_commits(root):
    for files in ({}, SECOND):
        arrive(root, files)
        disk = _run(root)
        assert disk.commits == 4
        assert not disk.faults


def test_what_a_run_acknowledges_is_durable_when_it_ends(root):
    disk = _run(root)
    kept = root / ".prefect_etl"
    lasting = [p for p in kept.rglob("*") if not p.name.startswith(".")]
    loose = {p for p in lasting if p in disk.loose_contents or p in disk.loose_names}
    assert not loose
    assert not disk.warehouse_names_loose


def test_a_batch_has_its_rows_before_its_manifest_and_both_before_its_name(root):
    order: list[str] = []

    def after(step: Step) -> None:
        if step.call == "COPY":
            order.append("write rows")
        elif step.call in ("fsync", "open") and "batches/.new-" in step.subject:
            name = step.paths[0].name
            order.append(f"{step.call} {'folder' if name.startswith('.new-') else name}")
        elif step.call == "fsync" and step.paths[0].name == "batches":
            order.append("fsync batches")
        elif step.call == "replace" and "batches/.new-" in step.subject:
            order.append("name")
        elif step.call == "commit":
            order.append("commit")

    spec = load_pipeline(root / "pipeline.yaml")
    with watch(after=after), open_workspace(spec, Options(concurrency=1)) as workspace:
        run_pipeline(workspace, only=["prices"])
    assert order == [
        "write rows",
        "fsync data.parquet",
        "open manifest.json",
        "fsync manifest.json",
        "fsync folder",
        "name",
        "fsync batches",
        "commit",
    ]


@pytest.mark.parametrize(
    "forgotten", ["data.parquet", "manifest.json", "batches", "people", "quarantine"]
)
def test_the_account_notices_an_fsync_that_is_missing(root, forgotten, monkeypatch):
    disk = Disk(root)
    synced = disk._synced
    monkeypatch.setattr(disk, "_synced", lambda path: path.name != forgotten and synced(path))
    spec = load_pipeline(root / "pipeline.yaml")
    with watch(disk.before, disk.after), open_workspace(spec) as workspace:
        run_pipeline(workspace)
    assert disk.faults
