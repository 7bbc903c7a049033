"""What becomes of files of JSON: layouts, encodings, numbers, keys, nesting, and what is broken."""

from __future__ import annotations

import gzip
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import prefect_etl
from prefect_etl.errors import SourceReadError

LINES = '{"a": 1}\n{"a": 2}\n'


class Read:
    """What a file of some bytes is read as."""

    def __init__(self, folder: Path, data: bytes | str, name: str, **pins: Any) -> None:
        path = folder / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        found = prefect_etl.read(path, **pins)
        self.rows = found.table.to_pylist()
        self.types = {field.name: str(field.type) for field in found.table.schema}
        self.repairs = [str(repair) for repair in found.repairs]
        self.rejects = found.rejects.to_pylist()

    @property
    def values(self) -> list[Any]:
        return [row["a"] for row in self.rows]


@pytest.mark.parametrize(
    "text",
    [
        LINES,
        LINES.replace("\n", "\r\n"),
        "\n\n" + LINES.replace("\n", "\n\n \t\n"),
        LINES.rstrip(),
        '[{"a": 1}, {"a": 2}]',
        '[\n  {\n    "a": 1\n  },\n  {\n    "a": 2\n  }\n]\n',
        '{\n"a": 1\n}\n{\n"a": 2\n}',
        '{"a": 1}{"a": 2}',
        '{"a": 1} {"a": 2}',
        '[{"a": 1}]\n[{"a": 2}]',
        "\ufeff" + LINES,
    ],
)
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_records_are_found_however_they_follow_each_other(
    text: str, name: str, tmp_path: Path
) -> None:
    if name == "a.jsonl" and "]\n[" in text:
        pytest.skip("lines of lists are no records")
    read = Read(tmp_path, text, name)
    assert (read.values, read.rejects, read.repairs) == ([1, 2], [], [])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-be", "utf-16-le", "utf-32-be"])
def test_other_encodings_of_unicode_are_found_and_told(encoding: str, tmp_path: Path) -> None:
    read = Read(tmp_path, '[{"a": "é😀"}, {"a": "ü"}]'.encode(encoding), "a.json")
    assert read.values == ["é😀", "ü"]
    assert "not in UTF-8 (once)" in read.repairs[0]
    pinned = Read(tmp_path, '{"a": "é😀"}'.encode(encoding), "a.json", encoding=encoding)
    assert (pinned.values, pinned.repairs) == (["é😀"], [])


def test_an_encoding_that_is_pinned_is_taken(tmp_path: Path) -> None:
    data = '{"a": "ãã¼"}\n{"a": "表"}'.replace("ãã¼", "あー").encode("shift-jis")
    assert Read(tmp_path, data, "a.jsonl", encoding="shift-jis").values == ["あー", "表"]


def test_a_byte_that_is_no_text_is_named_by_its_place(tmp_path: Path) -> None:
    read = Read(tmp_path, b'{"a": "x"}\n{"a": "\xe9"}\n', "a.jsonl")
    reject = read.rejects[0]
    assert (reject["line"], reject["byte"], reject["rule"]) == (2, 11, "json.encoding")
    assert reject["reason"] == "byte 18 of the file, 0xE9, is not UTF-8"
    assert reject["text"] == '{"a": "\\xe9"}'


def test_repair_replaces_what_is_no_text_and_tells(tmp_path: Path) -> None:
    data = b'{"a": "\xe9"}\n{"a": "\\ud800x"}\n{"a": "ok"}'
    read = Read(tmp_path, data, "a.jsonl", bad_rows="repair")
    assert (read.values, read.rejects) == (["\ufffd", "\ufffdx", "ok"], [])
    assert read.repairs[0].endswith("(2 times, first in line 1)")


def test_a_bad_line_is_put_aside_with_line_byte_and_reason(tmp_path: Path) -> None:
    read = Read(tmp_path, '{"a": 1}\n{"a": 2,}\n{"a": 3}\n', "a.jsonl")
    assert read.values == [1, 3]
    reject = read.rejects[0]
    assert (reject["line"], reject["byte"], reject["text"]) == (2, 9, '{"a": 2,}')
    assert "column 9" in reject["reason"]


@pytest.mark.parametrize("junk", [",", "]", "x", '{"a": 0}', '"'])
def test_a_broken_first_line_does_not_make_a_document(junk: str, tmp_path: Path) -> None:
    read = Read(tmp_path, f'{{"a": 1}}{junk}\n{{"a": 2}}\n{{"a": 3}}\n', "a.jsonl")
    assert (read.values, [r["line"] for r in read.rejects]) == ([2, 3], [1])


def test_a_line_cut_at_the_end_of_the_file_is_put_aside(tmp_path: Path) -> None:
    read = Read(tmp_path, '{"a": 1}\n{"a": ', "a.jsonl")
    assert (read.values, [r["line"] for r in read.rejects]) == ([1], [2])


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_records_that_are_no_objects_are_put_aside(name: str, tmp_path: Path) -> None:
    values = ['{"a": 1}', "5", '"x"', '{"a": 2}', "null", '{"a": 3}', "[1]", '{"a": 4}', '{"a": 5}']
    text = "\n".join(values) if name == "a.jsonl" else f"[{','.join(values)}]"
    read = Read(tmp_path, text, name)
    assert read.values == [1, 2, 3, 4, 5]
    assert [r["reason"] for r in read.rejects] == [
        f"it is {what}, not an object" for what in ("a number", "a text", "null", "a list")
    ]


def test_a_document_broken_in_its_middle_is_read_up_to_there(tmp_path: Path) -> None:
    read = Read(tmp_path, '[{"a": 1},\n{"a": 2},\n{"a": oops}, {"a": 4}]', "a.json")
    assert read.values == [1, 2]
    assert [(r["line"], r["text"]) for r in read.rejects] == [(3, '{"a": oops}, {"a": 4}]')]
    assert "in line 3; the document is not read from here on" in read.rejects[0]["reason"]


def test_a_document_that_ends_too_early_says_so(tmp_path: Path) -> None:
    read = Read(tmp_path, '[{"a": 1}, {"a": 2}', "a.json")
    assert read.values == [1, 2]
    assert read.rejects[0]["reason"] == "the document ends before its end"


def test_a_document_broken_near_its_start_is_refused(tmp_path: Path) -> None:
    records = ",".join(f'{{"a": {n}}}' for n in range(100))
    with pytest.raises(SourceReadError, match=r"1 records can be read, about 10\d cannot"):
        Read(tmp_path, f'[{{"a": 0}},{{"a": oops}},{records}]', "a.json")


@pytest.mark.parametrize("text", ['{"a": 1}\n{"a": \n', '{"a": 1, "a": 2}', '[{"a": 1}, 5]'])
def test_fail_refuses_a_file_with_anything_wrong(text: str, tmp_path: Path) -> None:
    with pytest.raises(SourceReadError, match=r"a\.json: line \d: "):
        Read(tmp_path, text, "a.json", bad_rows="fail")


def test_a_key_that_comes_twice_is_told_and_the_last_counts(tmp_path: Path) -> None:
    read = Read(tmp_path, '{"a": 1}\n{"a": 2, "a": 3}\n{"a": 4, "a": 5}\n', "a.jsonl")
    assert read.values == [1, 3, 5]
    said = "the key a comes twice in an object; the last one counts"
    assert read.repairs == [f"a.jsonl: {said} (2 times, first in line 2)"]


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["123456789012345678901234567890", "1"], "decimal128(38, 0)"),
        (["0.1234567890123456789", "12", "0.5"], "decimal128(21, 19)"),
        (["9007199254740993", "0.5"], "decimal128(17, 1)"),
        (["1e400", "1"], "string"),
        (["1e-400", "0.1"], "string"),
        (["1" * 50, "2"], "string"),
        (["18446744073709551615", "0"], "decimal128(38, 0)"),
        (["0.30000000000000004", "1e300"], "double"),
        (["9007199254740993", "1"], "int64"),
    ],
)
def test_numbers_are_exact(texts: list[str], kind: str, tmp_path: Path) -> None:
    read = Read(tmp_path, "\n".join(f'{{"a": {text}}}' for text in texts), "a.jsonl")
    assert read.types["a"] == kind
    got = [repr(v) if isinstance(v, float) else str(v) for v in read.values]
    assert list(map(Decimal, got)) == list(map(Decimal, texts))


def test_numbers_deep_inside_are_exact(tmp_path: Path) -> None:
    long = "12345678901234567890.123456789"
    read = Read(tmp_path, f'{{"a": {{"b": [{long}, 1]}}, "m": [1, "x", {long}]}}', "a.json")
    assert read.values == [{"b": [Decimal(long), Decimal(1)]}]
    assert read.rows[0]["m"] == ["1", '"x"', long]


def test_a_long_number_in_one_file_makes_all_files_exact(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text('{"a": 0.1}\n')
    (tmp_path / "c.jsonl").write_text('{"a": 0.12345678901234567890123}\n')
    found = prefect_etl.read(tmp_path / "*.jsonl")
    assert found.table.column("a").to_pylist() == [
        Decimal("0.1"),
        Decimal("0.12345678901234567890123"),
    ]


def test_a_pinned_decimal_takes_digits_not_doubles(tmp_path: Path) -> None:
    read = Read(tmp_path, '{"a": 123456.789}', "a.jsonl", types={"a": "decimal(38, 20)"})
    assert read.values == [Decimal("123456.789")]


def test_a_value_that_a_pin_cannot_hold_is_put_aside(tmp_path: Path) -> None:
    read = Read(tmp_path, '{"a": "1"}\n{"a": "x"}\n{"a": "3"}\n', "a.jsonl", types={"a": "int64"})
    assert read.values == [1, 3]
    assert read.rejects[0]["reason"] == "a is a text, and the column is BIGINT"


@pytest.mark.parametrize("form", ["jsonl", "json"])
def test_a_text_that_is_no_date_is_put_aside_where_dates_are_pinned(
    tmp_path: Path, form: str
) -> None:
    records = ['{"a": "2024-02-29"}', '{"a": "31/31/2024"}', '{"a": null}', '{"a": "2023-02-29"}']
    text = "\n".join(records) if form == "jsonl" else f"[{', '.join(records)}]"
    read = Read(tmp_path, text, f"a.{form}", types={"a": "date"})
    assert read.values == [date(2024, 2, 29), None]
    assert [reject["reason"] for reject in read.rejects] == ["a is no DATE"] * 2


def test_a_whole_number_is_whole_however_it_is_written(tmp_path: Path) -> None:
    text = "".join(f'{{"a": {n}}}\n' for n in ("1.0", "2e3", "-30.00e-1", "4.5", "1e30", "7"))
    read = Read(tmp_path, text, "a.jsonl", types={"a": "int64"})
    assert (read.values, [r["line"] for r in read.rejects]) == ([1, 2000, -3, 7], [4, 5])


@pytest.mark.parametrize(
    "text", ['{"a": 1, "A": 2}', '{"a": 1}\n{"A": 2}', '{"o": {"a": 1, "A": 2}}']
)
def test_keys_that_differ_in_case_only_are_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(SourceReadError, match="a and A differ only in case"):
        Read(tmp_path, text, "a.jsonl")


def test_an_empty_key_has_a_name(tmp_path: Path) -> None:
    assert Read(tmp_path, '{"a": 1, "": 2}\n', "a.jsonl").rows == [{"a": 1, "empty": 2}]


def test_many_columns_are_columns(tmp_path: Path) -> None:
    record = {f"column {n}": n for n in range(1000)}
    assert Read(tmp_path, json.dumps(record), "a.json").rows == [record]


def test_sparse_columns_are_columns(tmp_path: Path) -> None:
    lines = "".join(f'{{"c{n}": {n}}}\n' for n in range(300))
    assert Read(tmp_path, lines, "a.jsonl").rows[299]["c299"] == 299


NESTED = '{"id": 1, "o": {"b": {"c": 1.5}, "l": [1, 2]}}\n{"id": 2}\n'
LONG = NESTED.replace("1.5", "1.123456789012345678901")


@pytest.mark.parametrize("text", [NESTED, LONG])
def test_objects_become_columns_where_that_is_asked_for(text: str, tmp_path: Path) -> None:
    read = Read(tmp_path, text, "a.jsonl", nested="columns")
    assert list(read.types) == ["id", "o_b_c", "o_l"]
    wanted = json.loads(text.splitlines()[0], parse_float=Decimal)["o"]["b"]["c"]
    assert read.rows == [
        {"id": 1, "o_b_c": wanted, "o_l": [1, 2]},
        {"id": 2, "o_b_c": None, "o_l": None},
    ]


@pytest.mark.parametrize("text", [NESTED, LONG])
def test_objects_and_lists_stay_json_where_that_is_asked_for(text: str, tmp_path: Path) -> None:
    read = Read(tmp_path, text, "a.jsonl", nested="json")
    inner = text.splitlines()[0].partition('"o": ')[2][:-1].replace(" ", "")
    assert [row["o"] for row in read.rows] == [inner, None]


def test_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceReadError, match=r"a_b and a\.b would both be column a_b"):
        Read(tmp_path, '{"a_b": 1, "a": {"b": 2}}', "a.jsonl", nested="columns")


def test_records_are_taken_from_where_they_are(tmp_path: Path) -> None:
    text = '{"data": {"items": [{"a": 1}, {"a": 2}]}, "next": null}'
    assert Read(tmp_path, text, "a.json", records="data.items").values == [1, 2]


ORDERS = '{"id": 7, "items": [{"a": 1}, {"a": 2}]}\n{"id": 8}\n{"id": 9, "items": [{"a": 3}]}\n'


def test_a_list_in_records_makes_a_child_table_with_the_keys_of_the_parent(tmp_path: Path) -> None:
    read = Read(tmp_path, ORDERS, "a.jsonl", records="items", parent=["id"])
    assert [tuple(row.values()) for row in read.rows] == [(1, 7, 1), (2, 7, 2), (3, 9, 1)]
    assert list(read.types) == ["a", "parent_id", "_index"]


def test_an_item_that_cannot_be_told_from_its_parent_is_put_aside(tmp_path: Path) -> None:
    text = ORDERS + '{"id": 10, "items": [{"a": 1, "parent_id": 3}]}\n{"items": []}\n'
    read = Read(tmp_path, text, "a.jsonl", records="items", parent=["id"])
    assert len(read.rows) == 3
    assert [r["reason"] for r in read.rejects] == [
        "one of its items has a key parent_id of its own",
        "it has no key id to go with its items",
    ]


def test_a_file_with_no_records_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceReadError, match=r"nothing to make columns of[\s\S]*records:"):
        Read(tmp_path, ORDERS, "a.jsonl", records="articles")


def test_a_compressed_file_is_read_with_care_too(tmp_path: Path) -> None:
    data = gzip.compress(b'{"a": 1}\n{"a": 1,}\n{"a": 2}\n')
    read = Read(tmp_path, data, "a.jsonl.gz")
    assert (read.values, len(read.rejects)) == ([1, 2], 1)


def test_good_and_bad_files_together_keep_their_order(tmp_path: Path) -> None:
    for n in range(6):
        bad = "{]\n" if n % 2 else ""
        (tmp_path / f"{n}.jsonl").write_text(f'{{"a": {n}}}\n{bad}{{"a": {n + 10}}}\n')
    found = prefect_etl.read(tmp_path)
    assert sorted(found.table.column("a").to_pylist()) == [*range(6), *range(10, 16)]
    sources = [Path(source).name for source in found.rejects.column("source").to_pylist()]
    assert sources == ["1.jsonl", "3.jsonl", "5.jsonl"]


def test_a_record_longer_than_the_reader_takes_is_read(tmp_path: Path) -> None:
    long = "x" * (17 << 20)
    read = Read(tmp_path, f'{{"a": "{long}"}}\n{{"a": "y"}}\n', "a.jsonl")
    assert [len(value) for value in read.values] == [len(long), 1]


@pytest.mark.parametrize(
    ("text", "values", "reason"),
    [
        ('{"x": {"items": 1},\n"items": [{"a": 1}, {"a": 2}], "y": [1]}', [1, 2], None),
        ('{\n"items": [{"a": 1}, {"a": 2}, ', [1, 2], "the document ends before its end"),
        ('{\n"items": [{"a": 1}, {"a": 2}] "y": 1}', [1, 2], "expecting ',' or '}'"),
        ('{\n"items": {"a": 1}}\n{"items": 7}', [1], "it is a number, not an object"),
        ('{\n"y": {"items": []}, "items": null}\n{\n"items": [{"a": 5}]}', [5], None),
    ],
)
def test_records_of_a_document_are_taken_one_by_one(
    text: str, values: list[int], reason: str | None, tmp_path: Path
) -> None:
    read = Read(tmp_path, text, "a.json", records="items")
    assert read.values == values
    assert [reason in r["reason"] for r in read.rejects] == [True] * (reason is not None)


def test_lists_on_the_way_to_the_records_are_gone_through(tmp_path: Path) -> None:
    text = '{\n"d": [{"items": [{"a": 1}]}, {"items": [{"a": 2}, {"a": 3}]}], "e": 1}'
    assert Read(tmp_path, text, "a.json", records="d.items").values == [1, 2, 3]
