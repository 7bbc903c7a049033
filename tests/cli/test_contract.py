"""`prefect-etl contract infer`: a contract that the data keeps."""

import json
from datetime import date, datetime

import pyarrow as pa
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_etl.cli.main import main
from prefect_etl.pipeline.check_frame import check_frame
from prefect_etl.pipeline.inferring import infer

VALUES = {
    "n": st.integers(-(2**62), 2**62),
    "x": st.floats(),
    "s": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    "d": st.dates(),
    "t": st.datetimes(datetime.fromisoformat("1700-01-01"), datetime.fromisoformat("2200-01-01")),
    "b": st.booleans(),
}
TYPES = {"n": pa.int64(), "x": pa.float64(), "s": pa.string(), "d": pa.date32()}
TYPES |= {"t": pa.timestamp("us"), "b": pa.bool_()}


@st.composite
def tables(draw):
    rows = draw(st.integers(0, 6))
    columns = {
        name: draw(st.lists(st.none() | value, min_size=rows, max_size=rows))
        for name, value in VALUES.items()
    }
    schema = pa.schema(list(TYPES.items()))
    return pa.table({n: pa.array(v, TYPES[n]) for n, v in columns.items()}, schema=schema)


@settings(max_examples=40, deadline=None)
@given(tables())
def test_the_data_keeps_what_was_inferred_from_it_also_by_way_of_yaml(table):
    contract = yaml.safe_load(yaml.safe_dump(infer(table), sort_keys=False))
    _, failure = check_frame(table, contract)
    assert failure.rules == ()


def test_the_rules_are_worth_having(tmp_path, capsys):
    lines = [f"{n},{'EWR' if n % 2 else 'JFK'},2020-01-{n % 28 + 1:02d},{n / 4}" for n in range(60)]
    (tmp_path / "a.csv").write_text("id,origin,day,price\n" + "\n".join(lines) + "\n")
    assert main(["contract", "infer", "a.csv", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["contract"]
    assert found["columns"]["origin"] == {"nullable": False, "isin": ["EWR", "JFK"]}
    assert found["columns"]["day"]["ge"] == str(date(2020, 1, 1))
    assert found["columns"]["price"] == {"nullable": False, "ge": 0.0, "le": 14.75}
    assert found["table"] == {"unique": ["id"]}


def test_what_is_printed_is_yaml_for_the_pipeline_file(tmp_path, capsys):
    (tmp_path / "a.csv").write_text('"na:me\'s"\n"x: \'y\'"\n')
    assert main(["contract", "infer", "a.csv"]) == 0
    found = yaml.safe_load(capsys.readouterr().out)
    assert list(found["contract"]["columns"]) == ["na:me's"]
