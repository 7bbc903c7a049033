"""Files that were put together from several: the header once more, marks before records."""

from __future__ import annotations

import pytest

import prefect_etl

LATE = {
    "text": "code,name\n" + "A,x\n" * 30_000,
    "numbers": "id,name\n" + "1,x\n" * 30_000,
}


def _read(folder, text, **pins):
    (folder / "a.csv").write_text(text, encoding="utf-8")
    return prefect_etl.read(folder / "a.csv", **pins)


@pytest.mark.parametrize("before", LATE.values(), ids=LATE)
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["bare", "marked"])
def test_a_header_is_found_where_nobody_looked(tmp_path, before, mark):
    header = before.partition("\n")[0]
    found = _read(tmp_path, f"{before}{mark}{header}\n7,y\n")
    assert found.table.num_rows == 30_001
    assert found.rejects["line"].to_pylist() == [30_002]
    assert str(found.table.schema[0].type) == ("int64" if header == "id,name" else "string")


def test_a_header_within_is_dropped_and_told_where_files_are_mended(tmp_path):
    found = _read(tmp_path, "id,n\n1,2\nid,n\n3,4\n", bad_rows="repair")
    assert found.table["n"].to_pylist() == [2, 4]
    assert str(found.repairs[0]).endswith(
        "lines that repeat the header are dropped (once, in line 3)"
    )


@pytest.mark.parametrize("before", ["id,n\n1,2\n", *LATE.values()])
def test_a_mark_before_a_record_is_no_part_of_it(tmp_path, before):
    found = _read(tmp_path, f"{before}\ufeff3,4\n5,6\n")
    assert found.rejects["rule"].to_pylist() == ["csv.bom"]
    mended = _read(tmp_path, f"{before}\ufeff3,4\n5,6\n", bad_rows="repair")
    assert str(mended.table[0][-2]) == "3"
    assert mended.rejects.num_rows == 0


def test_one_column_may_have_its_own_name_as_a_value(tmp_path):
    assert _read(tmp_path, "name\nx\nname\n").table["name"].to_pylist() == ["x", "name"]


def test_a_record_that_only_resembles_the_header_is_a_row(tmp_path):
    text = "code,a,n\n" + "A,1,x\n" * 3 + "code,7,n\n"
    found = _read(tmp_path, text, types={"a": "VARCHAR"})
    assert found.table.num_rows == 4
