"""Python functions over tables of PostgreSQL."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from prefect_etl.errors import DataError, SchemaError


def given(project, sql: str, **more: object) -> pa.Table:
    """What a function gets of a table."""
    seen = []

    def look(t: pa.Table) -> pa.Table:
        seen.append(t)
        return t

    project.load("t", sql)
    project.run(copied={"python": look, **more})
    return seen[-1]


def test_values_and_types_come_back_as_they_went(project):
    sql = (
        "SELECT 1::smallint AS s, 2 AS i, 3::bigint AS b, 1.50::numeric(9,2) AS d, "
        "0.1::double precision AS f, TRUE AS t, 'ü\"''' AS v, '\\x00ff'::bytea AS y, "
        "'2020-02-29'::date AS day, '2020-01-01 12:00:00.000001'::timestamp AS at, "
        "'2020-01-01 12:00+02'::timestamptz AS moment, '12:34:56.7'::time AS o, "
        "'{1,NULL}'::int[] AS l UNION ALL "
        "SELECT NULL, NULL, NULL, NULL::numeric(9,2)" + ", NULL" * 9
    )
    table = given(project, sql)
    assert project.types("copied") == project.types("t")
    assert project.rows("SELECT * FROM copied") == project.rows("SELECT * FROM t")
    row = {row["s"]: row for row in table.to_pylist()}[1]
    assert (row["d"], row["day"], row["y"], row["l"]) == (
        Decimal("1.50"),
        date(2020, 2, 29),
        b"\x00\xff",
        [1, None],
    )
    assert row["moment"] == datetime(2020, 1, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "kind", "value"),
    [
        ("sum(9223372036854775807::bigint)", pa.int64(), 2**63 - 1),
        ("sum(9223372036854775807::bigint) * 2", pa.decimal128(38, 0), Decimal(2**64 - 2)),
        ("avg(2)", pa.decimal128(38, 16), Decimal("2.0000000000000000")),
        ("'NaN'::numeric", pa.string(), "NaN"),
        ("repeat('9', 50)::numeric", pa.string(), "9" * 50),
        ("NULL::numeric", pa.int64(), None),
    ],
)
def test_a_number_without_precision_is_what_holds_its_values(project, values, kind, value):
    table = given(project, f"SELECT {values} AS n")
    assert (table.schema.field("n").type, table.to_pylist()) == (kind, [{"n": value}])


def test_all_tables_of_a_function_are_of_one_moment(project):
    project.load("a", "SELECT 1 AS n")
    project.load("b", "SELECT 1 AS n")
    fetched = project.tables.fetch(list(project.tables.snapshot().tables))
    versions = {ref.name: fetched.versions[ref].number for ref in fetched.tables}
    assert versions == {"a": 1, "b": 1}


def test_functions_and_sql_read_each_other(project):
    project.write(
        "models.py",
        "import pandas as pd\n"
        "def doubled(flights: pd.DataFrame, times=2):\n"
        "    return flights.assign(n=flights.n * times)\n",
    )
    project.load("flights", "SELECT g AS n FROM generate_series(1, 3) g")
    specs = {
        "total": {"sql": "SELECT sum(n) AS n FROM doubled"},
        "doubled": {"python": "models:doubled"},
    }
    project.run(**specs)
    assert project.rows("SELECT n FROM total") == [(12,)]
    assert project.run(**specs) == {}


def test_incremental_takes_what_a_function_gives(project):
    def some(t: pa.Table) -> list[dict[str, object]]:
        return [{"id": row["n"], "word": "new", "nothing": None} for row in t.to_pylist()]

    spec = {"x": {"python": some, "kind": "incremental", "key": "id"}}
    project.load("t", "SELECT 1 AS n")
    project.run(**spec)
    project.execute("UPDATE x SET word = 'old'; INSERT INTO x VALUES (7, 'kept', NULL)")
    project.load("t", "SELECT g AS n FROM generate_series(1, 2) g")
    project.run(**spec)
    assert project.rows("SELECT * FROM x") == [
        (1, "new", None),
        (2, "new", None),
        (7, "kept", None),
    ]


def test_no_rows_leave_an_empty_table_with_the_columns_that_it_had(project):
    rows = [{"id": 1, "at": datetime(2020, 1, 1, tzinfo=UTC)}]

    def some() -> list[dict[str, object]]:
        return rows

    project.run(refresh=True, x={"python": some})
    types = project.types("x")
    rows.clear()
    project.run(refresh=True, x={"python": some})
    assert (project.types("x"), project.rows("SELECT * FROM x")) == (types, [])


@pytest.mark.parametrize(
    ("rows", "kind", "problem"),
    [
        ([{"v": "a\0b"}], DataError, "0x00 in column v"),
        ([{"v": 1, "V": 2}], SchemaError, "differ only in case"),
        ([{"n" * 64: 1}], SchemaError, "has 64 bytes"),
    ],
)
def test_what_postgresql_cannot_hold_is_refused(project, rows, kind, problem):
    with pytest.raises(kind) as caught:
        project.run(x={"python": lambda: rows})
    assert problem in caught.value.message
    assert project.types("x") == {}
