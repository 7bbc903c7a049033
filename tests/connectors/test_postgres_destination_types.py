"""Every type of DuckDB's is exact in PostgreSQL, or refused by name."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from prefect_etl.connectors.postgres import PostgresConnection, PostgresDestination
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.schema import TableSchema
from prefect_etl.errors import DataError, SchemaError
from prefect_etl.testing.exercise import small_session
from prefect_etl.testing.loads import make_load

# DuckDB's type, values as DuckDB writes them, PostgreSQL's type, values as PostgreSQL shows them.
EXACT = [
    ("BOOLEAN", ["true", "false"], "boolean", ["true", "false"]),
    ("TINYINT", ["-128", "127"], "smallint", ["-128", "127"]),
    ("UTINYINT", ["255"], "smallint", ["255"]),
    ("SMALLINT", ["-32768"], "smallint", ["-32768"]),
    ("USMALLINT", ["65535"], "integer", ["65535"]),
    ("INTEGER", ["-2147483648"], "integer", ["-2147483648"]),
    ("UINTEGER", ["4294967295"], "bigint", ["4294967295"]),
    ("BIGINT", [f"{-(2**63)}", f"{2**63 - 1}"], "bigint", [f"{-(2**63)}", f"{2**63 - 1}"]),
    ("UBIGINT", [f"{2**64 - 1}"], "numeric(20,0)", [f"{2**64 - 1}"]),
    ("HUGEINT", [f"{-(2**127)}"], "numeric(39,0)", [f"{-(2**127)}"]),
    ("UHUGEINT", [f"{2**128 - 1}"], "numeric(39,0)", [f"{2**128 - 1}"]),
    ("BIGNUM", ["'9" + "9" * 60 + "'"], "numeric", ["9" + "9" * 60]),
    ("DECIMAL(38,10)", ["-" + "9" * 28 + ".0123456789"], "numeric(38,10)", None),
    ("DECIMAL(38,0)", ["9" * 38, "0"], "numeric(38,0)", None),
    ("DECIMAL(38,38)", ["0." + "0" * 37 + "1"], "numeric(38,38)", None),
    ("DECIMAL(4,2)", ["-0.05", "10.00"], "numeric(4,2)", None),
    ("FLOAT", ["'nan'", "'-inf'", "1.1"], "real", ["NaN", "-Infinity", "1.1"]),
    (
        "DOUBLE",
        ["'nan'", "'inf'", "5e-324", "1.7976931348623157e308", "'-0.0'"],
        "double precision",
        ["NaN", "Infinity", "5e-324", "1.7976931348623157e+308", "-0"],
    ),
    ("VARCHAR", ["''", "'a''b'", "chr(1) || chr(128512)"], "text", ["", "a'b", "\x01\U0001f600"]),
    ("BLOB", ["'\\x00\\xFFa'::BLOB", "''::BLOB"], "bytea", ["\\x00ff61", "\\x"]),
    (
        "DATE",
        ["'2024-02-29'", "'infinity'", "'-infinity'", "'5874897-12-31'", "'4714-11-24 (BC)'"],
        "date",
        ["2024-02-29", "infinity", "-infinity", "5874897-12-31", "4714-11-24 BC"],
    ),
    (
        "TIMESTAMP",
        ["'1999-12-31 23:59:59.999999'", "'infinity'", "'-infinity'", "'4713-11-24 (BC)'"],
        "timestamp without time zone",
        ["1999-12-31 23:59:59.999999", "infinity", "-infinity", "4713-11-24 00:00:00 BC"],
    ),
    (
        "TIMESTAMP",
        ["'294247-01-10 04:00:54.775806'"],
        "timestamp without time zone",
        ["294247-01-10 04:00:54.775806"],
    ),
    (
        "TIMESTAMP_S",
        ["'2024-01-01 10:00:00'", "'infinity'"],
        "timestamp without time zone",
        ["2024-01-01 10:00:00", "infinity"],
    ),
    (
        "TIMESTAMP_MS",
        ["'2024-01-01 10:00:00.123'"],
        "timestamp without time zone",
        ["2024-01-01 10:00:00.123"],
    ),
    (
        "TIMESTAMP_NS",
        ["'2024-01-01 10:00:00.123456'", "'infinity'"],
        "timestamp without time zone",
        ["2024-01-01 10:00:00.123456", "infinity"],
    ),
    (
        "TIMESTAMP WITH TIME ZONE",
        ["'2024-01-01 10:00:00.5+03:30'", "'infinity'"],
        "timestamp with time zone",
        ["2024-01-01 06:30:00.5+00", "infinity"],
    ),
    ("TIME", ["'23:59:59.999999'", "'24:00:00'"], "time without time zone", None),
    ("TIME_NS", ["'10:00:00.123456'"], "time without time zone", None),
    (
        "TIME WITH TIME ZONE",
        ["'10:00:00.5-03:30'"],
        "time with time zone",
        ["10:00:00.5-03:30"],
    ),
    (
        "INTERVAL",
        ["'14 months 3 days 30 hours 1.5 seconds'", "'-1 day -00:00:01'", "'-13 months'"],
        "interval",
        ["1 year 2 mons 3 days 30:00:01.5", "-1 days -00:00:01", "-1 years -1 mons"],
    ),
    ("INTERVAL", ["to_microseconds(9223372036854775807)"], "interval", ["2562047788:00:54.775807"]),
    ("UUID", ["'00112233-4455-6677-8899-aabbccddeeff'"], "uuid", None),
    ("JSON", ["""'{"b":  1.50, "a": 1, "a": 2}'"""], "json", None),
    ("BIT", ["'0101'"], "bit varying", None),
    ("ENUM('x', 'y z')", ["'y z'"], "text", None),
    ("INTEGER[]", ["[1, NULL]", "[]"], "integer[]", ["{1,NULL}", "{}"]),
    ("INTEGER[2]", ["[1, NULL]"], "integer[]", ["{1,NULL}"]),
    ("VARCHAR[]", ["""['a"b', NULL, 'c,d']"""], "text[]", ['{"a\\"b",NULL,"c,d"}']),
    ("DECIMAL(5,2)[]", ["[1.5, NULL]"], "numeric(5,2)[]", ["{1.50,NULL}"]),
    ("BOOLEAN[]", ["[true, NULL]"], "boolean[]", ["{t,NULL}"]),
    ("UBIGINT[]", [f"[{2**64 - 1}]"], "numeric(20,0)[]", [f"{{{2**64 - 1}}}"]),
    (
        "UUID[]",
        ["['00112233-4455-6677-8899-aabbccddeeff', NULL]"],
        "uuid[]",
        ["{00112233-4455-6677-8899-aabbccddeeff,NULL}"],
    ),
    (
        "TIMESTAMP[]",
        ["['infinity', '2024-01-01', NULL]"],
        "timestamp without time zone[]",
        ['{infinity,"2024-01-01 00:00:00",NULL}'],
    ),
    ("INTEGER[][]", ["[[1], [2, 3], NULL]"], "jsonb", ["[[1], [2, 3], null]"]),
    (
        'STRUCT(a DECIMAL(38,2), "b c" HUGEINT, d VARCHAR[])',
        [f"{{'a': 123456789012345678901234567890.12, 'b c': {2**100}, 'd': ['x', NULL]}}"],
        "jsonb",
        [f'{{"a": 123456789012345678901234567890.12, "d": ["x", null], "b c": {2**100}}}'],
    ),
    ("MAP(VARCHAR, INTEGER)", ["MAP {'k': 1}"], "jsonb", ['{"k": 1}']),
]
REFUSED = [
    ("TIMESTAMP_NS", "'2024-01-01 10:00:00.123456789'", "nanoseconds"),
    ("TIMESTAMP_NS[]", "['2024-01-01 10:00:00.123456789']", "x, which is TIMESTAMP_NS"),
    ("TIME_NS", "'10:00:00.123456789'", "nanoseconds"),
    ("VARCHAR", "'a' || chr(0)", "column x"),
    ("STRUCT(a DOUBLE)", "{'a': 'nan'}", "x"),
    ("DATE", "'5881580-07-10'", "column x"),
    ("DATE", "'5877642-06-25 (BC)'", "range"),
    ("TIMESTAMP", "'290309-12-22 (BC) 00:00:00'", "Out of Range"),
    ("UNION(a INTEGER)", "union_value(a := 1)", "column x, which is UNION"),
]


def _load(uri: str, kind: str, values: list[str], **fields):
    dataset = DatasetSpec(name="d", unit_column=False, **fields)
    load = make_load(
        dataset, LedgerState(), {"a": [{}] * (len(values) + 1)}, TableSchema.of(x=kind)
    )
    parts = [
        f"SELECT CAST({value} AS {kind}) AS x, CAST(1 AS BIGINT) AS _etl_unit_id, "
        f"CAST({place} AS BIGINT) AS _etl_row"
        for place, value in enumerate([*values, "NULL"], 1)
    ]
    with small_session() as session:
        destination = PostgresDestination(PostgresConnection.from_uri(uri, None), session)
        return destination.commit(replace(load, rows=" UNION ALL ".join(parts)))


@pytest.fixture(scope="module")
def module_uri(postgres):
    return postgres.uri(postgres.new_database())


@pytest.mark.parametrize(("kind", "values", "expected", "shown"), EXACT, ids=lambda v: str(v)[:30])
def test_a_type_is_exact(kind, values, expected, shown, module_uri):
    with psycopg.connect(module_uri, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS d; DROP SCHEMA IF EXISTS _prefect_etl CASCADE")
        _load(module_uri, kind, values)
        found = connection.execute("SELECT x::text FROM d").fetchall()
        described = connection.execute(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = 'd'::regclass AND attname = 'x'"
        ).fetchone()
    wanted = [value.strip("'") for value in values] if shown is None else shown
    assert described == (expected,)
    assert sorted(map(str, (row[0] for row in found))) == sorted([*wanted, "None"])


@pytest.mark.parametrize(("kind", "value", "said"), REFUSED)
def test_what_does_not_fit_is_refused_by_name(kind, value, said, module_uri):
    with psycopg.connect(module_uri, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS d; DROP SCHEMA IF EXISTS _prefect_etl CASCADE")
        with pytest.raises(DataError, match=said):
            _load(module_uri, kind, [value])
        assert connection.execute("SELECT to_regclass('d')").fetchone() == (None,)


def test_a_name_that_the_server_would_cut_is_refused(module_uri):
    with pytest.raises(SchemaError, match="64 bytes; PostgreSQL would cut it to xxx"):
        _load(module_uri, "INTEGER", ["1"], into="x" * 64)
