"""The pipeline file: what is accepted, what is refused, and where errors point."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from prefect_etl.errors import ConfigError
from prefect_etl.pipeline.spec import load_pipeline, pipeline_from

MINIMAL = "name: p\ndestination: memory://w\n"


@pytest.fixture
def load(tmp_path):
    def load(text, connections=None, environment=None):
        path = tmp_path / "pipeline.yaml"
        path.write_text(text, encoding="utf-8")
        return load_pipeline(path, connections, environment or {})

    return load


@pytest.fixture
def refused(load):
    """The mistakes of a file that is refused, without its folder."""

    def refused(text, connections=None, environment=None):
        with pytest.raises(ConfigError) as caught:
            load(text, connections, environment)
        return [line[line.index("pipeline.yaml") :] for line in caught.value.message.splitlines()]

    return refused


def test_a_whole_file_becomes_a_pipeline(load, tmp_path):
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "t.sql").write_text("SELECT 1")
    spec = load(
        """\
name: shop
destination: duckdb:///w.duckdb
sources:
  landing:
    connection: file://./data
    datasets:
      orders:
        path: orders/*.csv
        write: merge
        key: id
        schema: raw
        contract: {columns: {id: {nullable: false}}, max_rejected: 1%}
  jobs:
    connection: python://
    datasets:
      customers: {function: "jobs:customers"}
transformations:
  totals: {sql: sql/t.sql}
  features: {python: "models:features", into: delay_features}
"""
    )
    assert (spec.name, spec.root, spec.path) == ("shop", tmp_path, tmp_path / "pipeline.yaml")
    assert spec.destination.config.path == tmp_path / "w.duckdb"
    assert [(d.source, d.connection.connector.name, d.spec.name) for d in spec.datasets] == [
        ("landing", "files", "orders"),
        ("jobs", "python", "customers"),
    ]
    orders = spec.datasets[0].spec
    assert (orders.key, orders.schema_, orders.contract.max_rejected) == (("id",), "raw", 0.01)
    assert [t.table for t in spec.transformations] == ["totals", "delay_features"]


def test_a_pipeline_without_sources_is_fine(load):
    assert load(MINIMAL + "sources:\ntransformations:\n").datasets == ()


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_file(refused):
    lines = refused(
        """\
nmae: p
destination: memory://w
sources:
  landing:
    connection: file://./data
    datasets:
      flights:
        path: x
        wirte: merge
        key: [a, 3]
        contract:
          columns:
            origin: {nulable: false}
          on_violation: quarantin
      weather: {}
transformations:
  t: {kind: tabel, sql: SELECT 1}
"""
    )
    assert (
        "\n".join(lines) + "\n"
        == """\
pipeline.yaml:1: name is missing
pipeline.yaml:1: nmae: unknown key; did you mean name?
pipeline.yaml:9: sources.landing.datasets.flights.wirte: unknown key; did you mean write?
pipeline.yaml:10: sources.landing.datasets.flights.key[1]: must be text, not 3; put it in quotes
pipeline.yaml:13: sources.landing.datasets.flights.contract.columns.origin.nulable: unknown key; \
did you mean nullable?
pipeline.yaml:14: sources.landing.datasets.flights.contract.on_violation: must be quarantine, fail \
or warn, not 'quarantin'; did you mean quarantine?
pipeline.yaml:15: sources.landing.datasets.weather: path is missing
pipeline.yaml:17: transformations.t.kind: must be table, view or incremental, not 'tabel'; did you \
mean table?
"""
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("path: x, write: merge", "d: write: merge needs key: the columns that identify a row"),
        ("path: x, key: {a: b}", "d.key: must be a list, not a mapping"),
        ("path: x, columns: [a]", "d.columns: must be a mapping, not a list"),
        ("path: x, skip: many", "d.skip: must be a whole number, not 'many'"),
        ("path: x, skip: -1", "d.skip: must be at least 0, not -1"),
        ("path: x, header: 7", "d.header: must be true or false, not 7"),
        (
            "path: x, contract: {max_rejected: 200%}",
            "d.contract.max_rejected: must be at most 1, not '200%'",
        ),
        ("path: x, types: {a: 'b; c'}", "d.types.a: 'b; c' is not the name of a type"),
        ('path: ""', "d.path: must not be empty"),
        ("path: ../x", "d.path: path is relative to the connection's folder"),
        ("path: x, name: e", "d.name: the name is given by the key above; remove this one"),
    ],
)
def test_mistakes_in_fields_are_told_in_plain_english(refused, fields, said):
    text = f"{MINIMAL}sources: {{s: {{connection: 'file://.', datasets: {{d: {{{fields}}}}}}}}}"
    (line,) = refused(text)
    assert f"sources.s.datasets.{said}" in line
    assert "pydantic" not in line
    assert "http" not in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "name is missing"),
        ("- a\n", "must be a mapping, not a list"),
        (MINIMAL + "sources: [a]\n", "sources: must be a mapping, not a list"),
        (MINIMAL + "sources: {s: 3}\n", "sources.s: must be a mapping, not 3"),
        (MINIMAL + "sources: {s: {connection: 'memory://m'}}\n", "give datasets, or tables"),
        (MINIMAL + "sources: {s: {datasets: {}}}\n", "sources.s: connection is missing"),
        (MINIMAL + "transformations: {t: text}\n", "transformations.t: must be a mapping"),
        (MINIMAL + "transformations: {t: {sql: a.sql, python: 'a:b'}}\n", "either sql or python"),
        ("name: ''\ndestination: memory://w\n", "name: must not be empty"),
        ("name: p\ndestination: 5\n", "destination: must be text, not 5"),
        ("name: p\ndestination: python://\n", "destination: python cannot be a destination"),
        (
            "name: p\ndestination: duckbd:///w\n",
            "no connector answers duckbd://; did you mean duck",
        ),
        ("name: p\ndestination: warehouse\n", "no connection is called warehouse"),
        (MINIMAL + "x: &a [*a]\n", "an alias contains itself"),
        (MINIMAL + "x: !!python/object:os.system {}\n", "the tag !!python/object:os.system is not"),
        (MINIMAL + "name: q\n", "this key is there twice; the first one is in line 1"),
        (MINIMAL + "? [a]\n: b\n", "a key must be plain text"),
        (MINIMAL + "\tx: 1\n", "not valid YAML"),
        (MINIMAL + "---\nname: q\n", "not valid YAML"),
        (MINIMAL + "x: 'a\n", "not valid YAML"),
    ],
)
def test_a_file_of_another_shape_is_refused(refused, text, said):
    assert any(said in line for line in refused(text))


def test_a_document_that_grows_by_its_aliases_is_refused(refused):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "more than 100000 values" in refused("\n".join(lines))[0]


def test_anchors_and_merge_keys_work(load):
    spec = load(
        f"""\
{MINIMAL}sources:
  s:
    connection: file://.
    datasets:
      a: &common {{path: a.csv, nulls: [NA], write: replace}}
      b: {{<<: *common, path: b.csv}}
"""
    )
    a, b = (d.spec for d in spec.datasets)
    assert (a.path, b.path, b.nulls, b.write) == ("a.csv", "b.csv", ("NA",), "replace")


def test_words_that_old_yaml_took_for_booleans_numbers_or_dates_are_text(load):
    values = "[NO, yes, on, 12:30, 2013-01-01, 1_000]"
    spec = load(
        f"{MINIMAL}sources: {{s: {{connection: 'file://.', datasets: {{d: {{path: x, "
        f"nulls: {values}}}}}}}}}"
    )
    assert spec.datasets[0].spec.nulls == ("NO", "yes", "on", "12:30", "2013-01-01", "1_000")


def test_variables_come_from_the_environment_with_defaults_and_escapes(load):
    spec = load(
        "name: ${NAME}-${STAGE:-dev}$${x}\ndestination: memory://${EMPTY:-w}\n",
        environment={"NAME": "shop ${NAME}", "EMPTY": ""},
    )
    assert spec.name == "shop ${NAME}-dev${x}"
    assert spec.destination.config.name == "w"


def test_keys_are_not_expanded(load):
    text = MINIMAL + "sources: {'${A}': {connection: 'memory://m', datasets: {}}}"
    assert load(text, environment={"A": "b"}).datasets == ()


def test_missing_and_malformed_variables_are_all_reported(refused):
    first, second = refused("name: ${A}\ndestination: ${1b}\n")
    assert first == (
        "pipeline.yaml:1: name: the environment variable A is not set; set it, or write ${A:-…}"
    )
    assert second.startswith("pipeline.yaml:2: destination: ${ begins a variable")


@pytest.mark.parametrize(
    "secret",
    [
        "swordfish",
        "swordfish:pw",
        "nosuch://user:swordfish@host/db",
        "duckdb://:swordfish",
        "duckdb:///:swordfish:",
    ],
)
def test_what_came_from_the_environment_is_never_shown_in_a_connection(load, secret):
    for destination, connections in (
        ("${SECRET}", {}),
        ("x${SECRET}", {}),
        ("warehouse", {"warehouse": secret}),
    ):
        with pytest.raises(ConfigError) as caught:
            load(f"name: p\ndestination: {destination}\n", connections, {"SECRET": secret})
        assert "swordfish" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None


def test_a_password_in_the_file_is_not_shown_either(refused):
    (line,) = refused("name: p\ndestination: nosuch://user:swordfish@host\n")
    assert "swordfish" not in line


def test_a_value_from_the_environment_in_a_field_is_shown_as_it_is_written(refused):
    (line,) = refused(
        f"{MINIMAL}sources: {{s: {{connection: 'file://.', datasets: {{d: {{path: x, "
        "write: '${W}'}}}}",
        environment={"W": "swordfish"},
    )
    assert "not '${W}'" in line


def test_connections_of_the_settings_are_used_by_name(load, tmp_path):
    text = "name: p\ndestination: warehouse\n"
    spec = load(text, connections={"warehouse": "duckdb:///w.duckdb"})
    assert spec.destination.config.path == tmp_path / "w.duckdb"


def test_a_wrong_name_of_a_connection_gets_the_nearest(refused):
    (line,) = refused("name: p\ndestination: warehose\n", connections={"warehouse": "memory://w"})
    assert line.endswith("no connection is called warehose; did you mean warehouse?")


def test_fields_are_checked_also_where_the_connection_is_wrong(refused):
    lines = refused(
        "name: p\ndestination: memory://w\nsources:\n  s:\n    connection: file://${NO}\n"
        "    datasets:\n      d: {pth: x}\n"
    )
    assert [line.split(": ")[0] for line in lines] == ["pipeline.yaml:5"] + ["pipeline.yaml:7"] * 2


def _two(first, second):
    datasets = f"{{a: {{table: a, {first}}}, b: {{table: b, {second}}}}}"
    return f"{MINIMAL}sources: {{s: {{connection: 'memory://m', datasets: {datasets}}}}}\n"


@pytest.mark.parametrize(
    ("first", "second"),
    [("into: t", "into: t"), ("into: t", "into: T, schema: main"), ("", "into: A")],
)
def test_a_table_that_two_claim_is_refused_naming_both(refused, first, second):
    (line,) = refused(_two(first, second))
    assert "sources.s.datasets.b: the table main." in line
    assert "is claimed by sources.s.datasets.a, too" in line


def test_the_same_table_in_another_schema_is_another_table(load):
    assert len(load(_two("into: t", "into: t, schema: other")).datasets) == 2


def test_names_of_datasets_and_transformations_do_not_collide(refused):
    (line,) = refused(_two("", "") + "transformations: {A: {sql: SELECT 1, into: x}}\n")
    assert "transformations.A: the name A is taken by sources.s.datasets.a" in line


@pytest.mark.parametrize("into", ["''", '"a\\0b"'])
def test_a_table_needs_a_name(refused, into):
    assert "must not be empty or contain a NUL" in refused(_two(f"into: {into}", ""))[0]


def test_the_schema_of_the_ledger_is_reserved(refused):
    assert "holds the ledger" in refused(_two("schema: _PREFECT_ETL", ""))[0]


def test_a_name_may_hold_anything_but_nul(load, refused):
    spec = load(_two("", "").replace("a:", "'../a b/ü':"))
    assert spec.datasets[0].spec.name == "../a b/ü"
    assert any(
        "a name must be text" in line for line in refused(_two("", "").replace("a:", '"a\\0":'))
    )


def test_a_missing_sql_file_is_refused_with_its_path(refused, tmp_path):
    (line,) = refused(MINIMAL + "transformations: {t: {sql: sql/t.sql}}\n")
    assert line == f"pipeline.yaml:3: transformations.t.sql: there is no file {tmp_path}/sql/t.sql"


@pytest.mark.parametrize("path", ["../t.sql", "/etc/t.sql", "link/t.sql"])
def test_a_sql_file_stays_under_the_folder_of_the_pipeline(refused, tmp_path, path):
    (tmp_path.parent / "t.sql").write_text("SELECT 1")
    (tmp_path / "link").symlink_to(tmp_path.parent)
    (line,) = refused(f"{MINIMAL}transformations: {{t: {{sql: {path}}}}}\n")
    assert "is outside the folder of the pipeline" in line


def test_a_file_that_is_not_there_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigError, match="there is no pipeline file") as caught:
        load_pipeline(tmp_path / "pipeline.yaml")
    assert "prefect-etl init" in str(caught.value)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "pipeline.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_pipeline(tmp_path / "pipeline.yaml")


def test_the_same_in_python_with_functions_in_the_place_of_names(tmp_path):
    def orders():
        return [{"id": 1}]

    spec = pipeline_from(
        name="p",
        destination="warehouse",
        sources={"jobs": {"connection": "python://", "datasets": {"orders": {"function": orders}}}},
        transformations={"t": {"sql": "SELECT * FROM orders"}},
        root=tmp_path,
        connections={"warehouse": "memory://w"},
    )
    assert spec.path is None
    assert spec.datasets[0].spec.function is orders
    assert spec.transformations[0].name == "t"


def test_mistakes_in_python_name_their_place():
    with pytest.raises(ConfigError, match=r"Pipeline: sources\.s\.datasets\.d\.tabel: unknown key"):
        pipeline_from(
            name="p",
            destination="memory://w",
            sources={"s": {"connection": "memory://m", "datasets": {"d": {"tabel": "x"}}}},
        )


def test_reading_a_pipeline_imports_no_engine(tmp_path):
    (tmp_path / "pipeline.yaml").write_text(
        MINIMAL + "sources: {s: {connection: 'file://.', datasets: {d: {path: x}}}, "
        "t: {connection: 'duckdb:///x.db', datasets: {e: {table: x}}}, "
        "u: {connection: 'python://', datasets: {f: {function: 'a:b'}}}}\n"
    )
    code = (
        "import sys; from pathlib import Path; from prefect_etl.pipeline.spec import load_pipeline;"
        "load_pipeline(Path('pipeline.yaml'));"
        "print([m for m in ('duckdb', 'pandas', 'polars', 'pyarrow', 'sqlglot', 'prefect') "
        "if m in sys.modules])"
    )
    source = Path(__file__).parents[2] / "src"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(source)!r}); {code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
