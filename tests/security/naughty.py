r"""Strings that have broken programs, by category: names and values for every destination.

Made by rules rather than copied, so that each category says what it is for. Nothing in here holds a
NUL, which no database takes in a name; those are :data:`NUL`.
"""

# ruff: noqa: RUF001 - letters that look like others are what is tried here

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping

CANARY = "canary"
# What an injection would run, and what it would have to close before.
_STATEMENTS = (
    f"DROP TABLE {CANARY}",
    f"DELETE FROM {CANARY}",
    f"UPDATE {CANARY} SET id = 0",
    f"ALTER TABLE {CANARY} RENAME TO gone",
    f"CREATE OR REPLACE TABLE {CANARY} AS SELECT 0 AS id",
)
_CLOSERS = ("", "'", '"', "`", ")", "'))", '")', "]", "''", '""', "\\'", '\\"', "$$", "*/", "\n")
_COMMENTS = (" --", " #", " /*")
_DIALECTS = (
    "'; COPY (SELECT 1) TO PROGRAM 'touch /tmp/owned'; --",
    "'||pg_sleep(9)||'",
    "$tag$; DROP TABLE canary; $tag$",
    "E'\\047; DROP TABLE canary; --'",
    "U&'\\0027; DROP TABLE canary'",
    "'; SELECT load_extension('x'); --",
    "'; ATTACH DATABASE '/tmp/owned' AS o; --",
    "'; PRAGMA writable_schema=1; --",
    "'; INSTALL httpfs; LOAD httpfs; --",
    "'; COPY canary TO '/tmp/owned.csv'; --",
    "'; SET enable_external_access=true; --",
    "read_text('/etc/passwd')",
    "getenv('HOME')",
    "1 OR 1=1",
    "' OR ''='",
    '" OR ""="',
    "' UNION SELECT * FROM canary --",
    "x' AND 1=(SELECT count(*) FROM canary) --",
    "'; LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE canary; #",
    "/*!50000 DROP TABLE canary */",
    "0x27; DROP TABLE canary",
    "%27; DROP TABLE canary; --",
    "\u02bc; DROP TABLE canary; --",
    "\uff07; DROP TABLE canary; --",
    "\u2019 OR \u20191\u2019=\u20191",
    "COLUMNS(*)",
    "* EXCLUDE (id)",
    "id; id",
    "id, id",
    "id AS other",
    "(SELECT id)",
    "canary.id",
    '"canary"."id"',
    "::text",
    "a::int",
    "?",
    "$1",
    ":name",
    "@variable",
    "%s",
    "%(name)s",
    "{}",
    "{0}",
    "{name!r}",
    "%n%n%n",
    "%%",
    "\\g",
    "\\copy canary",
    ".tables",
)
_WORDS = """
    select from where group order by having table column index view trigger primary key foreign
    references check default null true false and or not in between like is case when then else end
    cast union all distinct limit offset with as on using join natural left right full cross inner
    outer values insert update delete set create drop alter grant revoke user current_user
    current_date current_timestamp session_user localtime interval array row rowid oid ctid xmin
    cmin xmax cmax tableoid _rowid_ main temp public information_schema pg_catalog sqlite_master
    excluded new old action file_row_number file_index filename hive_partitioning etl_file
    etl_index etl_number etl_rows rows source target staging stage load unit units given t q s r
"""
_TEMPLATES = (
    "{{7*7}}",
    "{% raw %}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}",
    "{{ config.items() }}",
    "${HOME}",
    "$HOME",
    "${7*7}",
    "#{7*7}",
    "<%= 7*7 %>",
    "${jndi:ldap://127.0.0.1/a}",
    "{{prefect.runtime}}",
    "{{ prefect.blocks.secret.x }}",
    "{{ $PATH }}",
    "{run_id}",
    "{name}",
    "{0.__class__}",
)
_MARKUP = (
    "<script>alert(1)</script>",
    "</td></tr></table><h1>owned",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    '"><script>alert(1)</script>',
    "javascript:alert(1)",
    "<!--",
    "-->",
    "<![CDATA[x]]>",
    "&lt;&#x3C;&amp;",
    "<style>*{display:none}</style>",
    "[red]text[/red]",
    "[/]",
    "[bold",
    "[link=http://127.0.0.1]x[/link]",
    "[@click=app.bell]x[/]",
    "\\[red]",
    ":bomb:",
    "| a | b |",
    "**bold**",
    "# heading",
    "![x](http://127.0.0.1/pixel)",
    "[x](javascript:alert(1))",
    "`code`",
    "```",
    "---",
    "<details>",
    "\\",
    "\\\\",
    "a\\",
)
_SHELL = (
    "$(touch /tmp/owned)",
    "`touch /tmp/owned`",
    "; touch /tmp/owned",
    "| cat /etc/passwd",
    "&& true",
    "> /tmp/owned",
    "-rf",
    "--help",
    "-",
    "--",
    "!!",
    "~",
    "~root",
    "*",
    "a b",
    "a\tb",
    "a=b",
    "#",
)
_FORMULAS = (
    "=1+1",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://127.0.0.1","x")',
    "+1+1",
    "-1+1",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    "%=1",
    "|cmd",
    "＝1+1",
)
_PATHS = (
    ".",
    "..",
    "...",
    "../x",
    "../../../../tmp/owned",
    "..\\x",
    "/etc/passwd",
    "/",
    "//",
    "a/b",
    "a\\b",
    "./a",
    "a/../b",
    "file:///etc/passwd",
    "C:\\Windows",
    "\\\\host\\share",
    "%2e%2e%2f",
    "..%2fx",
    "..;/x",
    ".hidden",
    "a.",
    "a ",
    "~/x",
    "a:b",
    "a?b",
    "a*b",
    "a[b]c",
    "a=b/c=d",
    "a%b",
    "_ledger.json",
    ".versions",
    "lock",
)
_WINDOWS = ("CON", "PRN", "AUX", "NUL", "COM1", "LPT1", "con.txt", "nul.parquet", "aux.", "COM¹")
_BLANKS = (
    " ",
    "  ",
    "\t",
    "\n",
    "\r\n",
    "\v",
    "\f",
    " lead",
    "trail ",
    "\tlead",
    "trail\n",
    "two\nlines",
    "two\r\nlines",
    "two\rlines",
    "\u00a0",
    "\u2003",
    "\u3000",
    "\u2028",
    "\u2029",
    "\x85",
    "a\u00a0b",
    "\ufeffbom",
)
_NUMBERS = (
    "0",
    "-0",
    "00",
    "007",
    "1",
    "1.0",
    "1e5",
    "1E-400",
    "1e400",
    "0x10",
    "0b1",
    "0o7",
    "1_000",
    "1,000",
    "1.000,5",
    "½",
    "①",
    "٣",
    "१",
    "NaN",
    "nan",
    "Infinity",
    "-inf",
    "+1",
    "1/0",
    "99999999999999999999999999",
    "-9223372036854775808",
    "9223372036854775808",
    "0.1e",
    "1 2",
    "１２",
    "-",
    "+",
    ".",
    "e",
)
_DATES = (
    "2024-02-30",
    "2024-02-29",
    "0000-00-00",
    "9999-12-31",
    "infinity",
    "-infinity",
    "epoch",
    "now",
    "today",
    "tomorrow",
    "yesterday",
    "allballs",
    "24:00:00",
    "12:60",
    "1/2/3",
    "2024-W01",
    "1970-01-01T00:00:00Z",
    "January",
    "10000-01-01",
    "4714-11-24 BC",
)
_NULLS = (
    "null",
    "NULL",
    "None",
    "nil",
    "undefined",
    "NA",
    "N/A",
    "\\N",
    "<NA>",
    "NaT",
    "true",
    "TRUE",
    "no",
    "off",
    "y",
    "{}",
    "[]",
    "[1,2]",
    '{"a": 1}',
    '"',
    "'",
    "`",
    '""',
    "''",
    '"""',
    '"a"',
    "'a'",
    '"a',
    'a"b""c',
    "it's",
    ",",
    ";",
    "|",
    "a,b",
    '","',
    '"\n"',
)
_DIRECTIONS = (
    "\u202egnp.exe",
    "\u202dabc\u202c",
    "\u2066abc\u2069",
    "\u200f",
    "\u200e",
    "שלום",
    "مرحبا",
    "a\u200bb",
    "\u200b",
    "\u200c",
    "\u200d",
    "\u2060",
    "\u00adsoft",
    "\ufe0f",
    "\U000e0001",
    "\U000e0041\U000e0042",
    "\u061c",
    "\u180e",
)
_SYMBOLS = (
    "🙂",
    "👨‍👩‍👧‍👦",
    "🏳️‍🌈",
    "🇳🇱",
    "👍🏿",
    "1️⃣",
    "北京",
    "東京都",
    "서울",
    "ελληνικά",
    "русский",
    "ไทย",
    "हिन्दी",
    "ქართული",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    "𐍈",
    "𝒳",
    "\U0010fffd",
    "\ue000",
    "\ufffd",
    "\ufffe",
    "\uffff",
    "\ufdd0",
    "Z̴̡͎͈ä̷l̵g̶o̸",
    "ﷺ",
    "⁰¹²",
    "™",
    "ﬀ",
    "K",
    "Å",
    "\\ud83d\\ude00",
    "\\ud800",
    "\\u0000",
    "\\x00",
    "%00",
    "&#0;",
    "ÿ",
    "Ã¶",
    "â€™",
    "\x80",
    "\x9b31m",
)
_ESCAPES = (
    "\x1b[31mred",
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\x1b]8;;http://127.0.0.1\x1b\\x",
    "\x1b[6n",
    "\x1bc",
    "\x1b]52;c;b3duZWQ=\x07",
    "\x9b2J",
    "\x07",
    "\b\b\b",
    "\x1b[1A\x1b[2K",
    "\x7f",
    "\x1a",
)
_CASES = ("Case", "case", "CASE", "cAsE", "ß", "SS", "ss", "İ", "i̇", "I", "ı", "ſ", "Σ", "ς", "σ")


def _injections() -> Iterator[str]:
    for closer in _CLOSERS:
        for statement in _STATEMENTS:
            yield f"x{closer}; {statement};{_COMMENTS[len(closer) % 3]}"
    for name in (CANARY, "main", "public"):
        yield from (f'"{name}"', f"{name};", f"{name}--", f"{name}/*", f"'{name}'", f"[{name}]")


def _twins() -> Iterator[str]:
    """One word in each normal form; they look alike and are not."""
    for word in ("Ærø", "naïve", "Å", "한국", "ﬁle", "ｆｕｌｌ", "dž", "ḍ̇"):
        yield from (unicodedata.normalize(form, word) for form in ("NFC", "NFD", "NFKC", "NFKD"))


def _long() -> Iterator[str]:
    for size in (62, 63, 64, 65, 127, 128, 129, 255, 256, 1_000, 10_000):
        yield "n" * size
        yield "é" * (size // 2)
    yield from ("n" * 62 + "é", "n" * 61 + "🙂", "n" * 63 + "1", "n" * 63 + "2")


_ALL: Mapping[str, tuple[str, ...]] = {
    "injection": tuple(_injections()),
    "dialect": _DIALECTS,
    "reserved": tuple(_WORDS.split()),
    "template": _TEMPLATES,
    "markup": _MARKUP,
    "shell": _SHELL,
    "formula": _FORMULAS,
    "path": _PATHS,
    "windows": _WINDOWS,
    "blank": _BLANKS,
    "number": _NUMBERS,
    "date": _DATES,
    "null": _NULLS,
    "direction": _DIRECTIONS,
    "symbol": _SYMBOLS,
    "control": tuple(f"a{chr(code)}b" for code in (*range(1, 32), 127, 0x80, 0x9F)),
    "escape": _ESCAPES,
    "case": _CASES,
    "twin": tuple(_twins()),
    "long": tuple(_long()),
}

NUL = ("\0", "a\0b", "\0a", "a\0", "'\0; DROP TABLE canary; --")


def naughty() -> dict[str, str]:
    """Each string once, with the category that it came from."""
    found: dict[str, str] = {}
    for category, strings in _ALL.items():
        for string in strings:
            found.setdefault(string, category)
    return found


def apart() -> list[str]:
    """Those that can be columns of one table: no two alike but for case, none too long."""
    found: dict[str, str] = {}
    for name in naughty():
        if len(name.encode()) <= 63:
            found.setdefault(name.casefold(), name)
    return list({name.lower(): name for name in found.values()}.values())


def of_each(most: int) -> list[str]:
    """The first ones of each category, for what is too slow for all."""
    return [string for strings in _ALL.values() for string in strings[:most]]


def tables() -> list[str]:
    """Some of each category, as names of tables of one pipeline."""
    wanted = (name for name in of_each(4) if len(name.encode()) <= 63)
    return list({name.casefold(): name for name in wanted}.values())


# Names by which rows are numbered on their way, and those that our own columns have.
REFUSED = ("file_row_number", "File_Row_Number", "_etl_unit", "_ETL_UNIT", "_etl_row", "_etl_x")
_OF_POSTGRES = ("ctid", "xmin", "cmin", "xmax", "cmax", "tableoid")
_TOO_LONG = ("n" * 64, "é" * 32, "n" * 62 + "é", "n" * 10_000)
# What only some destinations cannot hold.
REFUSED_BY: Mapping[str, tuple[str, ...]] = {
    "memory": (),
    "duckdb": (),
    "sqlite": (),
    "parquetfolder": (),
    "postgres": (*_OF_POSTGRES, *_TOO_LONG),
}
# Alike for a database that does not look at case.
TWINS = (("Case", "case"), ("ÉTÉ", "été"), ("'; --A", "'; --a"))
