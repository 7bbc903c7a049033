"""Whatever Python's json can write comes back as it was."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import prefect_etl

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALAR = (
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
RECORD = st.fixed_dictionaries(
    {
        "n": st.none() | st.integers(-(2**63), 2**63 - 1),
        "f": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "s": TEXT.map(lambda text: f"a{text}"),
        "b": st.none() | st.booleans(),
        "l": st.lists(st.integers(-(10**30), 10**30), max_size=3),
        "o": st.fixed_dictionaries({"x": st.integers(-9, 9), "t": TEXT.map(lambda t: f"b{t}")}),
    }
)
FEW = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _written(path: Path, records: list[Any], ascii: bool) -> Path:  # noqa: A002 - as json calls it
    lines = (json.dumps(record, ensure_ascii=ascii) + "\n" for record in records)
    path.write_text("".join(lines), encoding="utf-8", newline="")
    return path


def _exact(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


@FEW
@given(st.lists(VALUE, min_size=1, max_size=6), st.booleans())
def test_any_value_comes_back_as_json(tmp_path: Path, values: list[Any], ascii: bool) -> None:  # noqa: A002
    # Beside a text and a number, any value is JSON.
    records = [{"v": value} for value in ("a", 1, [], *values)]
    found = prefect_etl.read(_written(tmp_path / "a.jsonl", records, ascii))
    assert found.rejects.num_rows == 0
    got = found.table.column("v").to_pylist()
    wanted = [_exact(json.dumps(record["v"])) for record in records]
    assert [None if text is None else _exact(text) for text in got] == wanted


@FEW
@given(st.lists(RECORD, min_size=1, max_size=6), st.booleans())
def test_records_come_back_in_types_of_their_own(
    tmp_path: Path,
    records: list[Any],
    ascii: bool,  # noqa: A002
) -> None:
    found = prefect_etl.read(_written(tmp_path / "a.jsonl", records, ascii))
    assert (found.rejects.num_rows, found.repairs) == (0, ())
    assert found.table.to_pylist() == records
