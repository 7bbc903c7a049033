"""Small texts, and whether RFC 8259 takes them for JSON: after JSONTestSuite, made by code."""

from __future__ import annotations

from itertools import product

_SPACES = " \t\n\r"
_NO_SPACES = "\f\v\x00\x1c\x85\xa0\u2028\u3000\ufeff"


def accepted() -> dict[str, bytes]:
    """Texts that must be read."""
    numbers = [
        f"{sign}{whole}{fraction}{exponent}"
        for sign, whole, fraction, exponent in product(
            ("", "-"), ("0", "7", "123"), ("", ".0", ".25"), ("", "e3", "E+2", "e-02")
        )
    ]
    texts = [
        "",
        "a",
        " ",
        "é",
        "\u2028",
        "\x7f",
        "😀",
        "\uffff",
        "/",
        "'",
        "{}[],:",
        "null",
        "\\\\",
        '\\"',
        "\\/",
        "\\b\\f\\n\\r\\t",
        "\\u0041",
        "\\u00e9",
        "\\u00E9",
        "\\ud83d\\ude00",
        "\\uFFFF",
        "\\u2028",
        "\\u0022\\u005c",
        "\\\\u0041",
        "// no comment",
        "/* none */",
    ]
    values = ["null", "true", "false", *numbers, *[f'"{text}"' for text in texts]]
    nested = [
        "[]",
        "{}",
        "[[]]",
        "[{}]",
        '{"a":{}}',
        "[1,2]",
        '[null,"",[],{}]',
        '{"a":1,"b":[2,{"c":3}]}',
        '{"a b":1}',
        '{"é":1}',
        '{"\\u0061":1}',
        "[" * 50 + "]" * 50,
        '{"a":' * 50 + "1" + "}" * 50,
    ]
    spaced = [
        f"{space}[{space}1{space},{space}2{space}]{space}" for space in (*_SPACES, " \t\r\n")
    ] + [f'{{{space}"a"{space}:{space}1{space}}}' for space in _SPACES]
    return {text: text.encode() for text in (*values, *nested, *spaced)}


def refused() -> dict[str, bytes]:
    """Texts that must not be read."""
    numbers = _parts(
        "+1 01 -01 00 1. .1 -.1 1.e1 1e 1e+ 1E- 1e1.5 - -- --1 1-2 1+2 0x1 0b1 1_000 1,5 1f 1L "
        "NaN nan -NaN Infinity -Infinity inf -inf INF 1e5e5 1.2.3 0e 0.e1 2.e+3 -foo 1a 0xFG"
    )
    numbers += ["\u0661", "\uff11"]  # digits, but not JSON's
    words = _parts("True FALSE Null nul tru fals nulll truee undefined None yes a a1 TRUE")
    quotes = ["'a'", '"a', 'a"', '"', "'", "“a”", '"a""b"', '"a" "b"', "`a`"]
    controls = [f'"a{chr(code)}b"' for code in (0, 1, 9, 10, 11, 12, 13, 27, 31)]
    signs = ["a", "x41", "0", "'", "u", "u1", "u12", "u123", "uG000", "U0041", "v", " ", "é"]
    escapes = [f'"\\{sign}"' for sign in signs] + ['"\\']
    lists = _parts("[ ] [1 1] [1,] [,] [,1] [1,,2] [[] []] [1;2] [1:2] [(1)] [1} [1]] [1],")
    lists += ["[1 2]", "[1,", "[true", '["a', "[1] 2", "[] []", "[1]x", "[ , ]"]
    objects = _parts(
        '{ } {"a"} {"a":} {"a":1,} {,} {:1} {1:1} {a:1} {"a":1 {"a":1] {"a":1,,"b":2} {"a"1} '
        '{"a"=1} {"a"::1} {[]:1} {null:1} {"a":1}} {"a":1}, {\'a\':1} {"a":"b":1} {{}} '
        '{"a":1;"b":2}'
    )
    objects += ['{"a" "b"}', '{"a":1 "b":2}', '{"a":1} {"b":2}', '{"a":/**/1}', '{"a":1}//']
    others = ["", " ", "#", "//", "/* */", "# a", "1 # a", "<a/>", "a: 1", "- 1", "()", "*", ","]
    spaced = [f"[{space}]" for space in _NO_SPACES] + [f"1{space}" for space in _NO_SPACES]
    text = [*numbers, *words, *quotes, *controls, *escapes, *lists, *objects, *others, *spaced]
    invalid = [
        b"\xff",
        b"\x80",
        b"\xc0\xaf",
        b"\xe9",
        b"\xe2\x82",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xc3(",
    ]
    found = {case: case.encode() for case in text}
    return found | {f"bytes {data!r}": b'"' + data + b'"' for data in invalid}


def undecided() -> dict[str, tuple[bytes, str | None]]:
    """Texts that the RFC leaves open, with the rule by which they are put aside, or None."""
    pairs = _parts("\\ud800 \\udc00 \\ud800\\u0041 \\udc00\\ud800 a\\uD83Db \\ud800\\n")
    halves = {text: (f'"{text}"'.encode(), "json.surrogate") for text in pairs}
    deep = {
        f"{depth} lists": (b"[" * depth + b"]" * depth, "json.depth")
        for depth in (101, 500, 1500, 50_000)
    }
    numbers = _parts(
        "1e400 -1e400 1e-400 123456789012345678901234567890 -9223372036854775809 "
        "18446744073709551616 0.1234567890123456789 1e999999999 1e-999999999 4e-324 "
        "9007199254740993.5 100000000000000000000000000000000000000000000000001"
    )
    return {
        **halves,
        **deep,
        **{number: (number.encode(), None) for number in numbers},
        "NUL": (b'"\\u0000"', None),
        "twice": (b'{"a":1,"a":2}', None),
    }


def _parts(text: str) -> list[str]:
    return text.split()
