"""The HTML report: whole, self-contained, and deaf to what data says."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from prefect_etl.core.accounting import Accounting
from prefect_etl.core.aside import Repair
from prefect_etl.reporting.html import report_html
from prefect_etl.reporting.markup import Html, link, tag

VOID = {"meta", "br", "hr", "col"}


class Page(HTMLParser):
    """Reads a page, and checks that its elements are nested and closed."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.words, self.links = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, name, attributes):
        self.tags.append((name, dict(attributes)))
        if name not in VOID:
            self.open.append(name)
        if name == "a":
            self.links.append(dict(attributes)["href"])

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, text):
        if "style" not in self.open and "title" not in self.open:
            self.words.append(text)

    @property
    def text(self):
        return "".join(self.words)

    @property
    def names(self):
        return {name for name, _ in self.tags}


@pytest.mark.parametrize("kind", ["busy", "failed", "idle", "hostile"])
def test_every_report_is_a_well_formed_page(kind, request):
    page = Page(report_html(request.getfixturevalue(kind)))
    assert {"html", "head", "body", "main", "h1"} <= page.names
    assert ("html", {"lang": "en"}) in page.tags


@pytest.mark.parametrize("kind", ["busy", "failed", "idle", "hostile"])
def test_a_report_has_no_scripts_and_loads_nothing(kind, request):
    page = Page(report_html(request.getfixturevalue(kind)))
    assert not page.names & {"script", "link", "img", "iframe", "object", "form", "base"}
    assert not [key for _, given in page.tags for key in given if key.startswith("on")]
    assert not [given for _, given in page.tags if "src" in given]


def test_text_from_data_is_shown_and_never_obeyed(hostile):
    page = Page(report_html(hostile))
    assert '<script>alert("x")</script>' in page.text
    assert all(target.startswith(("http://", "https://", "file:///")) for target in page.links)
    assert "\x1b" not in page.text
    assert "\u202e" not in page.text


def test_every_row_is_accounted_for(busy):
    text = Page(report_html(busy)).text
    assert "27,004 read = 26,000 inserted + 900 updated + 100 unchanged + 4 superseded" in text
    assert text.count("adds up") == 3
    assert "does not add up" not in text


def test_rows_that_do_not_add_up_are_shouted_about(busy):
    wrong = replace(busy.datasets[0], counts=Accounting(read=5, inserted=4))
    text = Page(report_html(replace(busy, datasets=(wrong,)))).text
    assert "5 read \u2260 4 inserted" in text
    assert "does not add up" in text


def test_rows_of_a_failed_load_are_not_counted_as_loaded(failed):
    refused = replace(failed.datasets[1], counts=Accounting(read=9_999))
    report = replace(failed, datasets=(failed.datasets[0], refused))
    assert "9,999" not in Page(report_html(report)).text


def test_the_report_shows_schema_changes_contracts_and_quarantine(busy):
    text = Page(report_html(busy)).text
    assert "column flight widened from INTEGER to BIGINT" in text
    assert "tzone does not match (America|Pacific)/.*" in text
    assert "quarantine/airports/20260201T063000-7f3a.parquet" in text


def test_a_failure_shows_its_hint_and_the_failed_check(failed):
    text = Page(report_html(failed)).text
    assert "line 17 has 18 columns" in text
    assert "Correct the file, or leave it out of path." in text
    assert "unique: day 3 rows, such as 2013-01-01" in text


def test_an_idle_run_says_that_nothing_was_new(idle):
    text = Page(report_html(idle)).text
    assert "nothing read, nothing written" in text
    assert "Where every row went" not in text


def test_other_runs_are_listed_and_this_one_is_not(busy, idle):
    earlier = replace(idle, run_id="20260131T063000-0001")
    text = Page(report_html(busy, [busy, earlier])).text
    assert "20260131T063000-0001" in text
    assert text.count(busy.run_id) == Page(report_html(busy)).text.count(busy.run_id)


def test_tables_have_headers_for_columns_and_rows(busy):
    page = Page(report_html(busy))
    headers = [given for name, given in page.tags if name == "th"]
    assert {given["scope"] for given in headers} == {"col", "row"}
    cells = [given for name, given in page.tags if name == "td"]
    assert all(given.get("data-label") for given in cells)


def test_attributes_cannot_be_broken_out_of():
    assert tag("p", title='" onclick="x') == '<p title="&quot; onclick=&quot;x"></p>'


def test_only_markup_made_here_is_markup():
    assert tag("p", "<b>", Html("<i></i>"), [None, "&"]) == "<p>&lt;b&gt;<i></i>&amp;</p>"


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "//host", "ht!tp["])
def test_an_unsafe_address_is_not_a_link(address):
    assert "href" not in link("x", address)


def test_repairs_and_guesses_are_told(busy):
    mended = (
        Repair("csv.quote", "stray quotes are taken as they stand", 3, "a.csv", 7),
        Repair("csv.guess", "its encoding seems to be cp1252", 1, "b.csv"),
    )
    first, *others = busy.datasets
    page = Page(report_html(replace(busy, datasets=(replace(first, repairs=mended), *others))))
    assert "repaired a.csv: stray quotes are taken as they stand (3 times" in page.text
    assert "guessed b.csv: its encoding seems to be cp1252" in page.text
