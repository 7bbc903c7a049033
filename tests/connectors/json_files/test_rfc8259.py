"""What RFC 8259 says is JSON is read, and nothing else is; two hundred small texts and more."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

import prefect_etl
from prefect_etl.connectors.files.json.exact import Fault, Reader
from prefect_etl.connectors.files.json.quick import Trust, trust
from prefect_etl.connectors.files.json.spelling import as_json
from prefect_etl.errors import SourceReadError

sys.path.append(str(Path(__file__).parent))
from texts import accepted, refused, undecided


def _one_line(data: bytes) -> bool:
    return bool(data.strip()) and not {b"\n"[0]} & set(data)


@pytest.mark.parametrize("text", accepted())
def test_what_is_json_is_read(text: str) -> None:
    value = Reader().value(accepted()[text].decode())
    assert json.loads(as_json(value), parse_float=Decimal) == json.loads(text, parse_float=Decimal)


@pytest.mark.parametrize("text", refused())
def test_what_is_no_json_is_not_read(text: str) -> None:
    with pytest.raises((Fault, UnicodeDecodeError)):
        Reader().value(refused()[text].decode())


def test_lines_of_json_are_rows_with_the_values_that_they_have(tmp_path: Path) -> None:
    texts = [data.decode() for data in accepted().values() if _one_line(data)]
    file = tmp_path / "a.jsonl"
    file.write_text("".join(f'{{"v": {text}}}\n' for text in texts), encoding="utf-8", newline="")
    found = prefect_etl.read(file)
    assert (found.rejects.num_rows, found.repairs) == (0, ())
    got = [row["v"] for row in found.table.to_pylist()]
    wanted = [json.loads(text, parse_float=Decimal) for text in texts]
    assert [v if v is None else json.loads(v, parse_float=Decimal) for v in got] == wanted


def test_lines_of_no_json_are_put_aside_and_no_other_line_is(tmp_path: Path) -> None:
    lines = [b'{"v": ' + data + b"}" for data in refused().values() if _one_line(data)]
    good = [b'{"v": %d}' % n for n in range(len(lines))]
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"\n".join(line for pair in zip(good, lines, strict=True) for line in pair))
    found = prefect_etl.read(file)
    assert found.table.column("v").to_pylist() == list(range(len(lines)))
    rejects = found.rejects.to_pylist()
    assert [r["line"] for r in rejects] == list(range(2, 2 * len(lines) + 1, 2))
    assert {r["rule"] for r in rejects} == {"json.syntax", "json.encoding"}


@pytest.mark.parametrize("text", refused())
def test_the_engine_is_not_trusted_with_what_it_would_take(text: str, tmp_path: Path) -> None:
    data = refused()[text]
    if not _one_line(data):
        pytest.skip("it is more than a line, or none")
    line = b'{"v": ' + data + b"}\n"
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"v": 1}\n' + line)
    if trust([file.read_bytes()], lines=True) is not Trust.NONE:
        with pytest.raises(duckdb.Error):
            duckdb.read_json(str(file), format="newline_delimited").fetchall()


@pytest.mark.parametrize("text", undecided())
def test_what_is_left_open_is_exact_or_put_aside(text: str, tmp_path: Path) -> None:
    data, rule = undecided()[text]
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"n": 1, "v": ' + data + b'}\n{"n": 2, "v": null}\n')
    found = prefect_etl.read(file)
    assert found.rejects.column("rule").to_pylist() == ([rule] if rule else [])
    if rule is None and data[:1] not in b'"{':
        assert Decimal(found.table.column("v")[0].as_py()) == Decimal(text)


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 100_000, '[{"a":' * 50_000])
def test_no_depth_brings_the_program_down(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(SourceReadError, match="nested more than 100 deep"):
        prefect_etl.read(tmp_path / "a.json")
