"""What later loads mean for rows in quarantine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from prefect_etl.core.cursor import Window
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.manifest import LoadRecord
from prefect_etl.core.unit import Unit
from prefect_etl.pipeline.quarantine import AsideSource, QuarantineEntry
from prefect_etl.pipeline.standing import Published, after

ENTRY = QuarantineEntry(
    name="00000003-r",
    dataset="t",
    run_id="r",
    version=3,
    rows=2,
    rules=(),
    loaded=True,
    path="00000003-r.parquet",
    lineage="l",
    sources=(
        AsideSource("a.csv", "1", 1),
        AsideSource("from 1", "2", 1, transient=True),
        AsideSource("cursor window", "1", 1),
    ),
    batches=("b1", "b2"),
)


def load(spec: dict[str, Any] | None = None, **facts: Any) -> Published:
    batches = facts.pop("batches", ("b9",))
    how = {name: facts.pop(name) for name in ("refresh", "lineage", "version") if name in facts}
    record = LoadRecord(4, "l", batches, "s", refresh=False, committed_ns=0)
    defaults: dict[str, Any] = {
        "units": {},
        "window": None,
        "whole": False,
        "replayed": frozenset(),
    }
    dataset = DatasetSpec(name="t", **(spec or {}))
    return Published(replace(record, **how), dataset, **(defaults | facts))


KEYED = {"write": "merge", "key": "id"}
CURSOR = {**KEYED, "cursor": "at"}


@pytest.mark.parametrize(
    ("later", "why"),
    [
        (load(replayed=frozenset({"00000003-r"})), "replayed in load 4"),
        (load(refresh=True, lineage="m"), "began from an empty table"),
        (load(lineage="m"), "began from an empty table"),
        (load(batches=("b2", "b1")), "judged the same rows again"),
        (load({"write": "replace"}), "read the whole source again"),
        (load(KEYED, whole=True), "read the whole source again"),
    ],
)
def test_a_load_closes_what_it_makes_needless(later: Published, why: str) -> None:
    closed = after(ENTRY, later)
    assert why in closed.closed
    assert closed.closed_ns > 0


@pytest.mark.parametrize(
    "later",
    [
        load(),
        load(whole=True),
        load(version=2, refresh=True),
        load(units={"a.csv": Unit("a.csv", "1")}),
        load(units={"from 1": Unit("from 1", "9", transient=True)}),
        load(CURSOR, window=Window("5", "9")),
        load(CURSOR, units={"cursor window": Unit("cursor window", "9")}),
        load(replayed=frozenset({"00000002-q"}), units={"a.csv": Unit("a.csv", "9")}),
    ],
)
def test_a_load_leaves_alone_what_it_does_not_touch(later: Published) -> None:
    assert after(ENTRY, later) == ENTRY


def test_a_later_version_of_a_file_makes_its_rows_stale() -> None:
    later = load(units={"a.csv": Unit("a.csv", "9")})
    found = after(ENTRY, later)
    assert [bool(source.superseded) for source in found.sources] == [True, False, False]
    assert not found.closed


def test_a_load_that_was_not_published_is_over_when_the_next_one_is() -> None:
    assert "not published" in after(replace(ENTRY, loaded=False), load()).closed


def test_windows_of_an_append_are_remembered_once() -> None:
    found = after(ENTRY, load({"cursor": "at"}, window=Window("5", "9")))
    found = after(found, load({"cursor": "at"}, window=Window("9", "12"), version=5))
    found = after(found, load({"cursor": "at"}, window=Window("1", "2", open=True), version=6))
    assert found.read_again == (("5", None), ("1", "2"))


def test_windows_after_which_deletions_are_forgotten_are_remembered() -> None:
    spec = {**CURSOR, "deleted_when": "gone"}
    assert after(ENTRY, load(spec, window=Window("5", "9"))).read_again == (("5", None),)
    assert after(ENTRY, load(spec, window=Window(None, "9"))).read_again == ()
    assert after(ENTRY, load(spec, window=Window("5", "9", open=True))).read_again == ()
