"""Files that are not what they say: nothing of them is loaded, and the message names them."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from project import Project

_ROWS = 5000
_CSV = "n,what\n" + "".join(f"{n},name {n}\n" for n in range(_ROWS))
_TABLE = pa.table({"n": range(_ROWS), "what": [f"name {n}" for n in range(_ROWS)]})
_WANTED = [(n, f"name {n}") for n in range(_ROWS)]


def _gzip() -> bytes:
    return gzip.compress(_CSV.encode(), mtime=0)


def _gzip_cut_at_a_line() -> bytes:
    # All that is there decompresses without an error, to whole lines.
    packer = zlib.compressobj(wbits=31)
    half = _CSV[: _CSV.index("\n", len(_CSV) // 2) + 1]
    return packer.compress(half.encode()) + packer.flush(zlib.Z_FULL_FLUSH)


def _gzip_cut_in_its_second_member() -> bytes:
    return _gzip() + gzip.compress(b"9000,more\n" * 1000)[:-9]


def _gzip_cut_after_a_byte_of_its_second_member() -> bytes:
    return _gzip() + gzip.compress(b"9000,more\n")[:1]


def _zstd() -> bytes:
    return bytes(pa.compress(_CSV.encode(), codec="zstd", asbytes=True))


def _zstd_cut_in_its_second_frame() -> bytes:
    return _zstd() + bytes(pa.compress(b"9000,more\n" * 1000, codec="zstd", asbytes=True))[:-3]


def _parquet() -> bytearray:
    file = io.BytesIO()
    # Plain bytes, so that what is changed below changes nothing else.
    pq.write_table(_TABLE, file, compression="snappy", store_schema=False, write_statistics=False)
    return bytearray(file.getvalue())


def _parquet_with_a_corrupt_footer() -> bytes:
    data = _parquet()
    data[-4 - 4 - 60 : -4 - 4 - 40] = b"\xff" * 20
    return bytes(data)


def _parquet_with_a_corrupt_page() -> bytes:
    data = _parquet()
    data[3000:3050] = bytes(byte ^ 0x5A for byte in data[3000:3050])
    return bytes(data)


def _parquet_whose_row_group_denies_rows() -> bytes:
    data = _parquet()
    said = _varint(2 * _ROWS)  # Thrift's compact protocol: zigzag, then groups of seven bits
    at = data.rindex(said)
    data[at : at + len(said)] = _varint(2 * (_ROWS - 1))
    return bytes(data)


def _varint(number: int) -> bytes:
    groups = []
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


BAD: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "gzip, cut": ("a.csv.gz", lambda: _gzip()[:-300], "Truncated"),
    "gzip, its checksum cut": ("a.csv.gz", lambda: _gzip()[:-4], "Truncated"),
    "gzip, cut at a line": ("a.csv.gz", _gzip_cut_at_a_line, "Truncated"),
    "gzip, cut in its second member": ("a.csv.gz", _gzip_cut_in_its_second_member, "Truncated"),
    "gzip, one byte of a second member": (
        "a.csv.gz",
        _gzip_cut_after_a_byte_of_its_second_member,
        "Truncated|incorrect",
    ),
    "gzip, a wrong checksum": (
        "a.csv.gz",
        lambda: _gzip()[:-8] + bytes(4) + _gzip()[-4:],
        "incorrect data check",
    ),
    "gzip, not at all": ("a.csv.gz", _CSV.encode, "incorrect header"),
    "zstd, cut": ("a.csv.zst", lambda: _zstd()[:-300], "Truncated"),
    "zstd, its checksum cut": ("a.csv.zst", lambda: _zstd()[:-2], "Truncated"),
    "zstd, cut in its second frame": ("a.csv.zst", _zstd_cut_in_its_second_frame, "Truncated"),
    "zstd, not at all": ("a.csv.zst", _CSV.encode, "Unknown frame"),
    "Parquet, cut": ("a.parquet", lambda: bytes(_parquet()[:-100]), "No magic bytes"),
    "Parquet, its head only": ("a.parquet", lambda: bytes(_parquet()[:2000]), "No magic bytes"),
    "Parquet, a corrupt footer": ("a.parquet", _parquet_with_a_corrupt_footer, "cannot be read"),
    "Parquet, a corrupt page": ("a.parquet", _parquet_with_a_corrupt_page, "cannot be read"),
    "Parquet, wrong row counts": (
        "a.parquet",
        _parquet_whose_row_group_denies_rows,
        "speaks of 5000 rows, and its row groups have 4999",
    ),
    "Parquet, not at all": ("a.parquet", _CSV.encode, "No magic bytes"),
    "Parquet, empty": ("a.parquet", bytes, "too small"),
    "CSV, empty": ("a.csv", bytes, "is empty"),
    "CSV of NUL bytes": ("a.csv", lambda: bytes(100), "NUL"),
    "CSV that is not UTF-8": ("a.csv", lambda: b"n,what\n1,\xe9\n", "no UTF-8"),
    "CSV, most lines too short": ("a.csv", lambda: b"n,what\n1,a\n7\n8\n9\n", "do not look like"),
    "JSON Lines, most of them cut": (
        "a.jsonl",
        lambda: b'{"n": 1}\n{"n": \n{"n',
        "1 records can be read, about 2 cannot; line 3: ",
    ),
    "JSON, nested beyond any stack": ("a.json", lambda: b"[" * 100_000, "nested more than 100"),
    "JSON, not at all": ("a.json", _CSV.encode, "cannot be read as JSON"),
    "JSON Lines, empty": ("a.jsonl", bytes, "is empty"),
    "Arrow, cut": ("a.arrow", lambda: b"ARROW1\0\0abc", "cannot be read"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_file_that_lies_is_named_and_nothing_of_it_is_loaded(fault, tmp_path):
    name, content, said = BAD[fault]
    project = Project(tmp_path)
    (project.folder / name).write_bytes(content())
    report = project.run_faulty()
    assert report.status == "failed"
    assert f"faulty/{name}" in report.reason
    assert re.search(said, report.reason)
    assert report.hint
    assert "fault of prefect_etl" not in report.hint
    assert project.rows() is None


@pytest.mark.parametrize("fault", BAD)
def test_a_table_stays_as_it_was_until_the_file_is_mended(fault, tmp_path):
    name, content, _ = BAD[fault]
    project = Project(tmp_path, write="replace")
    good, kind = project.folder / "a.csv", name.removeprefix("a")
    good.write_text("n,what\n1,before\n")
    assert project.run_faulty().status == "loaded"
    good.unlink()
    (project.folder / name).write_bytes(content())
    assert project.run_faulty().status == "failed"
    assert project.rows() == [(1, "before")]
    mended = _mended(kind)
    (project.folder / name).write_bytes(mended)
    assert project.run_faulty().status == "loaded"
    assert project.rows() == _WANTED


def _mended(kind: str) -> bytes:
    match kind:
        case ".csv.gz":
            return _gzip()
        case ".csv.zst":
            return _zstd()
        case ".parquet":
            return bytes(_parquet())
        case ".json":
            return b"[%s]" % b",".join(_json_rows())
        case ".jsonl":
            return b"\n".join(_json_rows())
        case ".arrow":
            file = io.BytesIO()
            with pa.ipc.new_file(file, _TABLE.schema) as out:
                out.write_table(_TABLE)
            return file.getvalue()
    return _CSV.encode()


def _json_rows() -> list[bytes]:
    return [b'{"n": %d, "what": "name %d"}' % (n, n) for n in range(_ROWS)]


def test_an_empty_file_among_others_is_a_file_without_rows(tmp_path):
    project = Project(tmp_path)
    (project.folder / "a.csv").write_text("n,what\n1,one\n")
    (project.folder / "b.csv").touch()
    (project.folder / "c.csv").write_text("n,what\n")
    report = project.run_faulty()
    assert (report.status, report.units, report.counts.read) == ("loaded", 3, 1)
    assert project.rows() == [(1, "one")]


def test_a_file_of_a_header_only_makes_an_empty_table(tmp_path):
    project = Project(tmp_path)
    (project.folder / "a.csv").write_text("n,what\n")
    assert project.run_faulty().status == "loaded"
    assert project.rows() == []
    (project.folder / "b.csv").write_text("n,what\n1,one\n")
    assert project.run_faulty().status == "loaded"
