"""Python functions as sources."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, date, datetime
from decimal import Decimal

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from prefect_etl.connectors.python import CONNECTOR, PythonConnection, PythonDataset, PythonSource
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Batch
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import ConfigError, Retriable, SourceReadError

FIRST = LedgerState()
ROWS = [{"id": 1, "name": "a"}, {"id": 2, "name": None}]


@pytest.fixture(scope="module")
def session():
    session = Session(memory_limit="200MB", threads=1)
    yield session
    session.close()


@pytest.fixture
def read(tmp_path, session, monkeypatch):
    """Reads what a function gives, as the pipeline does: its rows and their DuckDB types."""
    monkeypatch.setattr(sys, "path", [*sys.path])

    def read(function, state=FIRST, **fields):
        dataset = PythonDataset(name="d", function=function, **fields)
        source = PythonSource(PythonConnection(root=tmp_path), dataset, session)
        (batch,) = source.batches(source.units(state), state)
        batch = Batch(batch.units, json.loads(json.dumps(batch.reading)))
        with source.read(batch) as rows, session.cursor() as cursor:
            found = cursor.from_arrow(rows.stream)
            types = dict(zip(found.columns, map(str, found.types), strict=True))
            return [dict(zip(types, row, strict=True)) for row in found.fetchall()], types

    return read


async def coroutine():
    await asyncio.sleep(0)
    return ROWS


async def async_generator():
    for row in ROWS:
        await asyncio.sleep(0)
        yield row


@pytest.mark.parametrize(
    "give",
    [
        lambda: ROWS,
        lambda: tuple(ROWS),
        lambda: iter(ROWS),
        lambda: [ROWS[:1], ROWS[1:]],
        lambda: pd.DataFrame(ROWS),
        lambda: pl.DataFrame(ROWS),
        lambda: pl.DataFrame(ROWS).lazy(),
        lambda: pa.Table.from_pylist(ROWS),
        lambda: pa.RecordBatch.from_pylist(ROWS),
        lambda: pa.Table.from_pylist(ROWS).to_reader(),
        lambda: [pa.Table.from_pylist(ROWS[:1]), ROWS[1]],
        lambda: (pl.DataFrame([row]) for row in ROWS),
        coroutine,
        async_generator,
    ],
    ids=[
        "list", "tuple", "iterator", "batches", "pandas", "polars", "lazy", "table", "batch",
        "reader", "mixed", "frames", "coroutine", "async generator",
    ],
)  # fmt: skip
def test_any_form_of_table_is_read(read, give):
    rows, types = read(give)
    assert rows == ROWS
    assert types == {"id": "BIGINT", "name": "VARCHAR"}


def test_one_dict_is_one_row(read):
    assert read(lambda: {"id": 1})[0] == [{"id": 1}]


def test_an_object_that_is_no_function_is_read_itself(read):
    assert read(ROWS)[0] == ROWS


def test_a_function_is_found_in_the_folder_of_the_pipeline(read, tmp_path):
    (tmp_path / "neighbour_of_jobs.py").write_text("ROWS = [{'id': 5}]")
    (tmp_path / "jobs_a.py").write_text(
        "from neighbour_of_jobs import ROWS\nclass Shop:\n    @staticmethod\n"
        "    def orders():\n        return ROWS\n"
    )
    assert read("jobs_a:Shop.orders")[0] == [{"id": 5}]


def test_two_pipelines_may_have_modules_of_one_name(tmp_path, session):
    found = []
    for number in (1, 2):
        root = tmp_path / str(number)
        root.mkdir()
        (root / "jobs_twice.py").write_text(f"def f():\n    return [{{'n': {number}}}]\n")
        dataset = PythonDataset(name="d", function="jobs_twice:f")
        source = PythonSource(PythonConnection(root=root), dataset, session)
        (batch,) = source.batches(source.units(FIRST), FIRST)
        with source.read(batch) as rows:
            found += rows.stream.read_all().to_pylist()
    assert found == [{"n": 1}, {"n": 2}]


def test_a_module_named_as_one_of_pythons_own_is_read_and_pythons_stays(read, tmp_path):
    import queue

    (tmp_path / "queue.py").write_text("def f():\n    return [{'n': 1}]\n")
    assert read("queue:f")[0] == [{"n": 1}]
    assert sys.modules["queue"] is queue


def test_an_edited_module_is_loaded_anew_in_the_same_process(read, tmp_path):
    path = tmp_path / "jobs_edited.py"
    path.write_text("def f():\n    return [{'n': 1}]\n")
    assert read("jobs_edited:f")[0] == [{"n": 1}]
    path.write_text("def f():\n    return [{'n': 1000}]\n")
    assert read("jobs_edited:f")[0] == [{"n": 1000}]


def test_the_function_is_told_the_last_cursor_and_none_at_first(read):
    def f(cursor):
        return [{"id": 1, "cursor": cursor}]

    loaded = LedgerState(3, "l", schema=TableSchema.of(id="BIGINT"), cursor="2024-01-31")
    assert read(f, cursor="id")[0][0]["cursor"] is None
    assert read(f, loaded, cursor="id")[0][0]["cursor"] == "2024-01-31"


def test_a_function_without_the_parameter_cursor_is_called_without(read):
    assert read(lambda: ROWS, cursor="id")[0] == ROWS


def test_parameters_are_given_by_name(read):
    assert read(lambda n, m=2: [{"n": n, "m": m}], parameters={"n": 7})[0] == [{"n": 7, "m": 2}]


def test_an_unknown_parameter_is_refused_with_the_nearest(read):
    with pytest.raises(ConfigError, match="no parameter contry; did you mean country"):
        read(lambda country: [], parameters={"contry": "NO"})


def test_a_parameter_that_is_missing_is_named(read):
    with pytest.raises(ConfigError, match="needs country"):
        read(lambda country: [])


def test_a_call_is_a_unit_that_extends_a_version(tmp_path, session):
    dataset = PythonDataset(name="d", function=lambda: ROWS)
    source = PythonSource(PythonConnection(root=tmp_path), dataset, session)
    assert source.units(FIRST) == source.units(FIRST)
    assert source.units(FIRST) != source.units(LedgerState(version=1))
    assert source.units(FIRST)[0].transient


def test_the_reading_holds_no_parameter(tmp_path, session):
    dataset = PythonDataset(name="d", function="m:f", parameters={"token": "swordfish"})
    source = PythonSource(PythonConnection(root=tmp_path), dataset, session)
    (batch,) = source.batches(source.units(FIRST), FIRST)
    assert "swordfish" not in json.dumps(batch.reading)


def test_the_fingerprint_of_a_dataset_with_a_function_is_stable():
    def f():
        return ROWS

    first, second = (PythonDataset(name="d", function=f) for _ in range(2))
    assert first.fingerprint == second.fingerprint
    assert f"{id(f):x}" not in first.model_dump_json()


def test_an_exception_names_function_place_type_and_text(read, tmp_path):
    (tmp_path / "jobs_bad.py").write_text("def f():\n    x = 1\n    raise KeyError('no id')\n")
    with pytest.raises(
        SourceReadError, match=r"jobs_bad:f .*jobs_bad\.py, line 3.*no id"
    ) as caught:
        read("jobs_bad:f")
    assert isinstance(caught.value.__cause__, KeyError)


def test_an_exception_in_the_middle_of_a_generator_is_the_functions(read):
    def f():
        yield from ROWS
        raise OSError("connection lost")

    with pytest.raises(SourceReadError, match="OSError: connection lost"):
        read(f)


def test_an_exception_in_a_stream_that_the_engine_reads_is_the_functions(read):
    def batches():
        yield pa.RecordBatch.from_pylist(ROWS)
        raise OSError("connection lost")

    schema = pa.RecordBatch.from_pylist(ROWS).schema
    with pytest.raises(SourceReadError, match="OSError: connection lost"):
        read(lambda: pa.RecordBatchReader.from_batches(schema, batches()))


def test_an_error_of_this_package_passes_as_it_is(read):
    def f():
        raise Retriable("try later")

    with pytest.raises(Retriable, match="try later"):
        read(f)


def test_an_async_function_runs_inside_a_running_loop(read):
    async def main():
        return read(coroutine)

    assert asyncio.run(main())[0] == ROWS


def test_context_variables_are_seen_in_an_async_function(read):
    from contextvars import ContextVar

    run: ContextVar[str] = ContextVar("run")

    async def f():
        return [{"run": run.get()}]

    async def main():
        run.set("r1")
        return read(f)

    assert asyncio.run(main())[0] == [{"run": "r1"}]


def test_types_widen_over_batches_and_columns_may_come_late(read):
    def f():
        for i in range(25_000):
            row = {"i": i, "f": i, "late": None}
            if i > 15_000:
                row |= {"f": 0.5, "late": "x", "new": i}
            yield row

    rows, types = read(f)
    assert types == {"i": "BIGINT", "f": "DOUBLE", "late": "VARCHAR", "new": "BIGINT"}
    assert [row["i"] for row in rows] == list(range(25_000))
    assert rows[1] == {"i": 1, "f": 1.0, "late": None, "new": None}
    assert rows[-1] == {"i": 24_999, "f": 0.5, "late": "x", "new": 24_999}


def test_what_does_not_fit_in_memory_goes_to_files_that_are_removed(tmp_path):
    spill = tmp_path / "spill"
    session = Session(memory_limit="200MB", threads=1, spill=spill)
    dataset = PythonDataset(
        name="d", function=lambda: ([{"t": "x" * 10_000, "i": i}] * 1000 for i in range(12))
    )
    source = PythonSource(PythonConnection(root=tmp_path), dataset, session)
    (batch,) = source.batches(source.units(FIRST), FIRST)
    with source.read(batch) as rows:
        assert any(path.suffix == ".arrow" for path in spill.rglob("*"))
        assert sum(part.num_rows for part in rows.stream) == 12_000
    session.close()
    assert not list(spill.rglob("*.arrow"))


def test_values_keep_their_exact_types(read):
    row = {
        "dec": Decimal("12345678901234567890.123"),
        "day": date(2024, 2, 29),
        "at": datetime(2024, 2, 29, 12, 30, 0, 123456),  # noqa: DTZ001
        "utc": datetime(2024, 2, 29, tzinfo=UTC),
        "raw": b"\x00\xff",
        "big": 2**70,
        "list": [1, None],
        "struct": {"a": 1, "b": "x"},
        "yes": True,
    }
    rows, types = read(lambda: [row])
    assert types == {
        "dec": "DECIMAL(23,3)", "day": "DATE", "at": "TIMESTAMP", "utc": "TIMESTAMP WITH TIME ZONE",
        "raw": "BLOB", "big": "DECIMAL(38,0)", "list": "BIGINT[]",
        "struct": "STRUCT(a BIGINT, b VARCHAR)", "yes": "BOOLEAN",
    }  # fmt: skip
    assert rows[0] == row | {"big": Decimal(2**70)}


def test_a_date_among_times_is_its_midnight_and_no_time_is_cut(read):
    noon = datetime(2024, 1, 1, 12)  # noqa: DTZ001
    rows, types = read(lambda: [{"at": date(2024, 1, 1)}, {"at": noon}])
    assert types == {"at": "TIMESTAMP"}
    assert rows[1]["at"] == noon


@pytest.mark.parametrize(
    "values",
    [[1, "a"], [True, 1], ["a", b"a"], [2**60, 0.5], [[1], "a"], [object()], [10**40]],
)
def test_values_that_do_not_go_together_are_refused_with_their_column(read, values):
    with pytest.raises(SourceReadError, match="column 'x'"):
        read(lambda: [{"x": value} for value in values])


def test_times_with_and_without_a_zone_are_refused(read):
    naive, aware = datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)  # noqa: DTZ001
    with pytest.raises(SourceReadError, match="column 'x'"):
        read(lambda: [{"x": naive}, {"x": aware}])


def test_values_of_other_kinds_in_a_later_batch_are_refused_with_their_column(read):
    with pytest.raises(SourceReadError, match="column 'x' is int64 in one part and string"):
        read(lambda: iter([pa.table({"x": [1]}), pa.table({"x": ["a"]})]))


def test_a_column_that_is_pinned_to_text_takes_any_value(read):
    rows, _ = read(lambda: [{"x": 1}, {"x": "a"}, {"x": None}, {"x": True}], types={"x": "string"})
    assert [row["x"] for row in rows] == ["1", "a", None, "true"]


@pytest.mark.parametrize("value", [None, 5, "text", [1], [["a"]], ["row"], [None]], ids=repr)
def test_what_is_no_table_is_refused(read, value):
    with pytest.raises(SourceReadError, match="no table"):
        read(lambda: value)


@pytest.mark.parametrize("row", [{1: "x"}, {"": "x"}, {"a\0b": "x"}], ids=repr)
def test_a_key_that_cannot_name_a_column_is_refused(read, row):
    with pytest.raises(SourceReadError, match="column"):
        read(lambda: [row])


def test_pandas_keeps_named_indexes_and_drops_others(read):
    frame = pd.DataFrame({"k": ["a", "b"], "v": [1, 2]})
    assert read(lambda: frame.set_index("k"))[0] == [{"k": "a", "v": 1}, {"k": "b", "v": 2}]
    assert read(lambda: frame[frame.v > 1])[0] == [{"k": "b", "v": 2}]


def test_nulls_of_pandas_stay_nulls(read):
    frame = pd.DataFrame(
        {"f": [1.5, None], "s": ["x", None], "o": pd.Series([1, pd.NA], dtype=object)}
    )
    assert read(lambda: frame)[0][1] == {"f": None, "s": None, "o": None}


def test_frames_with_categories_and_zones_unify_over_batches(read):
    def f():
        for zone in ("UTC", "Europe/Berlin"):
            at = pd.Series(pd.to_datetime(["2024-01-01T00:00Z"])).dt.tz_convert(zone)
            yield pd.DataFrame({"c": pd.Categorical([zone]), "at": at})

    rows, types = read(f)
    assert types == {"c": "VARCHAR", "at": "TIMESTAMP WITH TIME ZONE"}
    assert {row["at"] for row in rows} == {datetime(2024, 1, 1, tzinfo=UTC)}


def test_two_columns_of_one_name_are_refused(read):
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(SourceReadError, match="two columns have the name 'a'"):
        read(lambda: frame)


def test_no_rows_at_first_is_an_error_that_says_how_to_name_the_columns(read):
    with pytest.raises(SourceReadError, match="no rows") as caught:
        read(list)
    assert "types:" in str(caught.value)


def test_no_rows_at_first_give_the_columns_of_types(read):
    rows, types = read(list, types={"id": "int64"})
    assert (rows, list(types)) == ([], ["id"])


def test_no_rows_later_give_the_columns_that_are_known_by_their_source_names(read):
    state = LedgerState(1, "l", schema=TableSchema.of(id="BIGINT", title="VARCHAR"))
    rows, types = read(list, state, columns={"rename": {"name": "title"}})
    assert (rows, list(types)) == ([], ["id", "name"])


def test_an_empty_frame_has_its_columns(read):
    assert read(lambda: pl.DataFrame(schema={"a": pl.Int64}))[1] == {"a": "BIGINT"}


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("no_such_module:f", "there is no module no_such_module"),
        ("jobs_c:ordres", "has no ordres; did you mean orders"),
        ("jobs_c_broken:f", "ZeroDivisionError"),
        ("jobs_c_import:f", "importing .* failed: ModuleNotFoundError: No module named 'nonono'"),
    ],
)
def test_a_function_that_cannot_be_found_is_named(read, tmp_path, reference, said):
    (tmp_path / "jobs_c.py").write_text("def orders():\n    return []\n")
    (tmp_path / "jobs_c_broken.py").write_text("1 / 0\n")
    (tmp_path / "jobs_c_import.py").write_text("import nonono\n")
    with pytest.raises(ConfigError, match=said):
        read(reference)


def test_a_text_that_is_no_reference_is_refused_when_the_file_is_read():
    with pytest.raises(ValueError, match="module:function"):
        PythonDataset(name="d", function="jobs.fetch")


def test_the_connector_is_a_source_only():
    assert CONNECTOR.source is not None
    assert CONNECTOR.destination is None
