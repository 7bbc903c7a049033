"""Names and values from data are only names and values, in every destination."""

import naughty
import pyarrow as pa

VALUES = list(naughty.naughty())


def test_there_are_enough_of_them():
    assert len(VALUES) >= 500
    assert len(naughty.apart()) >= 500


def test_a_value_arrives_as_it_was(target):
    frame = pa.table({"id": range(len(VALUES)), "value": VALUES})
    (report,) = target.load({"t": {"write": "merge", "key": "id"}}, {"t": frame})
    assert report.status == "loaded", report.reason
    assert {row["id"]: row["value"] for row in target.rows("t")} == dict(enumerate(VALUES))


def test_a_value_is_found_again_as_a_key(target):
    dataset = {"t": {"write": "merge", "key": "value"}}
    for turn in (1, 2):
        frame = pa.table({"value": VALUES, "turn": [turn] * len(VALUES)})
        (report,) = target.load(dataset, {"t": frame})
        assert report.status == "loaded", report.reason
    assert report.counts.updated == len(VALUES)
    assert {row["value"]: row["turn"] for row in target.rows("t")} == dict.fromkeys(VALUES, 2)


def test_a_column_has_the_name_that_it_was_given(target):
    cannot = {*naughty.REFUSED, *naughty.REFUSED_BY[target.name]}
    names = [name for name in naughty.apart() if name not in cannot]
    frame = pa.table({name: [place] for place, name in enumerate(names)})
    (report,) = target.load({"t": {}}, {"t": frame})
    assert report.status == "loaded", report.reason
    assert target.rows("t") == [{name: place for place, name in enumerate(names)}]


def test_a_table_has_the_name_that_it_was_given(target):
    names = naughty.tables()
    reports = target.load({name: {"table": "t"} for name in names}, {"t": [{"v": 1}]})
    assert [report.reason for report in reports if report.status != "loaded"] == []
    assert [name for name in names if target.rows(name) != [{"v": 1}]] == []


def test_a_name_that_cannot_be_is_refused_in_words(target):
    cannot = [*naughty.REFUSED_BY[target.name], *naughty.REFUSED]
    datasets = {f"t{place}": {"table": f"f{place}"} for place in range(len(cannot))}
    frames = {f"f{place}": [{"id": 1, name: 2}] for place, name in enumerate(cannot)}
    for name, report in zip(cannot, target.load(datasets, frames), strict=True):
        assert report.status == "failed", name
        assert name in report.reason
        assert "rename" in report.hint or "another name" in report.hint, report.hint


def test_two_names_that_a_destination_would_merge_are_refused(target):
    frames = {f"f{n}": [dict.fromkeys(pair, 1)] for n, pair in enumerate(naughty.TWINS)}
    reports = target.load({f"t{n}": {"table": f"f{n}"} for n in range(len(frames))}, frames)
    for (one, other), report in zip(naughty.TWINS, reports, strict=True):
        assert report.status == "failed"
        assert f"{one!r} and {other!r}" in report.reason
