"""The types of each source, with values at the ends of their ranges; values are SQL literals."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa


@dataclass(frozen=True)
class Case:
    """A type of a source, or some values of it that fare otherwise than the rest.

    Attributes:
        title: As the page calls it.
        kind: The column's type, as the source spells it; for Parquet an Arrow type.
        meaning: What its values are; see ``meanings.py``.
        values: As SQL literals of the source; for Parquet Python values.
        expected: For Parquet: how the values are spelled.
        before: SQL that has to run once.
    """

    title: str
    kind: Any
    meaning: str
    values: tuple[Any, ...]
    expected: tuple[str | None, ...] = field(default=())
    before: str = ""


def _case(
    kind: str, meaning: str, *values: str, title: str | None = None, before: str = ""
) -> Case:
    return Case(title or kind, kind, meaning, (*values, "NULL"), (), before)


def _quoted(*values: str) -> tuple[str, ...]:
    return tuple(f"'{value}'" for value in values)


# Control characters, quotes, combining marks, both planes, the last code point.
_SIGNS = "a'' \"\\\\ \t\n\r \x01\x7f\x85 é e\u0301 \ufeff 北京 🙂 \U0010fffd"
_JSON = '{"b": 1, "a": [1.50, 12345678901234567890123, null, "é"], "b": 2}'
_JSON_PLAIN = '{"a": [1.50, 12345678901234567890123, null, "é"]}'
_DIGITS_38 = "9999999999999999999999999999.9999999999"

POSTGRES = (
    _case("smallint", "number", "-32768", "32767"),
    _case("integer", "number", "-2147483648", "2147483647"),
    _case("bigint", "number", "-9223372036854775808", "9223372036854775807"),
    _case("oid", "number", "0", "4294967295"),
    _case("numeric(12,2)", "number", "-9999999999.99", "0.01"),
    _case("numeric(38,10)", "number", f"-{_DIGITS_38}", _DIGITS_38),
    _case("numeric(50,10)", "number", f"-{'9' * 40}.{'9' * 10}", "0"),
    _case("numeric", "number", "-1.50", f"{'9' * 60}.{'9' * 30}"),
    _case("numeric", "number", *_quoted("NaN", "Infinity"), title="numeric NaN, infinity"),
    _case("numeric(12,2)", "number", *_quoted("NaN"), title="numeric(12,2) NaN"),
    _case("real", "float", *_quoted("NaN", "Infinity", "-Infinity", "3.4028235e38", "0.1")),
    _case(
        "double precision",
        "float",
        *_quoted("NaN", "Infinity", "-Infinity", "1.7976931348623157e308", "5e-324", "0.1"),
    ),
    _case("double precision", "float", "'-0'", title="double precision -0"),
    _case("money", "number", "'-92233720368547758.08'::numeric::money", "12.34::money"),
    _case("boolean", "bool", "true", "false"),
    _case("text", "text", f"E'{_SIGNS}'", "''"),
    _case("varchar(10)", "text", "'0123456789'", "''"),
    _case("char(5)", "text", "'ab'", "'éé'"),
    _case('"char"', "text", "'x'"),
    _case("name", "text", "'n'"),
    _case("bytea", "bytes", r"'\x00ff27'", "''"),
    _case("date", "date", *_quoted("0001-01-01", "2026-02-28", "9999-12-31", "0044-03-15 BC")),
    _case("date", "date", *_quoted("4713-01-01 BC", "5874897-12-31"), title="date, ends"),
    _case("date", "date", *_quoted("infinity", "-infinity"), title="date infinity"),
    _case(
        "timestamp",
        "timestamp",
        *_quoted("2026-01-02 03:04:05.678901", "0001-01-01", "9999-12-31 23:59:59.999999"),
    ),
    _case(
        "timestamp",
        "timestamp",
        *_quoted("4713-01-01 00:00:00 BC", "294246-12-31 23:59:59.999999"),
        title="timestamp, far",
    ),
    _case("timestamp", "timestamp", "'294276-12-31 23:59:59.999999'", title="timestamp, end"),
    _case("timestamp", "timestamp", *_quoted("infinity", "-infinity"), title="timestamp infinity"),
    _case(
        "timestamptz",
        "timestamptz",
        *_quoted("2026-01-02 03:04:05.678901+05:30", "9999-12-31 23:59:59.999999+00"),
    ),
    _case(
        "timestamptz",
        "timestamptz",
        *_quoted("infinity", "-infinity"),
        title="timestamptz infinity",
    ),
    _case("time", "time", *_quoted("00:00", "23:59:59.999999", "24:00")),
    _case("timetz", "timetz", *_quoted("01:02:03.4+05:30", "23:59:59.999999-11")),
    _case(
        "interval",
        "interval",
        *_quoted("1 year 2 months -3 days 04:05:06.789012", "-1 us", "100000000 years"),
    ),
    _case("uuid", "uuid", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"),
    _case("json", "json", f"'{_JSON}'", "'null'"),
    _case("jsonb", "json", f"'{_JSON_PLAIN}'", "'null'"),
    _case(
        "mood", "text", "'sad é'", before="CREATE TYPE mood AS ENUM ('sad é', 'ok')", title="enum"
    ),
    _case("small", "number", "7", before="CREATE DOMAIN small AS integer", title="domain"),
    _case(
        "pair",
        "tree",
        "ROW(1, 'x')",
        before="CREATE TYPE pair AS (a int, b text)",
        title="composite",
    ),
    _case("inet", "text", "'::ffff:10.0.0.1/120'"),
    _case("cidr", "text", "'10.0.0.0/8'"),
    _case("macaddr", "text", "'08:00:2b:01:02:03'"),
    _case("bit(5)", "text", "B'10101'"),
    _case("bit varying", "text", "B'1'", "B''"),
    _case("int4range", "text", "'[1,5)'", "'empty'"),
    _case("tsvector", "text", "'a:1 b:2'"),
    _case("point", "text", "'(1.5,-2)'"),
    _case("integer[]", "list:number", "'{1,NULL,-2147483648}'", "'{}'"),
    _case("text[]", "list:text", "ARRAY['a,b', NULL, '', '\"']"),
    _case("numeric(10,2)[]", "list:number", "'{1.50,NULL}'"),
    _case("uuid[]", "list:uuid", "'{ffffffff-ffff-ffff-ffff-ffffffffffff}'"),
    _case("integer[][]", "list:number", "'{{1,2},{3,NULL}}'"),
    _case("numeric[]", "list:number", "ARRAY[1.50, 123456789012345678901234567890.5]"),
    _case("boolean[]", "list:bool", "'{t,NULL}'"),
    _case("double precision[]", "list:float", "'{0.1,NULL,1e300}'"),
    _case("bytea[]", "list:bytes", r"ARRAY['\x00ff'::bytea, NULL]"),
    _case("date[]", "list:date", "'{2026-01-02,NULL}'"),
    _case("timestamptz[]", "list:timestamptz", "'{2026-01-02 03:04:05.678901+00,NULL}'"),
    _case("interval[]", "list:interval", "'{1 mon 2 days 00:00:03}'"),
    _case("mood[]", "list:text", "ARRAY['sad é'::mood]", title="enum[]"),
    _case("jsonb[]", "list:json", """ARRAY['{"a": 1.50}'::jsonb]"""),
)

DUCKDB = (
    _case("BOOLEAN", "bool", "true", "false"),
    _case("TINYINT", "number", "-128", "127"),
    _case("UTINYINT", "number", "0", "255"),
    _case("SMALLINT", "number", "-32768", "32767"),
    _case("USMALLINT", "number", "65535"),
    _case("INTEGER", "number", "-2147483648", "2147483647"),
    _case("UINTEGER", "number", "4294967295"),
    _case("BIGINT", "number", "-9223372036854775808", "9223372036854775807"),
    _case("UBIGINT", "number", "18446744073709551615"),
    _case("HUGEINT", "number", f"-{'9' * 38}", "1"),
    _case("HUGEINT", "number", f"-{2**127}", f"{2**127 - 1}", title="HUGEINT, ends"),
    _case("UHUGEINT", "number", f"{2**128 - 1}", title="UHUGEINT, end"),
    _case("BIGNUM", "number", "'" + "9" * 60 + "'"),
    _case("DECIMAL(4,1)", "number", "-999.9", "0.1"),
    _case("DECIMAL(18,3)", "number", "-999999999999999.999"),
    _case("DECIMAL(38,10)", "number", f"-{_DIGITS_38}"),
    _case("FLOAT", "float", *_quoted("nan", "inf", "-inf", "3.4028235e38", "0.1")),
    _case("DOUBLE", "float", *_quoted("nan", "inf", "-inf", "1.7976931348623157e308", "5e-324")),
    _case("DOUBLE", "float", "'-0'", title="DOUBLE -0"),
    _case("VARCHAR", "text", "'a''\"\\ ' || chr(10) || chr(1) || 'é 北京 🙂'", "''"),
    _case("VARCHAR", "text", "'a' || chr(0) || 'b'", title="VARCHAR with NUL"),
    _case("BLOB", "bytes", r"'\x00\xFF'::BLOB", "''::BLOB"),
    _case("BIT", "text", "'10101'"),
    _case("DATE", "date", *_quoted("0001-01-01", "9999-12-31", "0044-03-15 (BC)")),
    _case("DATE", "date", *_quoted("5877642-06-25 (BC)", "5881580-07-10"), title="DATE, ends"),
    _case("DATE", "date", *_quoted("infinity", "-infinity"), title="DATE infinity"),
    _case("TIME", "time", *_quoted("00:00:00", "23:59:59.999999", "24:00:00")),
    _case("TIME_NS", "time", *_quoted("23:59:59.999999")),
    _case("TIME_NS", "time", *_quoted("23:59:59.999999999"), title="TIME_NS, nanoseconds"),
    _case("TIME WITH TIME ZONE", "timetz", *_quoted("01:02:03.4+05:30", "23:59:59.999999-11")),
    _case(
        "TIMESTAMP",
        "timestamp",
        *_quoted("2026-01-02 03:04:05.678901", "9999-12-31 23:59:59.999999"),
    ),
    _case(
        "TIMESTAMP",
        "timestamp",
        *_quoted("290309-12-22 (BC) 00:00:00", "294247-01-10 04:00:54.775806"),
        title="TIMESTAMP, ends",
    ),
    _case("TIMESTAMP", "timestamp", *_quoted("infinity", "-infinity"), title="TIMESTAMP infinity"),
    _case("TIMESTAMP_S", "timestamp", *_quoted("2026-01-02 03:04:05")),
    _case("TIMESTAMP_MS", "timestamp", *_quoted("2026-01-02 03:04:05.678")),
    _case("TIMESTAMP_NS", "timestamp", *_quoted("2026-01-02 03:04:05.678901")),
    _case(
        "TIMESTAMP_NS",
        "timestamp",
        *_quoted("2026-01-02 03:04:05.678901234"),
        title="TIMESTAMP_NS, nanoseconds",
    ),
    _case(
        "TIMESTAMP WITH TIME ZONE",
        "timestamptz",
        *_quoted("2026-01-02 03:04:05.678901+05:30", "9999-12-31 23:59:59.999999+00"),
    ),
    _case(
        "TIMESTAMP WITH TIME ZONE",
        "timestamptz",
        *_quoted("infinity", "-infinity"),
        title="TIMESTAMP WITH TIME ZONE infinity",
    ),
    _case("INTERVAL", "interval", *_quoted("1 year 2 months -3 days 04:05:06.789012")),
    _case("UUID", "uuid", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"),
    _case("JSON", "json", f"'{_JSON}'", "'null'"),
    _case("ENUM('sad é', 'ok')", "text", "'sad é'", title="ENUM"),
    _case("INTEGER[]", "list:number", "[1, NULL]", "[]"),
    _case("VARCHAR[]", "list:text", "['a,b', NULL, '', '\"']"),
    _case("DECIMAL(10,2)[]", "list:number", "[1.50, NULL]"),
    _case("HUGEINT[]", "list:number", f"[{10**37}]"),
    _case("INTEGER[2]", "list:number", "[1, NULL]"),
    _case("INTEGER[][]", "list:number", "[[1, 2], NULL, [3]]"),
    _case("FLOAT[]", "list:float", "[0.5, NULL]"),
    _case("BLOB[]", "list:bytes", r"['\x00\xFF'::BLOB]"),
    _case("TIMESTAMP[]", "list:timestamp", "['2026-01-02 03:04:05.678901'::TIMESTAMP, NULL]"),
    _case(
        "TIMESTAMP_NS[]",
        "list:timestamp",
        "['2026-01-02 03:04:05.678901234'::TIMESTAMP_NS]",
        title="TIMESTAMP_NS[], nanoseconds",
    ),
    _case("INTERVAL[]", "list:interval", "['1 month 2 days 00:00:03'::INTERVAL]"),
    _case("UUID[]", "list:uuid", "['ffffffff-ffff-ffff-ffff-ffffffffffff'::UUID]"),
    _case(
        "STRUCT(t TIMESTAMP, d DECIMAL(4,2))[]", "tree", "[{'t': TIMESTAMP '2026-01-02', 'd': 1.5}]"
    ),
    _case("STRUCT(a INTEGER, b VARCHAR)", "tree", "{'a': 1, 'b': NULL}"),
    _case(
        "STRUCT(j JSON)",
        "tree",
        f"{{'j': '{{\"a\": {'9' * 20}.{'9' * 20}}}'}}",
        title="STRUCT(j JSON)",
    ),
    _case("MAP(VARCHAR, INTEGER)", "tree", "MAP {'é': 1, 'b': NULL}"),
    _case("UNION(n INTEGER, s VARCHAR)", "text", "union_value(s := 'x')", title="UNION"),
)

SQLITE = (
    _case("INTEGER", "number", "-9223372036854775808", "9223372036854775807"),
    _case("SMALLINT", "number", "-32768", "32767"),
    _case("REAL", "float", "0.1", "-1e308", "9e999", "-9e999"),
    _case("TEXT", "text", "'a''\"\\ ' || char(10) || char(1) || 'é 北京 🙂'", "''"),
    _case("TEXT", "text", "'a' || char(0) || 'b'", title="TEXT with NUL"),
    _case("VARCHAR(10)", "text", "'0123456789'"),
    _case("BLOB", "bytes", "x'00ff'", "x''"),
    _case("BOOLEAN", "bool", "1", "0"),
    _case("DECIMAL(10,2)", "number", "'-99999999.5'", "'0.25'"),
    _case("NUMERIC", "number", "1", "2.5"),
    _case("NUMERIC", "number", "9007199254740993", "2.5", title="NUMERIC, both kinds"),
    _case("REAL", "number", "9007199254740993", title="REAL, long whole number"),
    _case("DATE", "date", *_quoted("0001-01-01", "9999-12-31")),
    _case("DATE", "text", "'soon'", "'2026-01-02'", title="DATE with text in it"),
    _case("BOOLEAN", "number", "2", title="BOOLEAN with 2 in it"),
    _case("DECIMAL(10,2)", "number", "'0.125'", title="DECIMAL(10,2), more digits"),
    _case("TIME", "time", *_quoted("00:00:00", "23:59:59.999999")),
    _case("TIMESTAMP", "timestamp", *_quoted("2026-01-02 03:04:05.678901", "0001-01-01 00:00:00")),
    _case("JSON", "json", f"'{_JSON}'"),
    _case("", "text", "'x'", "'é'", title="no type, text"),
    _case("", "number", "1", "-5", title="no type, whole numbers"),
    _case("INTEGER", "text", "1", "'one'", title="INTEGER with text in it"),
)

MYSQL = (
    _case("TINYINT", "number", "-128", "127"),
    _case("TINYINT UNSIGNED", "number", "255"),
    _case("BOOLEAN", "bool", "1", "0"),
    _case("SMALLINT UNSIGNED", "number", "65535"),
    _case("MEDIUMINT", "number", "-8388608"),
    _case("MEDIUMINT UNSIGNED", "number", "16777215"),
    _case("INT", "number", "-2147483648", "2147483647"),
    _case("INT UNSIGNED", "number", "4294967295"),
    _case("BIGINT", "number", "-9223372036854775808", "9223372036854775807"),
    _case("BIGINT UNSIGNED", "number", "18446744073709551615"),
    _case("DECIMAL(10,2)", "number", "-99999999.99"),
    _case("DECIMAL(38,10)", "number", f"-{_DIGITS_38}"),
    _case("DECIMAL(65,30)", "number", f"-{'9' * 35}.{'9' * 30}"),
    _case("FLOAT", "float", "0.1", "3.40282e38"),
    _case("DOUBLE", "float", "0.1", "1.7976931348623157e308", "5e-324"),
    _case("BIT(8)", "number", "b'10101010'"),
    _case("BIT(64)", "number", f"b'{'1' * 64}'"),
    _case("CHAR(5)", "text", "'ab'"),
    _case("VARCHAR(40)", "text", "'a''\"\\\\ \\n é 北京 🙂'", "''"),
    _case("VARCHAR(10) CHARACTER SET latin1", "text", "'é'", title="VARCHAR, latin1"),
    _case("LONGTEXT", "text", "'é'"),
    _case("TEXT", "text", "'a\\0b'", title="TEXT with NUL"),
    _case("BINARY(3)", "bytes", "x'00ff01'"),
    _case("VARBINARY(10)", "bytes", "x'00ff'", "x''"),
    _case("LONGBLOB", "bytes", "x'00ff'"),
    _case("DATE", "date", *_quoted("1000-01-01", "9999-12-31")),
    _case("DATE", "date", "'0000-00-00'", title="DATE, zero"),
    _case("DATETIME", "timestamp", *_quoted("1000-01-01 00:00:00", "9999-12-31 23:59:59")),
    _case("DATETIME(6)", "timestamp", *_quoted("2026-01-02 03:04:05.678901")),
    _case("TIMESTAMP(6)", "timestamptz", *_quoted("2026-01-02 03:04:05.678901")),
    _case("TIME(6)", "time", *_quoted("00:00:00", "23:59:59.999999")),
    _case("TIME(6)", "text", *_quoted("838:59:59.999999", "-00:00:01"), title="TIME beyond a day"),
    _case("YEAR", "number", "1901", "2155"),
    _case("JSON", "json", f"'{_JSON_PLAIN}'"),
    _case("ENUM('sad é', 'ok')", "text", "'sad é'", title="ENUM"),
    _case("SET('a', 'b')", "text", "'a,b'", "''", title="SET"),
    _case("UUID", "uuid", "'ffffffff-ffff-4fff-8fff-ffffffffffff'"),
    _case("INET6", "text", "'::1'"),
    _case("GEOMETRY", "text", "POINT(1, 2)"),
)


def _arrow(title: str, kind: Any, meaning: str, *pairs: tuple[Any, str]) -> Case:
    values, expected = zip(*pairs, strict=True)
    return Case(title, kind, meaning, (*values, None), (*expected, None))


_ZONED = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
_NOON = _ZONED.replace(tzinfo=None)
_WHOLE = _NOON.replace(microsecond=0)
_MOMENT = "2026-01-02 03:04:05"

PARQUET = (
    _arrow("boolean", pa.bool_(), "bool", (True, "true"), (False, "false")),
    _arrow("int8", pa.int8(), "number", (-128, "-128"), (127, "127")),
    _arrow("uint8", pa.uint8(), "number", (255, "255")),
    _arrow("int16", pa.int16(), "number", (-32768, "-32768")),
    _arrow("uint16", pa.uint16(), "number", (65535, "65535")),
    _arrow("int32", pa.int32(), "number", (-(2**31), str(-(2**31)))),
    _arrow("uint32", pa.uint32(), "number", (2**32 - 1, str(2**32 - 1))),
    _arrow("int64", pa.int64(), "number", (-(2**63), str(-(2**63)))),
    _arrow("uint64", pa.uint64(), "number", (2**64 - 1, str(2**64 - 1))),
    _arrow("float16", pa.float16(), "float", (0.5, "0.5"), (-65504.0, "-65504.0")),
    _arrow("float32", pa.float32(), "float", (0.5, "0.5"), (float("nan"), "nan")),
    _arrow("float64", pa.float64(), "float", (0.1, "0.1"), (float("-inf"), "-inf")),
    _arrow("float64 -0", pa.float64(), "float", (-0.0, "-0.0")),
    _arrow("decimal(9,2)", pa.decimal128(9, 2), "number", (Decimal("-9999999.99"), "-9999999.99")),
    _arrow("decimal(38,10)", pa.decimal128(38, 10), "number", (Decimal(_DIGITS_38), _DIGITS_38)),
    _arrow(
        "decimal(50,10)",
        pa.decimal256(50, 10),
        "number",
        (Decimal("9" * 40 + ".5"), "9" * 40 + ".5"),
    ),
    _arrow("string", pa.string(), "text", ("é\n🙂", "é\n🙂"), ("", "")),
    _arrow("string with NUL", pa.string(), "text", ("a\0b", "a\0b")),
    _arrow("large_string", pa.large_string(), "text", ("é", "é")),
    _arrow("dictionary", pa.dictionary(pa.int32(), pa.string()), "text", ("é", "é")),
    _arrow("binary", pa.binary(), "bytes", (b"\x00\xff", "00ff"), (b"", "")),
    _arrow("binary(16)", pa.binary(16), "bytes", (b"\xff" * 16, "ff" * 16)),
    _arrow("date32", pa.date32(), "date", (date(1, 1, 1), "0001-01-01")),
    _arrow("date64", pa.date64(), "date", (date(9999, 12, 31), "9999-12-31")),
    _arrow("time32(ms)", pa.time32("ms"), "time", (time(23, 59, 59, 999000), "23:59:59.999")),
    _arrow("time64(us)", pa.time64("us"), "time", (time(23, 59, 59, 999999), "23:59:59.999999")),
    _arrow("time64(ns)", pa.time64("ns"), "time", (1_000, "00:00:00.000001")),
    _arrow("time64(ns), nanoseconds", pa.time64("ns"), "time", (1, "00:00:00.000000001")),
    _arrow("timestamp(s)", pa.timestamp("s"), "timestamp", (_WHOLE, _MOMENT)),
    _arrow("timestamp(ms)", pa.timestamp("ms"), "timestamp", (_WHOLE, _MOMENT)),
    _arrow("timestamp(us)", pa.timestamp("us"), "timestamp", (_NOON, f"{_MOMENT}.678901")),
    _arrow("timestamp(ns)", pa.timestamp("ns"), "timestamp", (1_000, "1970-01-01 00:00:00.000001")),
    _arrow(
        "timestamp(ns), nanoseconds",
        pa.timestamp("ns"),
        "timestamp",
        (1, "1970-01-01 00:00:00.000000001"),
    ),
    _arrow(
        "timestamp(us, UTC)",
        pa.timestamp("us", "UTC"),
        "timestamptz",
        (_ZONED, f"{_MOMENT}.678901+00"),
    ),
    _arrow(
        "timestamp(ns, UTC), nanoseconds",
        pa.timestamp("ns", "UTC"),
        "timestamptz",
        (1, "1970-01-01 00:00:00.000000001+00"),
    ),
    _arrow(
        "timestamp(ns, UTC)",
        pa.timestamp("ns", "UTC"),
        "timestamptz",
        (1_000, "1970-01-01 00:00:00.000001+00"),
    ),
    _arrow(
        "list<timestamp(ns, UTC)>",
        pa.list_(pa.timestamp("ns", "UTC")),
        "list:timestamptz",
        ([1], '["1970-01-01 00:00:00.000000001+00"]'),
    ),
    _arrow("list<int32>", pa.list_(pa.int32()), "list:number", ([1, None], '["1", null]')),
    _arrow("list<string>", pa.list_(pa.string()), "list:text", (["a,b", ""], '["a,b", ""]')),
    _arrow(
        "struct",
        pa.struct([("a", pa.int32()), ("b", pa.string())]),
        "tree",
        ({"a": 1, "b": "é"}, '{"a": 1, "b": "é"}'),
    ),
    _arrow("map", pa.map_(pa.string(), pa.int32()), "tree", ([("é", 1)], '{"é": 1}')),
)
