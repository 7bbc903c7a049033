from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from prefect_etl.utils.metrics.journal import Journal, JournalReader
from prefect_etl.utils.metrics.runs import RunMetrics
from prefect_etl.utils.metrics.scopes import for_other_process

values = st.floats(0, 1e12)
calls = st.lists(
    st.tuples(
        st.sampled_from([("counter", "c"), ("gauge", "g"), ("histogram", "h")]),
        st.dictionaries(st.sampled_from(["a", "b"]), st.text(max_size=5)),
        values,
    ),
    max_size=30,
)


def without_times(run: RunMetrics) -> list[dict[str, object]]:
    return [{key: s[key] for key in s if key != "time"} for s in run.as_list()]


@given(calls, st.integers(1, 50))
def test_a_journal_in_any_pieces_says_what_was_recorded(calls, piece):
    lines: list[str] = []
    here, there, read = RunMetrics(), RunMetrics(journal=Journal(lines.append)), RunMetrics()
    for (kind, name), tags, value in calls:
        here.recorder(kind, name, tags)(value)
        there.recorder(kind, name, tags)(value)
    data, reader = "".join(lines).encode(), JournalReader()
    for start in range(0, len(data), piece):
        for line in reader.lines(data[start : start + piece]):
            read.take(*line)
    assert without_times(read) == without_times(here)


@given(st.binary(max_size=200))
def test_a_damaged_journal_is_read_as_far_as_it_is_whole(noise):
    lines: list[str] = []
    there, read = RunMetrics(journal=Journal(lines.append)), RunMetrics()
    there.recorder("counter", "rows")(1)
    data = lines[0].encode() + noise + b"\n" + lines[1].encode()
    for line in JournalReader().lines(data):
        read.take(*line)
    assert [s["value"] for s in read.as_list() if s["name"] == "rows_total"][:1] >= [1]


def test_a_definition_from_a_stranger_is_no_other_kind_or_name():
    reader = JournalReader()
    head = b'{"series": 0, "unit": "", "description": "", "buckets": [], "tags": {}, '
    wrong = [b'"name": "a b", "kind": "gauge"}', b'"name": "a", "kind": "odd"}', b'"name": 1}']
    for part in wrong:
        assert list(reader.lines(head + part + b"\n0 1 1\n")) == []


def test_a_gauge_of_another_process_does_not_replace_a_younger_value():
    run = RunMetrics()
    record = run.recorder("gauge", "queue")
    record(2.0)
    ((metric),) = [run._metrics["queue"]]
    run.take(metric, (), 1.0, 1000.0)
    assert run.as_list()[0]["value"] == 2.0


def test_a_metric_that_fits_with_none_of_the_runs_is_left_out_with_a_warning(tmp_path, caplog):
    run = RunMetrics("x", folder=tmp_path)
    run.recorder("gauge", "size")(1)
    for_other_process(tmp_path).recorder("histogram", "size")(1)
    run.collect()
    assert [s["kind"] for s in run.as_list()] == ["gauge"]
    assert "size exists already" in caplog.text


def test_a_folder_that_is_gone_loses_values_with_one_warning(tmp_path: Path, caplog):
    other = for_other_process(tmp_path / "gone")
    for _ in range(3):
        other.recorder("counter", "rows")(1)
    assert len(caplog.messages) == 1


def test_what_was_kept_is_gone_on_from():
    run, again = RunMetrics(), RunMetrics()
    for kind in ("counter", "gauge", "histogram"):
        run.recorder(kind, f"a_{kind}", {"x": "1"})(2)
    again.restore(run.as_list())
    assert again.as_list() == run.as_list()
    again.recorder("counter", "a_counter", {"x": "1"})(3)
    assert again.as_list()[0]["value"] == 5
