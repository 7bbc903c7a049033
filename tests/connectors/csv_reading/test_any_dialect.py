"""Laws of the careful reader, whatever rows and dialect."""

from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from prefect_etl.connectors.files.csv.careful import blocks
from prefect_etl.connectors.files.csv.careful.blocks import Blocks
from prefect_etl.connectors.files.csv.careful.manner import Fault
from prefect_etl.connectors.files.csv.careful.records import Records
from prefect_etl.connectors.files.csv.careful.spool import table_of
from prefect_etl.connectors.files.csv.layout import Layout

_TEXT = st.text(st.sampled_from("ab ,;|'\"\\\n\té東\x1e\x1f\0"), max_size=6)


def _read(data: bytes, layout: Layout, width: int) -> tuple[list[tuple[str, ...]], list[Fault]]:
    records = Records(Blocks(io.BytesIO(data), layout.encoding), layout, width)
    rows = []
    for piece in records:
        table = table_of(piece, [f"c{n}" for n in range(width)])
        assert table.num_rows == len(piece.lines)
        rows += [tuple(row.values()) for row in table.to_pylist()]
    return rows, records.faults


@st.composite
def _written(draw: st.DrawFn) -> tuple[list[tuple[str, ...]], str, Layout]:
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.tuples(*[_TEXT] * width), max_size=8))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONE]))
    escape = "\\" if quoting == csv.QUOTE_NONE else draw(st.sampled_from([None, "\\"]))
    doubled = escape is None or draw(st.booleans())
    sign, quote = draw(st.sampled_from(",;|\t")), draw(st.sampled_from("\"'"))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    file = io.StringIO(newline="")
    writer = csv.writer(
        file,
        delimiter=sign,
        quotechar=quote,
        escapechar=escape,
        doublequote=doubled,
        lineterminator=end,
        quoting=quoting,
    )
    if quoting == csv.QUOTE_NONE and width == 1:
        rows = [row for row in rows if row[0]]  # Python refuses to write a record of nothing
    writer.writerows(rows)
    return rows, file.getvalue(), Layout((), "utf-8", sign, quote, escape or quote, header=0)


@given(_written())
def test_what_pythons_csv_writes_comes_back(
    written: tuple[list[tuple[str, ...]], str, Layout],
) -> None:
    rows, text, layout = written
    width = len(rows[0]) if rows else 1
    assert _read(text.encode(), layout, width) == (rows, [])


@given(
    st.text(st.sampled_from('a1,"\n\r \\\0é'), max_size=60).map(str.encode)
    | st.binary(max_size=40),
    st.integers(1, 3),
)
def test_every_line_is_a_row_a_fault_or_blank(data: bytes, width: int) -> None:
    layout = Layout(header=0)
    records = Records(Blocks(io.BytesIO(data), "utf-8"), layout, width)
    taken = [line for piece in records for line in piece.lines]
    faulty = [fault.line for fault in records.faults]
    assert not set(taken) & set(faulty)
    for fault in records.faults:
        head = fault.text[:1].encode("utf-8", "surrogateescape")
        assert data[fault.byte : fault.byte + len(head)] == head


@given(st.binary(max_size=60), st.sampled_from(["utf-8", "utf-16-le", "shift_jis", "cp1252"]))
def test_text_is_as_long_as_its_bytes(data: bytes, name: str) -> None:
    encoding = blocks.Encoding(name, b"")
    assert encoding.length(encoding.text(data)) == len(data)
