"""Sheets as tables: values, errors, ranges, and workbooks that are traps."""

from __future__ import annotations

import datetime as dt
import struct
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlwt

import prefect_etl
from prefect_etl.errors import SourceReadError


def book(path: Path, rows: list[list[Any]], **sheets: list[list[Any]]) -> Path:
    workbook = openpyxl.Workbook()
    first = workbook.active
    assert first is not None
    first.title = "Data"
    for sheet, values in [
        (first, rows),
        *((workbook.create_sheet(n), v) for n, v in sheets.items()),
    ]:
        for row in values:
            sheet.append(row)
    workbook.save(path)
    return path


def edited(path: Path, part: str, old: bytes, new: bytes) -> Path:
    """The same workbook with other bytes in one of its parts."""
    with zipfile.ZipFile(path) as source:
        parts = {name: source.read(name) for name in source.namelist()}
    assert old in parts[part]
    parts[part] = parts[part].replace(old, new, 1)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in parts.items():
            target.writestr(name, data)
    return path


def rows(path: Path, **pins: Any) -> list[Any]:
    return [tuple(row.values()) for row in prefect_etl.read(path, **pins).table.to_pylist()]


SHEET = "xl/worksheets/sheet1.xml"
HEAD = ["id", "name", "price", "day"]
ROWS = [HEAD, [1, "Ümlaut", 1.5, dt.date(2020, 1, 2)], [2, None, 2, dt.date(1999, 12, 31)]]
WANTED = [(1, "Ümlaut", 1.5, dt.date(2020, 1, 2)), (2, None, 2.0, dt.date(1999, 12, 31))]


def test_values_keep_their_types(tmp_path):
    assert rows(book(tmp_path / "a.xlsx", ROWS)) == WANTED


def test_an_old_workbook_is_read(tmp_path):
    workbook = xlwt.Workbook()
    sheet = workbook.add_sheet("Data")
    style = xlwt.easyxf(num_format_str="YYYY-MM-DD")
    for r, row in enumerate(ROWS):
        for c, value in enumerate(row):
            if value is not None:
                args = (style,) if isinstance(value, dt.date) else ()
                sheet.write(r, c, value, *args)
    workbook.save(str(tmp_path / "a.xls"))
    assert [row[:3] for row in rows(tmp_path / "a.xls")] == [row[:3] for row in WANTED]


def test_a_sheet_of_opendocument_is_read(tmp_path):
    name = "urn:oasis:names:tc:opendocument:xmlns"
    cell = '<table:table-cell office:value-type="{}" {}><text:p>{}</text:p></table:table-cell>'
    first = cell.format("string", "", "n") + cell.format("string", "", "s")
    second = cell.format("float", 'office:value="7"', "7") + cell.format("string", "", "x")
    content = (
        f'<office:document-content xmlns:office="{name}:office:1.0" xmlns:text="{name}:text:1.0" '
        f'xmlns:table="{name}:table:1.0"><office:body><office:spreadsheet><table:table '
        f'table:name="T"><table:table-row>{first}</table:table-row><table:table-row>{second}'
        "</table:table-row></table:table></office:spreadsheet></office:body>"
        "</office:document-content>"
    )
    with zipfile.ZipFile(tmp_path / "a.ods", "w") as file:
        file.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        file.writestr("META-INF/manifest.xml", "<manifest/>")
        file.writestr("content.xml", content)
    assert rows(tmp_path / "a.ods") == [(7, "x")]


def test_whole_numbers_times_and_durations_stay_what_they_are(tmp_path):
    path = book(
        tmp_path / "a.xlsx",
        [
            ["n", "long", "mixed", "time", "took", "yes"],
            [1, 2**53 - 1, 12, dt.time(3, 4), dt.timedelta(hours=30), True],
            [2, None, "x", None, None, False],
        ],
    )
    assert rows(path) == [
        (1, 2**53 - 1, "12", dt.time(3, 4), "30:00:00", True),
        (2, None, "x", None, None, False),
    ]


def test_an_error_cell_puts_its_row_aside_and_names_the_cell(tmp_path):
    path = book(tmp_path / "a.xlsx", [["n", "v"], [1, "#DIV/0!"], [2, 5], [3, 6]])
    found = prefect_etl.read(path)
    assert found.table.to_pylist() == [{"n": 2, "v": 5}, {"n": 3, "v": 6}]
    (reject,) = found.rejects.to_pylist()
    assert (reject["rule"], reject["reason"], reject["line"]) == (
        "excel.error",
        "B2 is #DIV/0!",
        2,
    )


def test_a_formula_that_was_never_calculated_puts_its_row_aside(tmp_path):
    path = book(tmp_path / "a.xlsx", [["n", "v"], [1, "=1+1"], [2, 5], [3, 6]])
    found = prefect_etl.read(path)
    assert found.table.num_rows == 2
    assert found.rejects.to_pylist()[0]["reason"] == "B2 is a formula that was never calculated"


def test_error_cells_are_found_however_the_xml_is_spelled(tmp_path):
    path = book(tmp_path / "a.xlsx", [["n", "v"], [1, "#N/A"], [2, 5], [3, 6]])
    edited(path, SHEET, b'<c r="B2" t="e">', b"<c t='e'>")
    assert prefect_etl.read(path).rejects.to_pylist()[0]["reason"] == "B2 is #N/A"


def test_an_error_cell_is_null_where_it_is_to_be_mended(tmp_path):
    path = book(tmp_path / "a.xlsx", [["n", "v"], [1, "#DIV/0!"], [2, 5]])
    found = prefect_etl.read(path, bad_rows="repair")
    assert found.table.to_pylist() == [{"n": 1, "v": None}, {"n": 2, "v": 5}]
    assert [repair.kind for repair in found.repairs] == ["excel.error"]


def test_a_row_that_does_not_fit_a_pinned_type_is_put_aside(tmp_path):
    path = book(tmp_path / "a.xlsx", [["n"], [1], [1.5], [3]])
    found = prefect_etl.read(path, types={"n": "int64"})
    assert found.table.to_pylist() == [{"n": 1}, {"n": 3}]
    assert found.rejects.to_pylist()[0]["reason"] == "n is no BIGINT"


def test_a_sheet_is_chosen_by_name_or_number(tmp_path):
    path = book(tmp_path / "a.xlsx", [["a"], [1]], Other=[["b"], [2]], Empty=[])
    with pytest.raises(SourceReadError, match="several sheets: Data, Other; say which"):
        prefect_etl.read(path)
    assert rows(path, sheet="Other") == [(2,)]
    assert rows(path, sheet=1) == [(1,)]
    with pytest.raises(SourceReadError, match="no sheet Nope; it has Data, Other, Empty"):
        prefect_etl.read(path, sheet="Nope")


def test_an_empty_sheet_beside_another_one_is_no_choice(tmp_path):
    assert rows(book(tmp_path / "a.xlsx", [["a"], [1]], Empty=[])) == [(1,)]


def test_a_range_of_cells_is_read_with_its_places(tmp_path):
    table = [["Report of May"], [], [None, "n", "v"], [None, 1, "#N/A"], [None, 2, 3], [None, 4, 5]]
    path = book(tmp_path / "a.xlsx", [*table, [None, "sum", 7]])
    found = prefect_etl.read(path, cells="B3:C6")
    assert found.table.to_pylist() == [{"n": 2, "v": 3}, {"n": 4, "v": 5}]
    assert found.rejects.to_pylist()[0]["reason"] == "C4 is #N/A"
    assert prefect_etl.read(path, cells="B3:C7", footer=1).table.num_rows == 2
    with pytest.raises(SourceReadError, match="no range"):
        prefect_etl.read(path, cells="B3")


def test_headers_of_several_rows_and_merged_cells_are_joined(tmp_path):
    path = book(tmp_path / "a.xlsx", [["id", "2024", None], [None, "net", "gross"], [1, 2, 3]])
    workbook = openpyxl.load_workbook(path)
    workbook.active.merge_cells("B1:C1")
    workbook.save(path)
    found = prefect_etl.read(path, header_lines=2)
    assert found.table.column_names == ["id", "2024_net", "2024_gross"]


def test_names_are_made_different_and_empty_ones_are_numbered(tmp_path):
    path = book(tmp_path / "a.xlsx", [["a", "a", None, "b"], [1, 2, 3, 4]])
    assert prefect_etl.read(path).table.column_names == ["a", "a_2", "column_3", "b"]


def test_a_sheet_without_a_header_has_numbered_columns(tmp_path):
    path = book(tmp_path / "a.xlsx", [[1, "x"], [2, "y"]])
    assert rows(path) == [(1, "x"), (2, "y")]


@pytest.mark.parametrize("name", ["a.xlsx", "a.xls", "a.ods", "a.xlsb"])
def test_what_is_no_workbook_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"id,name\n1,x\n" * 100)
    with pytest.raises(SourceReadError, match="no workbook, or damaged") as refused:
        prefect_etl.read(tmp_path / name)
    assert "Save it again" in str(refused.value.hint)
    assert "delimiter" not in str(refused.value)


def test_a_workbook_with_a_password_is_refused_and_says_so(tmp_path):
    (tmp_path / "a.xlsx").write_bytes(_encrypted())
    with pytest.raises(SourceReadError, match="it has a password") as refused:
        prefect_etl.read(tmp_path / "a.xlsx")
    assert "without its password" in str(refused.value.hint)


def _encrypted() -> bytes:
    """What Office writes around an encrypted workbook ([MS-CFB], [MS-OFFCRYPTO]), without data."""
    end, unused = 0xFFFFFFFE, 0xFFFFFFFF
    head = struct.pack("<8s16xHHHHH6x", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 62, 3, 0xFFFE, 9, 6)
    head += struct.pack("<9I", 0, 1, 1, 0, 4096, end, 0, end, 0)
    head += struct.pack("<109I", 0, *[unused] * 108)
    table = struct.pack("<128I", 0xFFFFFFFD, end, *[unused] * 126)

    def entry(name: str, kind: int, right: int = -1, child: int = -1) -> bytes:
        text = name.encode("utf-16-le") + b"\0\0"
        of = (len(text), kind, 1, -1, right, child)
        return struct.pack("<64sHBBiii16xI16xIQ", text, *of, 0, end, 0)

    return b"".join(
        [
            head,
            table,
            entry("Root Entry", 5, child=1),
            entry("EncryptedPackage", 2, right=2),
            entry("EncryptionInfo", 2),
            entry("", 0),
        ]
    )


@pytest.mark.parametrize("cut", [0.2, 0.6, 0.95])
def test_a_truncated_workbook_is_refused(tmp_path, cut):
    path = book(tmp_path / "a.xlsx", [["n"], *([n] for n in range(500))])
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * cut)])
    with pytest.raises(SourceReadError, match="cannot be read"):
        prefect_etl.read(path)


def test_two_cells_far_apart_do_not_take_the_memory(tmp_path):
    path = book(tmp_path / "a.xlsx", [["n"], [1]])
    edited(path, SHEET, b'r="A2"', b'r="XFD1048576"')
    edited(path, SHEET, b'<row r="2"', b'<row r="1048576"')
    with pytest.raises(SourceReadError):
        prefect_etl.read(path, memory_limit="512MiB")
    assert rows(book(tmp_path / "b.xlsx", [["n"], [1]])) == [(1,)]


ENTITIES = (
    b"<!DOCTYPE x [<!ENTITY a 'lol'>"
    + b"".join(b"<!ENTITY %c '%s'>" % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]>"
)


def test_entities_that_multiply_are_not_followed(tmp_path):
    path = book(tmp_path / "a.xlsx", [["n", "s"], [1, "text"]])
    edited(path, SHEET, b"<worksheet", ENTITIES + b"<worksheet")
    edited(path, SHEET, b"<t>text</t>", b"<t>&j;</t>")
    with pytest.raises(SourceReadError, match=r"document type|unrecognized entity"):
        rows(path)


def test_entities_from_other_files_are_not_read(tmp_path):
    canary = tmp_path / "canary.txt"
    canary.write_text("SECRET-CANARY")
    path = book(tmp_path / "a.xlsx", [["n", "s"], [1, "text"]])
    outside = f"<!DOCTYPE x [<!ENTITY e SYSTEM 'file://{canary}'>]>".encode()
    edited(path, SHEET, b"<worksheet", outside + b"<worksheet")
    edited(path, SHEET, b"<t>text</t>", b"<t>&e;</t>")
    with pytest.raises(SourceReadError, match=r"document type|unrecognized entity"):
        rows(path)


def test_a_part_that_is_a_bomb_is_given_up(tmp_path):
    path = book(tmp_path / "a.xlsx", [["n"], [1]])
    edited(path, SHEET, b"</sheetData>", b" " * (100 << 20) + b"</sheetData>")
    try:
        assert rows(path, memory_limit="256MiB") == [(1,)]
    except SourceReadError as error:
        assert "cannot be read" in str(error)  # noqa: PT017 - either is right, a crash is not


def test_a_workbook_goes_its_way_through_a_pipeline(tmp_path):
    from prefect_etl.pipeline.run import run_pipeline
    from prefect_etl.pipeline.spec import pipeline_from
    from prefect_etl.pipeline.workspace import open_workspace

    book(tmp_path / "a.xlsx", [["n", "v"], [1, "#N/A"], [2, 5], [3, 6]])
    book(tmp_path / "b.xlsx", [["n", "v"], [4, 7]])
    spec = pipeline_from(
        name="p",
        destination="duckdb:///w.duckdb",
        sources={"f": {"connection": "file://.", "datasets": {"t": {"path": "*.xlsx"}}}},
        root=tmp_path,
    )
    with open_workspace(spec) as workspace:
        (report,) = run_pipeline(workspace).datasets
    assert (report.counts.read, report.counts.inserted, report.counts.quarantined) == (4, 3, 1)


TITLED = [["Report"], ["2024"], [], *ROWS]


def test_a_title_above_the_table_is_left_out_and_told(tmp_path):
    found = prefect_etl.read(book(tmp_path / "a.xlsx", TITLED))
    assert found.table.column_names == HEAD
    (repair,) = found.repairs
    assert (repair.kind, repair.count) == ("excel.guess", 2)


def test_rows_of_the_sheet_above_the_table_can_be_said(tmp_path):
    found = prefect_etl.read(book(tmp_path / "a.xlsx", TITLED), skip=3)
    assert found.table.column_names == HEAD
    assert found.repairs == ()


def test_a_first_row_with_one_name_of_two_is_no_title(tmp_path):
    found = prefect_etl.read(book(tmp_path / "a.xlsx", [["id", None], ["a", "b"], ["c", "d"]]))
    assert found.table.column_names == ["id", "column_2"]
