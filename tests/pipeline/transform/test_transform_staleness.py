from __future__ import annotations

import sys

import pytest

FLIGHTS = {"sql": "SELECT count(*) AS n FROM flights"}


@pytest.fixture
def loaded(project):
    project.load("flights", "SELECT 1 AS n")
    project.run(x=FLIGHTS)
    return project


def test_the_first_build_says_so(project):
    project.load("flights", "SELECT 1 AS n")
    assert project.plan(x=FLIGHTS)["x"].reasons == ("first build",)


def test_with_nothing_new_nothing_runs(loaded):
    plan = loaded.plan(x=FLIGHTS)["x"]
    assert (plan.action, plan.reasons) == ("skip", ("nothing that it reads changed",))
    assert loaded.run(x=FLIGHTS) == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sql": "SELECT count(*) AS n FROM flights "}, "its SQL changed"),
        ({"kind": "view"}, "its kind changed: table -> view"),
        ({"kind": "incremental", "key": "n"}, "its kind changed: table -> incremental"),
        ({"checks": {"not_null": "n"}}, "its checks changed"),
    ],
)
def test_a_changed_definition_runs_again(loaded, change, reason):
    ran = loaded.run(x=FLIGHTS | change)
    assert ran["x"][0] == reason
    assert loaded.run(x=FLIGHTS | change) == {}


def test_changed_parameters_run_again(project):
    one = {"sql": "SELECT $n AS n"}
    project.run(x=one | {"parameters": {"n": 1}})
    assert project.run(x=one | {"parameters": {"n": 1}}) == {}
    assert project.run(x=one | {"parameters": {"n": 2}}) == {"x": ("its parameters changed",)}


def test_a_new_version_of_a_table_that_is_read_runs_it_and_what_reads_it(loaded):
    specs = {"x": FLIGHTS, "y": {"sql": "FROM x"}, "z": {"sql": "SELECT 1 AS n"}}
    loaded.run(**specs)
    loaded.load("flights", "SELECT 2 AS n")
    assert loaded.run(**specs) == {
        "x": ("flights changed: version 1 -> 2",),
        "y": ("x changes in this run",),
    }
    assert loaded.run(**specs) == {}


def test_a_run_that_stopped_half_way_goes_on_where_it_stopped(loaded):
    specs = {"x": FLIGHTS, "y": {"sql": "FROM x"}}
    loaded.run(**specs)
    loaded.load("flights", "SELECT 2 AS n")
    loaded.run(x=FLIGHTS)
    assert loaded.run(**specs) == {"y": ("x changed: version 1 -> 2",)}


def test_what_a_view_reads_changes_what_reads_the_view(loaded):
    specs = {"v": FLIGHTS | {"kind": "view"}, "y": {"sql": "FROM v"}}
    loaded.run(**specs)
    loaded.load("flights", "SELECT 2 AS n UNION ALL SELECT 3")
    assert list(loaded.run(**specs)) == ["v", "y"]
    assert loaded.rows("FROM y") == [(2,)]


def test_a_load_that_is_planned_counts_already(loaded):
    specs = {"x": FLIGHTS, "y": {"sql": "FROM x"}}
    loaded.run(**specs)
    plans = loaded.plan(["flights"], **specs)
    assert plans["x"].reasons == ("flights changes in this run",)
    assert plans["y"].reasons == ("x changes in this run",)


def test_a_history_that_began_again_is_another_one(loaded):
    loaded.execute("UPDATE _prefect_etl.tables SET lineage = 'new'")
    assert loaded.run(x=FLIGHTS) == {"x": ("flights was made anew",)}


def test_a_table_that_vanished_is_made_again(loaded):
    loaded.execute("DROP TABLE x")
    assert loaded.run(x=FLIGHTS) == {"x": ("its table is gone",)}
    assert loaded.reports["x"].version == 2


def test_a_table_that_became_something_else_is_made_again(loaded):
    loaded.execute("DROP TABLE x; CREATE VIEW x AS SELECT 1")
    assert loaded.run(x=FLIGHTS) == {"x": ("its table was replaced by a view",)}


def test_a_table_that_nobody_makes_may_always_have_changed(loaded):
    loaded.execute("CREATE TABLE stock AS SELECT 1 AS n")
    spec = {"y": {"sql": "FROM stock"}}
    loaded.run(**spec)
    assert loaded.run(**spec) == {"y": ("stock is not made by a pipeline, so it may have changed",)}


def test_tables_of_another_pipeline_are_followed(loaded):
    loaded.load("planes", "SELECT 1 AS n", pipeline="other")
    del loaded.datasets["planes"]
    spec = {"y": {"sql": "FROM planes"}}
    loaded.run(**spec)
    assert loaded.run(**spec) == {}
    loaded.load("planes", "SELECT 2 AS n", pipeline="other")
    assert loaded.run(**spec) == {"y": ("planes changed: version 1 -> 2",)}


def test_a_full_refresh_builds_everything_anew(loaded):
    assert loaded.run(x=FLIGHTS, refresh=True) == {"x": ("full refresh",)}


def test_a_renamed_transformation_keeps_its_table(loaded):
    assert loaded.run(new=FLIGHTS | {"into": "x"}) == {}


def test_a_function_runs_again_when_its_file_or_a_neighbour_changed(project):
    project.write("mine/__init__.py", "")
    project.write(
        "mine/one.py", "from mine import two\nfrom .three import n\ndef f(): return two.rows(n)"
    )
    project.write("mine/two.py", "def rows(n): return [{'n': n}]")
    project.write("mine/three.py", "n = 1")
    project.write("mine/four.py", "")
    spec = {"x": {"python": "mine.one:f"}}
    project.run(**spec)
    assert project.run(**spec) == {}
    project.write("mine/four.py", "nothing of it is imported")
    assert project.run(**spec) == {}
    project.write("mine/three.py", "n = 2")
    assert project.run(**spec) == {"x": ("its function changed",)}
    assert project.rows("FROM x") == [(2,)]
    project.write("mine/two.py", "def rows(n): return [{'n': n + 5}]")
    assert project.run(**spec) == {"x": ("its function changed",)}
    assert project.rows("FROM x") == [(7,)]


def test_planning_with_nothing_new_imports_no_module_and_parses_no_sql(project, monkeypatch):
    project.load("flights", "SELECT 1 AS n")
    project.write("unwatched.py", "def f(flights): return flights")
    specs = {"x": FLIGHTS, "y": {"python": "unwatched:f"}}
    project.run(**specs)
    del sys.modules["unwatched"]
    monkeypatch.setattr(type(project.tables), "select", None)
    assert project.run(**specs) == {}
    assert "unwatched" not in sys.modules


def test_a_parameter_that_means_another_table_now_runs_again(project):
    project.write("meaning.py", "def f(flights): return flights")
    project.load("flights", "SELECT 1 AS n")
    project.run(y={"python": "meaning:f"})
    project.load("flights", "SELECT 2 AS n", schema="raw")
    assert project.run(y={"python": "meaning:f"}) == {"y": ("it reads flights now",)}
    assert project.rows("FROM y") == [(2,)]


def test_a_function_given_in_python_is_known_by_its_file(project, tmp_path):
    scope: dict = {}
    path = tmp_path / "script.py"
    path.write_text("def f(): return [{'n': 1}]")
    exec(compile(path.read_text(), path, "exec"), scope)
    project.run(x={"python": scope["f"]})
    assert project.run(x={"python": scope["f"]}) == {}
    path.write_text("def f(): return [{'n': 22}]")
    exec(compile(path.read_text(), path, "exec"), scope)
    assert project.run(x={"python": scope["f"]}) == {"x": ("its function changed",)}
    assert project.rows("FROM x") == [(22,)]


def test_a_function_whose_code_cannot_be_read_may_always_have_changed(project):
    scope: dict = {}
    exec("def f(): return [{'n': 1}]", scope)
    project.run(x={"python": scope["f"]})
    assert project.run(x={"python": scope["f"]}) == {"x": ("its function changed",)}
