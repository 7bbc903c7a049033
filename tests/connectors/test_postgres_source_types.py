"""Values of PostgreSQL in the engine: the same, or an error that names the column."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefect_etl.connectors.postgres.connection import PostgresConnection
from prefect_etl.connectors.postgres.source import PostgresDataset, PostgresSource
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.rows import STREAM
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import DataError, SourceReadError

FIRST = LedgerState()


@pytest.fixture(scope="module")
def session():
    session = Session(memory_limit="200MB", threads=1)
    yield session
    session.close()


@pytest.fixture(scope="module")
def database(postgres):
    name = postgres.new_database()
    yield postgres.uri(name)
    postgres.drop_database(name)


@pytest.fixture
def read(database, session):
    """Reads a query of one column; gives its type and its values as DuckDB spells them."""

    def read(query, **fields):
        config = PostgresConnection.from_uri(database, Path())
        source = PostgresSource(config, PostgresDataset(name="d", query=query, **fields), session)
        (batch,) = source.batches(source.units(FIRST), FIRST)
        with source.read(batch) as rows, session.cursor() as cursor:
            cursor.execute("SET timezone = 'UTC'")
            cursor.register(STREAM, rows.stream)
            sql = f"SELECT typeof(COLUMNS(*)), CAST(COLUMNS(*) AS VARCHAR) FROM ({rows.select})"
            found = cursor.execute(sql).fetchall()
        assert {kind for kind, _ in found} == {c.type for c in source.schema(batch)}
        return found[0][0], [value for _, value in found]

    return read


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("true", "BOOLEAN", "true"),
        ("32767::int2", "SMALLINT", "32767"),
        ("(-9223372036854775808)::int8", "BIGINT", "-9223372036854775808"),
        ("4294967295::oid", "BIGINT", "4294967295"),
        ("'NaN'::float4", "FLOAT", "nan"),
        ("'-Infinity'::float8", "DOUBLE", "-inf"),
        ("0.1::float8", "DOUBLE", "0.1"),
        ("12.50::numeric(6,2)", "DECIMAL(6,2)", "12.50"),
        (f"{'9' * 38}::numeric(38,0)", "DECIMAL(38,0)", "9" * 38),
        ("12300::numeric(3,-2)", "DECIMAL(5,0)", "12300"),
        ("0.00012::numeric(2,5)", "DECIMAL(5,5)", ".00012"),
        ("1.10::numeric", "VARCHAR", "1.10"),
        (f"{'9' * 50}::numeric(50,0)", "VARCHAR", "9" * 50),
        ("'NaN'::numeric", "VARCHAR", "NaN"),
        ("'Infinity'::numeric", "VARCHAR", "Infinity"),
        ("'-92233720368547758.08'::money", "DECIMAL(19,2)", "-92233720368547758.08"),
        ("'ab'::char(4)", "VARCHAR", "ab  "),
        ("''::text", "VARCHAR", ""),
        ("E'\\u0001\\t\\n🙂'", "VARCHAR", "\x01\t\n🙂"),
        ("'x'::\"char\"", "VARCHAR", "x"),
        ("'x'::name", "VARCHAR", "x"),
        ("'\\x00ff'::bytea", "BLOB", "\\x00\\xFF"),
        ("'4713-01-01 BC'::date", "DATE", "4713-01-01 (BC)"),
        ("'5874897-12-31'::date", "DATE", "5874897-12-31"),
        ("'infinity'::date", "DATE", "infinity"),
        ("'-infinity'::date", "DATE", "-infinity"),
        ("'4713-01-01 BC'::timestamp", "TIMESTAMP", "4713-01-01 (BC) 00:00:00"),
        ("'294246-12-31 23:59:59.999999'::timestamp", "TIMESTAMP", "294246-12-31 23:59:59.999999"),
        ("'infinity'::timestamp", "TIMESTAMP", "infinity"),
        ("'-infinity'::timestamptz", "TIMESTAMP WITH TIME ZONE", "-infinity"),
        ("'infinity'::timestamptz", "TIMESTAMP WITH TIME ZONE", "infinity"),
        (
            "'2024-06-01 12:00:00.000001+05:30'::timestamptz",
            "TIMESTAMP WITH TIME ZONE",
            "2024-06-01 06:30:00.000001+00",
        ),
        ("'24:00'::time", "TIME", "24:00:00"),
        ("'12:00:00.5-15:59:59'::timetz", "TIME WITH TIME ZONE", "12:00:00.5-15:59:59"),
        ("'-1 mon +2 days -03:04:05.6'::interval", "INTERVAL", "-1 month 2 days -03:04:05.6"),
        (
            "'12345678-1234-1234-1234-123456789abc'::uuid",
            "UUID",
            "12345678-1234-1234-1234-123456789abc",
        ),
        ("""'{"b":  1, "a": 1e400}'::json""", "JSON", """{"b":  1, "a": 1e400}"""),
        ("""'{"b":  1}'::jsonb""", "JSON", """{"b": 1}"""),
        ("row(1, 'a')", "JSON", '{"f1":1,"f2":"a"}'),
        ("'192.168.0.1/24'::inet", "VARCHAR", "192.168.0.1/24"),
        ("'::1'::inet", "VARCHAR", "::1"),
        ("'08:00:2b:01:02:03'::macaddr", "VARCHAR", "08:00:2b:01:02:03"),
        ("B'101'", "VARCHAR", "101"),
        ("'[1,3)'::int4range", "VARCHAR", "[1,3)"),
        ("'(1,2)'::point", "VARCHAR", "(1,2)"),
        ("'fat & rat'::tsquery", "VARCHAR", "'fat' & 'rat'"),
        ("'{1,NULL,2}'::int[]", "INTEGER[]", "[1, NULL, 2]"),
        ("'{}'::text[]", "VARCHAR[]", "[]"),
        ("'{a,NULL,\"NULL\"}'::text[]", "VARCHAR[]", "[a, NULL, 'NULL']"),
        ("'{1.5,NULL}'::numeric(5,2)[]", "DECIMAL(5,2)[]", "[1.50, NULL]"),
        ("'{infinity,NULL}'::timestamp[]", "TIMESTAMP[]", "[infinity, NULL]"),
        ("'{::1}'::inet[]", "VARCHAR[]", "['::1']"),
        ("ARRAY['{\"a\": 1}'::jsonb]", "JSON[]", '[{"a": 1}]'),
    ],
)
def test_a_value_arrives_exactly(read, value, kind, expected):
    row = f"SELECT 1 AS n, {value} AS v"
    found, values = read(f"SELECT v FROM generate_series(1, 2) n LEFT JOIN ({row}) r USING (n)")
    assert (found, values) == (kind, [expected, None])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("'NaN'::numeric(5,2)", r'column "v" has NaN, which DECIMAL\(5,2\) has not'),
        ("'294276-12-31'::timestamp", 'column "v" has a timestamp beyond the range of TIMESTAMP'),
        ("'{{1,2}}'::int[]", 'column "v" has an array of several dimensions'),
        ("'infinity'::interval", "d: .*nterval"),
        ("'{4713-01-01 BC}'::timestamp[]", "4713-01-01 00:00:00 BC.*, in v"),
    ],
)
def test_a_value_that_the_engine_does_not_have_is_an_error(read, value, said):
    with pytest.raises(DataError, match=said):
        read(f"SELECT {value} AS v")


def test_a_number_without_a_precision_becomes_one_that_is_asked_for(read):
    assert read("SELECT 1.250::numeric AS v", types={"V": "decimal(5,2)"}) == (
        "DECIMAL(5,2)",
        ["1.25"],
    )


def test_a_number_that_would_be_rounded_is_an_error(read):
    with pytest.raises(SourceReadError, match='"v" has a number with more digits than DECIMAL'):
        read("SELECT 1.255::numeric AS v", types={"v": "decimal(5,2)"})


def test_an_array_of_several_dimensions_can_be_had_as_text(read):
    assert read("SELECT '{{1,2}}'::int[] AS v", types={"v": "string"}) == ("VARCHAR", ["{{1,2}}"])


def test_types_of_the_database_itself_are_resolved(database, read, execute):
    execute(
        "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN price AS numeric(8,2); "
        "CREATE DOMAIN prices AS price[]"
    )
    assert read("SELECT 'glad'::mood AS v") == ("VARCHAR", ["glad"])
    assert read("SELECT '{glad,NULL}'::mood[] AS v") == ("VARCHAR[]", ["[glad, NULL]"])
    assert read("SELECT 1.5::price AS v") == ("DECIMAL(8,2)", ["1.50"])
    assert read("SELECT '{1.5}'::prices AS v") == ("DECIMAL(8,2)[]", ["[1.50]"])


@pytest.fixture
def execute(database):
    import psycopg

    with psycopg.connect(database, autocommit=True) as connection:
        yield connection.execute


def test_columns_as_they_were_declared(database, session, execute):
    execute(
        'CREATE TABLE "Odd ""name" (id int, gone int, "a" int[][], "A" text, '
        '"select" int GENERATED ALWAYS AS (id * 2) STORED)'
    )
    execute('ALTER TABLE "Odd ""name" DROP COLUMN gone')
    execute("""INSERT INTO "Odd ""name" VALUES (1, '{{1,2},{3,4}}', 'x')""")
    config = PostgresConnection.from_uri(database, Path())
    dataset = PostgresDataset(name="d", table='Odd "name', columns={"rename": {"select": "s"}})
    source = PostgresSource(config, dataset, session)
    (batch,) = source.batches(source.units(FIRST), FIRST)
    with source.read(batch) as rows, session.cursor() as cursor:
        cursor.register(STREAM, rows.stream)
        found = cursor.execute(rows.select)
        assert found.fetchall() == [(1, [[1, 2], [3, 4]], "x", 2)]
