"""Whatever is parsed is what it says it is, or is refused in words."""

import string

import pytest
from fuzz.targets import TARGETS, mapping
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_etl.errors import ConfigError
from prefect_etl.pipeline.spec.document import parse

# Text that means something to one parser or another.
_WORDS = st.sampled_from(
    [
        *("a,b\n", '"', "'", "\\", ";", "||", "\r\n", "\0", "#", "{", "}", "[", "]", ":", "-1e9"),
        *(
            "name: p\n",
            "&a ",
            "*a",
            "<<: ",
            "!!python/object:os.system ",
            "- ",
            "? ",
            "| ",
            "\ufeff",
        ),
        *("postgresql://", "duckdb:///", "file://", "u:p@h", "?password=x", "%", "%zz", "[::1]"),
        *("${A}", "$${", "${", "1 hour", "true", "1.5", "\ud7ff", "\U0010ffff", "ß", "İ"),
    ]
)
_TEXTS = st.lists(_WORDS | st.text(max_size=5), max_size=12).map("".join)
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS
_FIELDS = """
    connection datasets tables exclude defaults path table query key cursor write contract columns
    types where into schema before sql python function parameters format rules rename select drop
    cast lag column trusted bad_rows
"""
_KEYS = st.sampled_from(_FIELDS.split()) | _TEXTS | st.integers()
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4)
)
_SOURCES = st.dictionaries(
    _TEXTS,
    st.fixed_dictionaries(
        {
            "connection": st.sampled_from(["memory://x", "file://.", "postgresql://h/d", "x"]),
            "datasets": st.dictionaries(_TEXTS, _VALUES, max_size=3),
        }
    )
    | _VALUES,
    max_size=3,
)
_PIPELINES = st.fixed_dictionaries(
    {},
    optional={
        "name": _LEAVES,
        "destination": _LEAVES,
        "sources": _SOURCES | _VALUES,
        "transformations": st.dictionaries(_TEXTS, _VALUES, max_size=3) | _VALUES,
    },
)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=100)
@given(data=_TEXTS.map(lambda text: text.encode("utf-8", "replace")) | st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(name, data):
    TARGETS[name](data)


@settings(max_examples=200)
@given(value=_PIPELINES)
def test_any_mapping_is_a_pipeline_or_wrong_in_words(value):
    mapping(value)


_HARMFUL = {
    "an object": "name: !!python/object/apply:os.system ['true']",
    "a module": "name: !!python/name:os.system",
    "laughs": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(
        f"{two}: &{two} [{','.join([f'*{one}'] * 9)}]\n"
        for one, two in zip(string.ascii_lowercase[:9], string.ascii_lowercase[1:10], strict=True)
    ),
    "merges": "b0: &b0 {k: 1}\n"
    + "".join(f"b{n}: &b{n} {{<<: [{','.join([f'*b{n - 1}'] * 9)}]}}\n" for n in range(1, 12)),
    "itself": "a: &a [*a]",
    "depth": "[" * 100_000,
    "depth of mappings": "".join(" " * n + "a:\n" for n in range(300)),
    "breadth": "x: [" + "1," * 300_000 + "]",
    "length": "x: " + "a" * 11_000_000,
    "two documents": "a: 1\n---\nb: 2",
    "NUL": "name: a\0b",
}


@pytest.mark.parametrize("text", _HARMFUL.values(), ids=_HARMFUL)
def test_a_harmful_document_is_refused_at_once(text):
    with pytest.raises(ConfigError, match=r"p\.yaml"):
        _read(text)


def _read(text: str) -> None:
    document = parse(text, "p.yaml")
    if document.mistakes:
        raise document.error(document.mistakes)
