"""Files that crash, hang or grow are told of by name; nobody else is harmed."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from crafted import repeating

from prefect_etl.connectors.files import FilesConnection, FilesDataset, FilesSource
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.schema import UNKNOWN
from prefect_etl.engine import confined
from prefect_etl.engine.confined import Limits
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import SourceReadError
from prefect_etl.storage.parquet import write_parquet

_TABLE = pa.table({"id": range(100), "s": [f"text {n % 7}" for n in range(100)]})
_QUICK = Limits(seconds=1, wall_seconds=3, file_bytes=1 << 20)


def bytes_of(kind: str = "parquet") -> bytes:
    file = io.BytesIO()
    if kind == "parquet":
        pq.write_table(_TABLE, file)
    else:
        with pa.ipc.new_file(file, _TABLE.schema) as out:
            out.write_table(_TABLE)
    return file.getvalue()


def load(session: Session, folder: Path, path: str = "*.parquet", **fields: object) -> int:
    """Read the files of a folder into the raw zone's format; their rows."""
    connection = FilesConnection.from_uri(f"file://{folder}", folder)
    source = FilesSource(connection, FilesDataset(name="d", path=path, **fields), session)
    out, rows = folder / "out", 0
    for batch in source.batches(source.units(LedgerState()), LedgerState()):
        with source.read(batch) as found:
            written = write_parquet(session, found, out, batch.units)
        rows += sum(unit.rows for unit in written.units)
        out.unlink()
    return rows


def processes(session: Session) -> subprocess.Popen[bytes] | None:
    return session.confined()._process


@pytest.fixture
def faulty_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers that do what the name of a file says."""
    monkeypatch.setattr(confined, "WORKER", Path(__file__).with_name("worker.py"))
    monkeypatch.setattr(Limits, "reading", classmethod(lambda _cls, _size: _QUICK))
    monkeypatch.setattr(Limits, "asking", classmethod(lambda _cls, _size: _QUICK))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("crash.parquet", r"crashed \(SIGSEGV\)"),
        ("late.parquet", r"crashed \(SIGSEGV\)"),
        ("hang.parquet", "took too long"),
        ("spin.parquet", "too much processor time"),
        ("hog.parquet", "more memory"),
        ("exit.parquet", "ended with code 3"),
        ("crash.arrow", r"crashed \(SIGSEGV\)"),
        ("hang.arrow", "took too long"),
    ],
)
@pytest.mark.usefixtures("faulty_readers")
def test_a_fault_of_the_reader_is_told_by_the_name_of_the_file(name, said, session, tmp_path):
    (tmp_path / name).write_bytes(bytes_of(name.split(".")[1]))
    with pytest.raises(SourceReadError, match=f"d: {name} cannot be read: .*{said}") as caught:
        load(session, tmp_path, name)
    assert "trusted: true" in str(caught.value)
    (tmp_path / name).rename(tmp_path / f"good{Path(name).suffix}")
    assert load(session, tmp_path, f"good{Path(name).suffix}") == 100


@pytest.mark.parametrize("name", ["crash", "late"])
@pytest.mark.usefixtures("faulty_readers")
def test_one_of_many_files_is_found(name, session, tmp_path):
    for number in range(20):
        (tmp_path / f"{number:02}.parquet").write_bytes(bytes_of())
    (tmp_path / f"13{name}.parquet").write_bytes(bytes_of())
    with pytest.raises(SourceReadError, match=f"d: 13{name}.parquet cannot be read"):
        load(session, tmp_path)


@pytest.mark.usefixtures("faulty_readers")
def test_what_libraries_print_is_no_answer(session, tmp_path):
    (tmp_path / "flood.parquet").write_bytes(bytes_of())
    assert load(session, tmp_path) == 100


@pytest.mark.usefixtures("faulty_readers")
def test_trusted_files_are_read_without_another_process(session, tmp_path):
    for kind in ("parquet", "arrow"):
        (tmp_path / f"crash.{kind}").write_bytes(bytes_of(kind))
        assert load(session, tmp_path, f"*.{kind}", trusted=True) == 100
    assert processes(session) is None


def test_an_interrupt_ends_the_process(session):
    threading.Timer(0.3, session.interrupt).start()
    started = time.monotonic()
    with pytest.raises(duckdb.InterruptException):
        session.confined().query("SELECT sum(hash(range)) FROM range(1e12::BIGINT)", _QUICK)
    assert time.monotonic() - started < 2
    assert processes(session) is None


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_process_ends_with_its_parent(number):
    script = (
        "import signal, sys, threading, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        "from prefect_etl.engine.duckdb import Session\n"
        "from prefect_etl.engine.confined import Limits\n"
        "session = Session('256MB', threads=1); limits = Limits(20, 20, 1 << 20)\n"
        "one = session.confined()\n"
        "one.query('SELECT 1', limits); print(one._process.pid, flush=True)\n"
        "one.query('SELECT sum(hash(range)) FROM range(1e12::BIGINT)', limits)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    time.sleep(0.2)
    parent.send_signal(number)
    parent.wait(5)
    parent.stdout.close()
    assert _ends(child)


def _ends(process: int) -> bool:
    for _ in range(100):
        try:
            os.kill(process, 0)
            state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":  # nobody waits for orphans here
            return True
        time.sleep(0.05)
    return False


def test_an_idle_process_ends(session, monkeypatch):
    monkeypatch.setattr(confined, "_IDLE_SECONDS", 0.05)
    session.confined().query("SELECT 1", _QUICK)
    process = processes(session)
    assert process is not None
    process.wait(5)
    assert session.confined().query("SELECT 2", _QUICK) == [(2,)]


def test_no_secret_of_the_environment_goes_with_it(session, monkeypatch):
    monkeypatch.setenv("DATABASE_PASSWORD", "canary")
    session.confined().query("SELECT 1", _QUICK)
    process = processes(session)
    assert process is not None
    if sys.platform == "linux":
        assert b"canary" not in Path(f"/proc/{process.pid}/environ").read_bytes()


# Files of kilobytes that are terabytes, or take forever.
BOMBS = {
    "two trillion rows": (lambda: repeating(b"a", 2_000_000_000, 1000), None),
    "a long text, many times": (lambda: repeating(b"x" * 1_000_000, 1_000_000, 10), None),
    "a footer that lies": (lambda: repeating(b"a", 10, 1, said=10**15), None),
    "many row groups": (lambda: repeating(b"a", 1, 40_000), 40_000),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_in_seconds(bomb, session, tmp_path, monkeypatch):
    quick = Limits(seconds=4, wall_seconds=8, file_bytes=100 << 20)
    monkeypatch.setattr(Limits, "reading", classmethod(lambda _cls, _size: quick))
    made, rows = BOMBS[bomb]
    (tmp_path / "bomb.parquet").write_bytes(made())
    started = time.monotonic()
    refused = None
    try:
        assert load(session, tmp_path) == rows
    except SourceReadError as error:
        refused = error.message
    assert refused is None or "bomb.parquet cannot be read" in refused
    assert time.monotonic() - started < 10


def test_a_repeated_text_is_no_bomb(session, tmp_path):
    (tmp_path / "fine.parquet").write_bytes(repeating(b"abc", 1000, 3))
    assert load(session, tmp_path) == 3000


@pytest.mark.parametrize(("kind", "cases"), [("parquet", 30), ("arrow", 8)])
def test_a_damaged_file_is_read_or_refused_by_name(kind, cases, session, tmp_path):
    chance = random.Random(20)
    whole = bytes_of(kind)
    for _ in range(cases):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 2, 8])):
            tail = kind == "parquet" and chance.random() < 0.6
            at = len(data) - 9 - chance.randrange(500) if tail else chance.randrange(len(data))
            data[at] = chance.choice([0, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        (tmp_path / f"bad.{kind}").write_bytes(data)
        refused = None
        try:
            load(session, tmp_path, f"*.{kind}")
        except SourceReadError as error:
            refused = error.message
        assert refused is None or f"bad.{kind}" in refused, refused


def test_offsets_that_lead_out_of_an_arrow_file_are_refused(session, tmp_path):
    data = bytes_of("arrow")
    offsets = _TABLE["s"].chunk(0).buffers()[1].to_pybytes()
    at = data.index(offsets[:404])
    far = (1 << 30).to_bytes(4, "little")
    (tmp_path / "bad.arrow").write_bytes(data[: at + 40] + far + data[at + 44 :])
    with pytest.raises(SourceReadError, match=r"bad\.arrow cannot be read: .*[Oo]ffset"):
        load(session, tmp_path, "*.arrow")


def test_what_arrow_has_no_type_for_stays_without_one(session, tmp_path):
    table = pa.table({"id": [1, 2], "nothing": pa.nulls(2)})
    with pa.ipc.new_stream(str(tmp_path / "a.arrow"), table.schema) as out:
        out.write_table(table)
    connection = FilesConnection.from_uri(f"file://{tmp_path}", tmp_path)
    source = FilesSource(connection, FilesDataset(name="d", path="*.arrow"), session)
    (batch,) = source.batches(source.units(LedgerState()), LedgerState())
    with source.read(batch) as rows:
        written = write_parquet(session, rows, tmp_path / "out", batch.units)
    assert written.schema["nothing"].type == UNKNOWN
    assert session.query(f"FROM read_parquet('{tmp_path}/out')") == [(1, None), (2, None)]


def test_what_needs_more_than_a_share_of_the_memory_gets_all_of_it(session):
    process = session.confined()
    process._tries = [(16 << 20, 1), (200 << 20, 1)]
    assert process.query("SELECT len(list(range)) FROM range(3_000_000)", _QUICK) == [(3_000_000,)]
    assert process._tries == [(200 << 20, 1)]
