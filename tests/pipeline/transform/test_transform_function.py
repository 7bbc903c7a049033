from __future__ import annotations

import asyncio
import sys
from datetime import date
from decimal import Decimal

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from prefect_etl.errors import ConfigError, DataError, Retriable, SourceChangedError
from prefect_etl.pipeline.transform import build

_ROW = (
    "1::TINYINT AS i8, 2::UBIGINT AS u64, true AS b, 1.5::FLOAT AS f, 2.5::DOUBLE AS d, "
    "1.25::DECIMAL(9,2) AS dec, 'a' AS s, DATE '2020-01-01' AS day, TIME '01:02:03' AS tm, "
    "TIMESTAMP '2020-01-01 01:02:03.123456' AS ts, TIMESTAMPTZ '2020-01-01 01:02:03+00' AS tz, "
    "'2020-01-01 00:00:00.123456789'::TIMESTAMP_NS AS ns, 'x'::BLOB AS bin, [1, 2] AS li, "
    "{'a': 1, 'b': 'x'} AS st"
)
_KINDS = ["pd.DataFrame", "pl.DataFrame", "pl.LazyFrame", "pa.Table"]
_IMPORTS = "import pandas as pd\nimport polars as pl\nimport pyarrow as pa\n"


@pytest.mark.parametrize("kind", _KINDS)
def test_values_types_and_nulls_come_back_as_they_went(project, kind):
    columns = [part.rsplit(" AS ", 1)[1] for part in _ROW.split(", ") if " AS " in part]
    nulls = ", ".join(f"NULL AS {name}" for name in columns)
    project.load("t", f"SELECT {_ROW} UNION ALL SELECT {nulls}")
    project.write("same.py", f"{_IMPORTS}def f(t: {kind}) -> {kind}: return t")
    project.run(copy={"python": "same:f"})
    assert project.types("copy") == project.types("t")
    assert project.rows("FROM t EXCEPT ALL FROM copy") == []
    assert project.rows("FROM copy EXCEPT ALL FROM t") == []


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("pd.DataFrame", pd.DataFrame),
        ("'pd.DataFrame'", pd.DataFrame),
        ("pl.DataFrame", pl.DataFrame),
        ("pl.LazyFrame", pl.LazyFrame),
        ("Frame", pl.DataFrame),
        ("'Frame'", pl.DataFrame),
        ("Annotated[pa.Table, 'all of it']", pa.Table),
        ("Any", pd.DataFrame),
        (None, pd.DataFrame),
    ],
)
def test_a_table_comes_as_the_frame_that_is_asked_for(project, kind, expected):
    project.load("t", "SELECT 1 AS n")
    annotation = f": {kind}" if kind else ""
    project.write(
        "asks.py",
        f"{_IMPORTS}from typing import Annotated, Any\nfrom polars import DataFrame as Frame\n"
        f"def f(t{annotation}): return [{{'kind': type(t).__module__ + type(t).__name__}}]",
    )
    project.run(x={"python": "asks:f"})
    assert project.rows("FROM x") == [(expected.__module__ + expected.__name__,)]


def test_annotations_may_be_text_of_modules_imported_for_type_checkers_only(project):
    project.load("t", "SELECT 1 AS n")
    project.write(
        "typed.py",
        "from __future__ import annotations\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import polars as pl\n"
        "def f(t: pl.DataFrame) -> pl.DataFrame: return t.select(kind=len(t))",
    )
    project.run(x={"python": "typed:f"})
    assert project.rows("FROM x") == [(1,)]


def test_whole_numbers_with_nulls_stay_whole_in_pandas(project):
    project.load("t", "SELECT * FROM (VALUES (9007199254740993), (NULL)) t(n)")
    project.write("whole.py", "def f(t):\n    assert str(t.n.dtype) == 'Int64'\n    return t")
    project.run(x={"python": "whole:f"})
    assert project.rows("FROM x WHERE n IS NOT NULL") == [(9007199254740993,)]


def test_sums_of_whole_numbers_are_whole_numbers(project):
    project.load(
        "t",
        "SELECT sum(n) AS small, sum(n * (1e30)::HUGEINT) AS big FROM range(3) r(n)",
    )
    assert project.types("t") == {"small": "HUGEINT", "big": "HUGEINT"}
    project.write("sums.py", "def f(t): return t")
    project.run(x={"python": "sums:f"})
    assert project.types("x") == {"small": "BIGINT", "big": "DECIMAL(38,0)"}
    ((small, big),) = project.rows("FROM t")
    assert project.rows("FROM x") == [(small, Decimal(big))]


def test_the_named_index_of_a_pandas_frame_becomes_columns(project):
    project.load("t", "SELECT * FROM (VALUES ('a', 1), ('a', 2), ('b', 5)) t(k, n)")
    project.write("grouped.py", "def f(t): return t.sort_values('n').groupby('k')[['n']].sum()")
    project.run(x={"python": "grouped:f"})
    assert project.rows("FROM x") == [("a", 3), ("b", 5)]


@pytest.mark.parametrize(
    "body",
    [
        "return [{'n': 1}, {'n': 2, 'm': 'x'}]",
        "return ({'n': n, 'm': m} for n, m in [(1, None), (2, 'x')])",
        "import pyarrow as pa; return pa.table({'n': [1, 2], 'm': [None, 'x']})",
        "import pyarrow as pa; return pa.table({'n': [1, 2], 'm': [None, 'x']}).to_reader()",
        "import polars as pl; return pl.LazyFrame({'n': [1, 2], 'm': [None, 'x']})",
    ],
)
def test_whatever_is_a_table_can_be_given_back(project, body):
    project.write("gives.py", f"def f(): {body}")
    project.run(x={"python": "gives:f"})
    assert project.rows("FROM x ORDER BY n") == [(1, None), (2, "x")]


def test_async_functions_are_awaited_also_inside_a_running_loop(project):
    project.write(
        "later.py",
        "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return [{'n': 1}]",
    )

    async def run():
        project.run(x={"python": "later:f"})

    asyncio.run(run())
    assert project.rows("FROM x") == [(1,)]


def test_parameters_that_name_no_table_take_their_values_from_the_file(project):
    project.load("t", "SELECT 1 AS n")
    project.write(
        "takes.py", "def f(t, *, day, limit=7): return [{'d': day, 'l': limit, 'n': len(t)}]"
    )
    project.run(x={"python": "takes:f", "parameters": {"day": date(2020, 1, 1)}})
    assert project.rows("FROM x") == [(date(2020, 1, 1), 7, 1)]


def test_a_table_whose_name_cannot_be_a_parameter_is_meant_by_a_plain_one(project):
    project.load("Order-Lines", "SELECT 1 AS n", schema="raw")
    project.write("plain.py", "def f(order_lines): return order_lines")
    project.run(x={"python": "plain:f"})
    assert project.reports["x"].reads == ("Order-Lines",)


def test_functions_and_sql_read_each_other(project):
    project.load("t", "SELECT 1 AS n")
    project.write("twice.py", "def f(first): return first.assign(n=first.n * 2)")
    ran = project.run(
        last={"sql": "SELECT n + 1 AS n FROM middle"},
        middle={"python": "twice:f"},
        first={"sql": "SELECT n + 10 AS n FROM t"},
    )
    assert list(ran) == ["first", "middle", "last"]
    assert project.rows("FROM last") == [(23,)]


def test_a_function_that_is_given_in_python(project):
    project.load("t", "SELECT 1 AS n")

    def doubled(t: pa.Table) -> list[dict]:
        return [{"n": 2 * row["n"]} for row in t.to_pylist()]

    project.run(x={"python": doubled})
    assert project.rows("FROM x") == [(2,)]


@pytest.mark.parametrize(
    ("text", "python", "problem"),
    [
        ("def f(t): ...", "missing:f", "there is no module missing"),
        ("def f(t): ...", "wrong:g", "has no g"),
        ("f = 5", "wrong:f", "is a int, not a function"),
        (
            "def f(tt): ...",
            "wrong:f",
            r"parameter tt is no dataset or transformation; did you mean t\?",
        ),
        ("def f(t: int): ...", "wrong:f", "parameter t is annotated as 'int'"),
        ("def f(t", "wrong:f", "importing .*wrong.py failed: SyntaxError"),
        ("import nothing_of_that_name", "wrong:f", "importing .* failed: ModuleNotFoundError"),
    ],
)
def test_a_function_that_cannot_be_called_is_refused_before_anything_runs(
    project, text, python, problem
):
    project.load("t", "SELECT 1 AS n")
    project.write("wrong.py", text)
    with pytest.raises(ConfigError, match=problem):
        project.prepare(x={"python": python})


def test_a_parameter_that_the_function_does_not_have_is_refused(project):
    project.write("strict.py", "def f(day=1): ...")
    with pytest.raises(ConfigError, match=r"has no parameter dya; did you mean day\?"):
        project.prepare(x={"python": "strict:f", "parameters": {"dya": 2}})


def test_an_exception_of_the_function_is_told_with_its_line(project):
    project.load("t", "SELECT 1 AS n")
    project.write(
        "fails.py", "def f(t):\n    return inner(t)\ndef inner(t):\n    return t['missing']"
    )
    with pytest.raises(DataError) as caught:
        project.run(x={"python": "fails:f"})
    assert caught.value.message == "x: fails:f failed (fails.py, line 4): KeyError: 'missing'"
    causes = [caught.value.__cause__, caught.value.__cause__.__cause__]
    assert any(isinstance(cause, KeyError) for cause in causes)


def test_an_exception_while_rows_stream_is_told_with_its_line(project):
    project.write(
        "streams.py",
        "import pyarrow as pa\ndef f():\n    schema = pa.schema([('n', pa.int64())])\n"
        "    return pa.RecordBatchReader.from_batches(schema, batches(schema))\n"
        "def batches(schema):\n    yield pa.record_batch({'n': [1]})\n    raise ValueError('stop')",
    )
    with pytest.raises(
        DataError, match=r"streams:f failed \(streams.py, line 7\): ValueError: stop"
    ):
        project.run(x={"python": "streams:f"})


def test_an_error_that_is_worth_a_retry_stays_one(project):
    project.write(
        "tries.py", "from prefect_etl.errors import Retriable\ndef f(): raise Retriable('later')"
    )
    with pytest.raises(Retriable, match="x: later"):
        project.run(x={"python": "tries:f"})


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("None", "returned nothing"),
        ("5", "returned a int"),
        ("[1, 2]", "a part is a int"),
        ("[{'n': 1}, {'n': 'x'}]", "column 'n'"),
        ("[]", "gave no rows, and so it is not known which columns"),
        ("__import__('pandas').DataFrame({'a': [1], 'A': [2]})", "differ only in case"),
    ],
)
def test_what_is_no_table_is_refused(project, value, problem):
    project.write("odd.py", f"def f(): return {value}")
    with pytest.raises(DataError, match=problem):
        project.run(x={"python": "odd:f"})
    assert project.tables.snapshot().transformations == {}


def test_no_rows_leave_an_empty_table_with_the_columns_that_it_had(project):
    project.load("t", "SELECT 1 AS n, DATE '2020-01-01' AS day")
    project.write("some.py", "def f(t): return [r for r in t.to_dict('records') if r['n'] > 0]")
    project.run(x={"python": "some:f"})
    types = project.types("x")
    project.load("t", "SELECT 0 AS n, DATE '2020-01-01' AS day")
    project.run(x={"python": "some:f"})
    assert project.rows("FROM x") == []
    assert project.types("x") == types


def test_a_column_of_nothing_but_nulls_is_text_and_takes_the_tables_type_later(project):
    project.write("nulls.py", "def f(): return [{'id': 1, 'note': None}]")
    project.run(x={"python": "nulls:f"})
    assert project.types("x") == {"id": "BIGINT", "note": "VARCHAR"}
    part = {"python": "nulls:f", "kind": "incremental", "key": "id"}
    project.write("nulls.py", "def f(): return [{'id': 2, 'note': 5}]")
    project.run(x=part)
    project.write("nulls.py", "def f(): return [{'id': 3, 'note': None}]")
    project.run(x=part)
    assert project.types("x") == {"id": "BIGINT", "note": "BIGINT"}


def test_a_file_that_changed_since_the_plan_is_not_run(project):
    project.write("moves.py", "def f(): return [{'n': 1}]")
    (prepared,) = project.prepare(x={"python": "moves:f"})
    project.write("moves.py", "def f(): return [{'n': 22}]")
    with pytest.raises(SourceChangedError, match="x: its file changed"):
        build(prepared, project.tables, "run")


def test_modules_of_the_same_name_in_two_projects_stay_apart(project, tmp_path):
    other = type(project)(tmp_path / "other", project.session)
    for one, n in ((project, 1), (other, 2)):
        one.write("shared.py", "from shared_helper import n\ndef f(): return [{'n': n()}]")
        one.write("shared_helper.py", f"def n(): return {n}")
    for _ in range(2):
        for one in (project, other):
            one.run(x={"python": "shared:f"}, refresh=True)
    assert (project.rows("FROM x"), other.rows("FROM x")) == ([(1,)], [(2,)])


def test_a_module_named_as_one_of_pythons_own_is_the_users(project):
    import statistics

    project.write("statistics.py", "def f(): return [{'n': 1}]")
    project.run(x={"python": "statistics:f"})
    assert project.rows("FROM x") == [(1,)]
    assert sys.modules["statistics"] is statistics


def test_large_rows_spill_into_a_folder_that_is_made_and_left_empty(project):
    project.write("many.py", "def f(): return ({'n': n, 's': 'x' * 1000} for n in range(50_000))")
    (prepared,) = project.prepare(x={"python": "many:f"})
    spill = project.root / "new" / "spill"
    assert build(prepared, project.tables, "run", spill=spill).rows == 50_000
    assert list(spill.iterdir()) == []
