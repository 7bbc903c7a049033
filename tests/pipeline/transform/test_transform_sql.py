from __future__ import annotations

import shutil

import duckdb
import pytest

from prefect_etl.errors import ConfigError, DataError, SchemaError, VersionConflict
from prefect_etl.pipeline.transform import build


def test_a_table_is_made_of_the_tables_that_its_sql_names(project):
    project.load(
        "flights", "SELECT * FROM (VALUES ('AA', 10), ('AA', 20), ('UA', 5)) t(carrier, n)"
    )
    project.run(delays={"sql": "SELECT carrier, sum(n) AS n FROM flights GROUP BY ALL"})
    assert project.rows("FROM delays") == [("AA", 30), ("UA", 5)]
    report = project.reports["delays"]
    assert (report.status, report.rows, report.version, report.reads) == (
        "built",
        2,
        1,
        ("flights",),
    )


def test_types_stay_exact(project):
    project.load(
        "t",
        "SELECT 1.25::DECIMAL(9,2) AS d, DATE '2020-01-01' AS day, 1::HUGEINT AS h, [1, 2] AS l, "
        "{'a': 1} AS s, 'x'::ENUM('x', 'y') AS e, '5 days'::INTERVAL AS i, NULL::UUID AS u",
    )
    project.run(copy={"sql": "FROM t"})
    assert project.types("copy") == project.types("t")


def test_transformations_run_after_those_whose_tables_they_read(project):
    project.load("flights", "SELECT 1 AS n")
    ran = project.run(
        third={"sql": "SELECT n + 1 AS n FROM second"},
        second={"sql": "SELECT n + 1 AS n FROM first"},
        first={"sql": "SELECT n + 1 AS n FROM flights"},
    )
    assert list(ran) == ["first", "second", "third"]
    assert project.rows("FROM third") == [(4,)]


def test_a_circle_is_refused_with_its_path(project):
    with pytest.raises(ConfigError, match="a reads b reads c reads a"):
        project.prepare(a={"sql": "FROM b"}, b={"sql": "FROM c"}, c={"sql": "FROM a"})


def test_a_transformation_that_reads_itself_is_refused(project):
    with pytest.raises(ConfigError, match="transformation a reads its own table"):
        project.prepare(a={"sql": "FROM a"})


def test_tables_of_other_schemas_are_read_and_made(project):
    project.load("flights", "SELECT 1 AS n", schema="raw")
    project.run(delays={"sql": "FROM raw.flights", "schema": "marts", "into": "late"})
    assert project.rows("FROM marts.late") == [(1,)]
    assert project.reports["delays"].table == "marts.late"


def test_sql_in_a_file_is_found_beside_the_pipeline_file(project):
    project.write("sql/one.sql", "\ufeffSELECT 1 AS n -- the only one")
    project.run(one={"sql": "sql/one.sql"})
    assert project.rows("FROM one") == [(1,)]


def test_parameters_are_bound_by_name(project):
    text = "it's $5"
    project.run(
        one={"sql": "SELECT $text AS text, $N + 1 AS n", "parameters": {"text": text, "n": 1}}
    )
    assert project.rows("FROM one") == [(text, 2)]


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({}, r"has \$late_minutes, which has no value"),
        ({"late_minute": 1}, r"no value; did you mean late_minute\?"),
        ({"late_minutes": 1, "other": 2}, r"has no \$other"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(project, parameters, problem):
    with pytest.raises(ConfigError, match=problem):
        project.prepare(one={"sql": "SELECT $late_minutes AS n", "parameters": parameters})


def test_a_table_that_nobody_makes_is_refused_with_the_nearest(project):
    project.load("flights", "SELECT 1 AS n")
    with pytest.raises(ConfigError, match=r"delays: it reads flihgts, .*; did you mean flights\?"):
        project.prepare(delays={"sql": "FROM flihgts"})


def test_all_mistakes_are_named_at_once(project):
    with pytest.raises(ConfigError) as caught:
        project.prepare(a={"sql": "FROM nothing"}, b={"sql": "DROP TABLE x"})
    assert "a: it reads nothing" in str(caught.value)
    assert "b: the SQL is not one SELECT: it is DROP" in str(caught.value)


def test_a_dataset_that_was_never_loaded_is_named(project):
    project.load("other", "SELECT 1 AS n")
    project.datasets["flights"] = project.datasets["other"].model_copy(update={"name": "flights"})
    with pytest.raises(DataError, match=r"delays: table main.flights does not exist"):
        project.run(delays={"sql": "FROM flights"})


def test_a_wrong_column_is_said_with_its_place(project):
    project.load("flights", "SELECT 1 AS n")
    with pytest.raises(ConfigError, match=r'delays: .*"m" not found') as caught:
        project.run(delays={"sql": "SELECT\n m FROM flights"})
    assert "LINE 2:  m FROM flights" in caught.value.message
    assert caught.value.__cause__ is not None


def test_a_value_that_does_not_fit_is_an_error_of_the_data(project):
    project.load("t", "SELECT 'x' AS s")
    with pytest.raises(DataError, match=r"numbers: .*Could not convert"):
        project.run(numbers={"sql": "SELECT s::INT AS n FROM t"})


def test_a_failure_leaves_the_table_as_it_was(project):
    project.load("t", "SELECT '1' AS s")
    numbers = {"sql": "SELECT s::INT AS n FROM t"}
    project.run(numbers=numbers)
    project.load("t", "SELECT 'x' AS s")
    with pytest.raises(DataError):
        project.run(numbers=numbers)
    assert project.rows("FROM numbers") == [(1,)]
    project.load("t", "SELECT '2' AS s")
    assert project.run(numbers=numbers) == {"numbers": ("t changed: version 1 -> 3",)}


def test_a_view_works_when_the_file_is_opened_alone_under_any_name(project):
    project.load("flights", "SELECT 5 AS n")
    project.load("planes", "SELECT 6 AS n", schema="raw")
    project.run(
        union_={"sql": "FROM flights UNION ALL FROM raw.planes;", "kind": "view"},
        far={"sql": "SELECT * FROM union_", "kind": "view", "schema": "marts"},
    )
    copy = project.root / "another name.duckdb"
    shutil.copy(project.path, copy)
    with duckdb.connect(copy, read_only=True) as alone:
        assert sorted(alone.execute("FROM union_").fetchall()) == [(5,), (6,)]
        assert sorted(alone.execute("FROM marts.far").fetchall()) == [(5,), (6,)]


def test_a_views_parameters_are_written_into_it(project):
    sql = "SELECT $text AS t, '$text' AS u, $list AS l, $$ $text $$ AS d, 1 -$n AS n -- $text"
    parameters = {"text": "it's", "list": [1, 2], "n": -5}
    project.run(v={"sql": sql, "kind": "view", "parameters": parameters})
    assert project.rows("FROM v") == [("it's", "$text", [1, 2], " $text ", 6)]


def test_a_view_that_would_read_a_nearer_table_than_its_sql_says_is_refused(project):
    project.load("flights", "SELECT 1 AS n")
    project.execute("CREATE SCHEMA marts; CREATE TABLE marts.flights AS SELECT 2 AS n")
    view = {"sql": "FROM flights", "kind": "view", "schema": "marts"}
    with pytest.raises(ConfigError, match=r"would read marts.flights where its SQL says flights"):
        project.run(v=view)
    project.run(v=view | {"sql": "FROM main.flights"})
    assert project.rows("FROM marts.v") == [(1,)]


def test_incremental_replaces_the_rows_of_the_keys_it_gives_and_keeps_the_others(project):
    totals = {"sql": "SELECT * FROM days", "kind": "incremental", "key": "day"}
    project.load("days", "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) t(day, v)")
    project.run(totals=totals)
    project.load("days", "SELECT * FROM (VALUES (2, 'new'), (3, 'c')) t(day, v)")
    project.run(totals=totals)
    assert project.rows("FROM totals") == [(1, "a"), (2, "new"), (3, "c")]
    assert project.reports["totals"].rows == 3


def test_incremental_takes_new_columns_and_wider_numbers(project):
    totals = {"sql": "SELECT * FROM days", "kind": "incremental", "key": "day"}
    project.load("days", "SELECT 1::INT AS day, 2::INT AS n")
    project.run(totals=totals)
    project.load("days", "SELECT 2::INT AS day, 5000000000 AS n, 'x' AS note")
    project.run(totals=totals)
    assert project.rows("FROM totals") == [(1, 2, None), (2, 5_000_000_000, "x")]


def test_incremental_refuses_another_type_until_it_is_built_anew(project):
    totals = {"sql": "SELECT * FROM days", "kind": "incremental", "key": "day"}
    project.load("days", "SELECT 1 AS day, 2 AS n")
    project.run(totals=totals)
    project.load("days", "SELECT 2 AS day, 'x' AS n")
    with pytest.raises(SchemaError, match="n is INTEGER and would be VARCHAR") as caught:
        project.run(totals=totals)
    assert "--full-refresh" in str(caught.value)
    assert project.rows("FROM totals") == [(1, 2)]
    project.run(totals=totals, refresh=True)
    assert project.rows("FROM totals") == [(2, "x")]


@pytest.mark.parametrize("rows", ["(1, 'a'), (1, 'b')", "(1, 'a'), (NULL, 'b')"])
def test_incremental_refuses_a_key_that_identifies_no_row(project, rows):
    project.load("days", f"SELECT * FROM (VALUES {rows}) t(day, v)")
    with pytest.raises(DataError, match="1 of 2 checks failed"):
        project.run(totals={"sql": "FROM days", "kind": "incremental", "key": "day"})


@pytest.mark.parametrize(("before", "after"), [("table", "view"), ("view", "table")])
def test_a_table_becomes_a_view_and_back(project, before, after):
    project.load("t", "SELECT 1 AS n")
    project.run(x={"sql": "FROM t", "kind": before})
    ran = project.run(x={"sql": "FROM t", "kind": after})
    assert ran == {"x": (f"its kind changed: {before} -> {after}",)}
    assert project.tables.snapshot().tables[project.prepare(x={"sql": "FROM t"})[0].table] == after


def test_a_table_that_is_a_datasets_or_anothers_is_not_touched(project):
    project.load("flights", "SELECT 1 AS n")
    project.datasets.clear()
    project.execute("CREATE TABLE mine AS SELECT 7 AS n")
    for name, problem in [
        ("flights", "belongs to dataset flights of pipeline test"),
        ("mine", "exists already and was not made by a pipeline"),
    ]:
        spec = {name: {"sql": "SELECT 2 AS n"}}
        assert project.plan(**spec)[name].action == "blocked"
        with pytest.raises(ConfigError, match=problem):
            project.run(**spec)
    assert project.rows("SELECT f.n, m.n FROM flights f, mine m") == [(1, 7)]


def test_of_two_runs_at_once_the_second_is_told(project):
    project.load("t", "SELECT 1 AS n")
    (prepared,) = project.prepare(x={"sql": "FROM t"})

    class Slow(type(project.tables)):
        def publish(self, publication):
            build(prepared, project.tables, "first")
            return super().publish(publication)

    with pytest.raises(VersionConflict, match="another run built its table meanwhile"):
        build(prepared, Slow(project.path, project.session), "second")
    (state,) = project.tables.snapshot().transformations.values()
    assert state.version.number == 1


def test_a_result_larger_than_memory_is_staged_on_disk(tmp_path):
    from prefect_etl.connectors.duckdb.transform import DuckDBTransforms
    from prefect_etl.core.rows import Relation
    from prefect_etl.engine.duckdb import Session

    session = Session(memory_limit="100MB", spill=tmp_path / "spill", threads=1)
    tables = DuckDBTransforms(tmp_path / "w.duckdb", session)
    big = Relation(
        "SELECT i, hash(i) AS a, hash(i + 1) AS b, hash(i + 2) AS c FROM range(5000000) t(i)"
    )
    with tables.stage(big) as staged:
        assert staged.rows == 5_000_000
        assert any((tmp_path / "spill").iterdir())
    session.close()
