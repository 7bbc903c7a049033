"""Contracts from pandera's models."""

from __future__ import annotations

import pandas as pd
import pandera.pandas as pa
import pytest

from prefect_etl.errors import ConfigError
from prefect_etl.pipeline.check_frame import check_frame
from prefect_etl.pipeline.pandera_models import contract_of

MODEL = """
import pandera.pandas as pa

class Rows(pa.DataFrameModel):
    id: int = pa.Field(ge=1, unique=True)
    name: str = pa.Field(isin=["a", "b"], nullable=True)
    code: str = pa.Field(str_matches="[A-Z]{3}", str_length={"max_value": 4})
    share: float = pa.Field(in_range={"min_value": 0, "max_value": 1, "include_max": False})
"""


def test_a_pipeline_file_may_name_a_model(project):
    (project.root / "rows_model.py").write_text(MODEL)
    project.dataset["contract"] = {"pandera": "rows_model:Rows", "rows": {"small": "id < 9"}}
    project.write(
        "a.csv",
        "id,name,code,share\n1,a,ABCd,0.5\n0,a,ABC,0\n2,c,ABC,0\n3,,abc,0\n4,b,ABC,1\n9,b,ABC,0.1\n",
    )
    report = project.load()
    assert (report.counts.inserted, report.counts.quarantined) == (1, 5)
    assert {rule.rule for rule in report.rules} == {
        "id.ge",
        "name.isin",
        "code.pattern",
        "share.lt",
        "rows.small",
    }


def test_what_breaks_a_model_is_what_pandera_says():
    namespace: dict[str, type[pa.DataFrameModel]] = {}
    exec(MODEL, namespace)
    model = namespace["Rows"]
    frame = pd.DataFrame(
        {
            "id": [1, 2, 2, 0],
            "name": ["a", None, "b", "x"],
            "code": ["ABC", "ABCDE", "abc", "XYZ"],
            "share": [0.0, 0.999, 1.0, -0.1],
        }
    )
    with pytest.raises(pa.errors.SchemaErrors) as raised:
        model.validate(frame, lazy=True)
    theirs = {index for index in raised.value.failure_cases["index"] if index is not None}
    _, failure = check_frame(frame, contract_of(model))
    assert set(failure.rows.index) == theirs - {1} | ({1} & theirs)


def test_a_check_without_a_counterpart_is_refused_by_name():
    schema = pa.DataFrameSchema({"n": pa.Column(int, pa.Check(lambda s: s > 0, name="odd_one"))})
    with pytest.raises(ConfigError, match=r"the check odd_one of n has no counterpart"):
        contract_of(schema)


def test_a_model_that_is_not_there_is_told_with_its_place(project):
    project.dataset["contract"] = {"pandera": "nowhere:Rows"}
    project.write("a.csv", "id\n1\n")
    with pytest.raises(ConfigError, match="nowhere"):
        project.load()
