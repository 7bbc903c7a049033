"""What a look at a file of JSON tells."""

from __future__ import annotations

from pathlib import Path

from prefect_etl.pipeline.inspecting import inspect


def test_encoding_layout_and_lists_of_records_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes('{"n": 1, "data": {"items": [{"a": 1}]}}'.encode("utf-16"))
    found = inspect(path)
    assert [(fact.name, fact.value) for fact in found.facts[:2]] == [
        ("encoding", "UTF-16-LE with a byte order mark"),
        ("layout", "a record in each line"),
    ]
    assert found.pins["encoding"] == "utf-16-le"
    assert any("records: data.items" in note for note in found.notes)


def test_records_that_would_be_put_aside_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"a": NaN}\n{"a": 2}\n')
    found = inspect(path)
    assert (found.rejected, [column.type for column in found.columns]) == (1, ["BIGINT"])
    assert "it has what the fast reader would bend, and is read record by record" in found.notes
