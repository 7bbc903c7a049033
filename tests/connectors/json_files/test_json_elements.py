"""Elements of a list that are read together are those that are read one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_etl.connectors.files.json.documents import Document
from prefect_etl.connectors.files.json.found import Found, Together
from prefect_etl.connectors.files.json.spelling import as_json

PLAIN = ['{"a": 1}', '{"a": "}, {"}', '{\n"b": [{"x": 1}, {"x": [2]}], "a": "é"}', '{"a":"\\\\"}']
ODD = [
    '{"a": 1, "a": 2}',
    '{"a": 0.12345678901234567890}',
    '{"a": "\\u0022"}',
    "null",
    "7",
    '{"": 1}',
    "[{}]",
    "{}",
    '{"a": "\\ud800"}',
    '{"a": "\udcff"}',
]
BROKEN = ["{", '{"a": oops}', "", '{"a": 1,}', "]", "[", '{"a": NaN}', '"', '{"a": 1} {"a": 2}']


def _told(text: bytes, *, together: bool) -> Iterator[Any]:
    """Values, with line and byte of what is not read together."""
    chunks = (text[at : at + 50_000] for at in range(0, len(text), 50_000))
    for found in Document(chunks, mend=False, together=together).records(()):
        if isinstance(found, Together):
            yield from (orjson.dumps(value) for value in found.values)
        elif found.fault or not isinstance(found.value, dict) or found.doubled:
            yield (found.line, found.byte, found.fault and found.fault.reason, found.value)
        elif "\\ud800" in found.text:
            yield (found.line, found.byte)
        else:
            yield as_json(found.value).encode()


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from([*ODD, *BROKEN]), max_size=4),
    st.randoms(use_true_random=False),
    st.sampled_from(["", "]", " ] \n", ', {"a', "]]", '] {"a": 3}']),
)
def test_elements_are_the_same_together_and_one_by_one(
    others: list[str], random: Any, end: str
) -> None:
    records = random.choices(PLAIN, k=600)
    for other in others:
        records.insert(random.randrange(len(records)), other)
    between = [random.choice([",", ", ", "\n,\n"]) for _ in records]
    pieces = (r + b for r, b in zip(records, between, strict=True))
    text = f"[{''.join(pieces)}{records[0]}{end}".encode("utf-8", "surrogateescape")
    assert list(_told(text, together=True)) == list(_told(text, together=False))


def test_elements_are_read_together() -> None:
    text = ("[" + ",".join(PLAIN * 500) + "]").encode()
    found = list(Document([text], mend=False, together=True).records(()))
    assert sum(isinstance(one, Found) for one in found) < 100
    assert sum(len(one.values) for one in found if isinstance(one, Together)) > 1900
