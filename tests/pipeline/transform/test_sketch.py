"""What the text of a function tells of its parameters is what Python says of them."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import pytest

from prefect_etl.pipeline.transform.function import load_function
from prefect_etl.pipeline.transform.sketch import sketch_of


def shape(function: object) -> list[tuple[str, object, bool]]:
    parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    return [(p.name, p.kind, p.default is p.empty) for p in parameters]


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        "t",
        "t: pd.DataFrame, n: int = 3",
        "t: 'pd.DataFrame', /, u=None, *, day, last=None",
        "a, b=1, *rest, c, d=2, **more",
    ],
)
def test_a_sketch_has_the_signature_of_the_function(parameters: str, tmp_path: Path) -> None:
    text = f"import pandas as pd\n\ndef f({parameters}):\n    pass\n"
    (tmp_path / "sketched.py").write_text(text)
    sketch = sketch_of("sketched:f", tmp_path)
    assert sketch is not None
    assert shape(sketch) == shape(load_function("sketched:f", tmp_path))


def test_looking_at_a_function_imports_nothing(tmp_path: Path) -> None:
    (tmp_path / "unimported.py").write_text("raise KeyError\ndef f(t): ...\n")
    assert sketch_of("unimported:f", tmp_path) is not None
    assert "unimported" not in sys.modules


@pytest.mark.parametrize(
    "text",
    [
        "@wrapped\ndef f(t): ...",
        "def f(t): ...\ndef f(u): ...",
        "def f(t): ...\nf = wrapped(f)",
        "if True:\n    def f(t): ...",
        "def f(t: Flights): ...",
        "class f:\n    def __call__(self, t): ...",
        "from elsewhere import f",
        "def f(t",
    ],
)
def test_what_the_text_does_not_tell_for_sure_is_left_to_the_import(
    text: str, tmp_path: Path
) -> None:
    (tmp_path / "unsure.py").write_text(text)
    assert sketch_of("unsure:f", tmp_path) is None


def test_a_module_that_is_not_there_has_no_sketch(tmp_path: Path) -> None:
    assert sketch_of("nowhere:f", tmp_path) is None
