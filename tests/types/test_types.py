"""Each type of each source is in each destination what the page says, or refused as it says."""

from __future__ import annotations

import pytest
from page import PAGE, as_shown, cells
from pairs import measured, pairs, refused_of
from systems import DuckDB, Folder, MySQL, Postgres


@pytest.fixture
def servers(request):
    """Gives databases on the servers that a test asks for."""
    found = {}
    for kind, fixture in ((Postgres, "postgres"), (MySQL, "mariadb")):
        if kind in request.node.callspec.params["pair"]:
            server = request.getfixturevalue(fixture)
            found[kind] = lambda server=server: server.uri(server.new_database())
    return found


@pytest.mark.parametrize("pair", pairs(), ids=lambda pair: "-".join(kind.__name__ for kind in pair))
def test_the_page_says_what_becomes_of_each_type(pair, servers, tmp_path):
    """Where it does not: tests/types/generate.py writes it anew; look at what changed."""
    source, destination = pair
    shown = cells(PAGE.read_text(), source.title, destination.title)
    found = measured(source, destination, tmp_path, servers, refused_of(shown))
    assert {title: cell.changed for title, cell in found.items() if cell.changed} == {}
    assert as_shown(found) == shown


@pytest.mark.parametrize(
    "pair", [(Postgres, Postgres), (DuckDB, Folder)], ids=lambda pair: pair[1].__name__
)
def test_a_copy_without_a_pipeline_carries_as_much(pair, servers, tmp_path):
    """Within PostgreSQL even more: bytes go straight through."""
    source, destination = pair
    shown = cells(PAGE.read_text(), source.title, destination.title)
    refused = refused_of(shown)
    found = measured(source, destination, tmp_path, servers, refused, copies=True)
    assert {title: cell.changed for title, cell in found.items() if cell.changed} == {}
    same = {title: says for title, says in as_shown(found).items() if title not in refused}
    assert same == {title: says for title, says in shown.items() if title not in refused}
