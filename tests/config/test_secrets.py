import pytest

from prefect_etl.config.secrets import redact, register_secret, register_uri


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("postgresql://etl:pw@db:5432/ops", "postgresql://etl:***@db:5432/ops"),
        ("two a://u:one@h and b://v:two@i", "two a://u:***@h and b://v:***@i"),
        ("mysql://u:p@ss/wo:rd@db/x", "mysql://u:***@db/x"),
        ("'postgresql://u:p%40ss@db'", "'postgresql://u:***@db'"),
        ("https://ghp_sometoken@github.com/x", "https://***@github.com/x"),
        ("s3://b/k?X-Amz-Signature=abc&x=1", "s3://b/k?X-Amz-Signature=***&x=1"),
        ("host=db password=hunter2 user=etl", "host=db password=*** user=etl"),
        ("PGPASSWORD=hunter2 psql", "PGPASSWORD=*** psql"),
    ],
)
def test_a_secret_is_replaced_by_stars(text, clean):
    assert redact(text) == clean
    assert redact(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:4200/runs/flow-run/7d2e",
        "http://127.0.0.1:4200",
        "file:///home/me@work/data.csv",
        "duckdb:///warehouse.duckdb",
        "design=wide tokens read: 3",
        "12:30:01 loaded 3 rows",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact(text) == text


def test_a_registered_value_is_hidden_in_all_its_forms():
    register_secret("p@ss word")
    assert redact("got 'p@ss word' and p%40ss%20word") == "got '***' and ***"


def test_the_password_of_a_registered_uri_is_hidden_where_it_stands_alone():
    register_uri("postgresql://etl:p%40ssword@db/ops")
    assert redact("FATAL: p@ssword refused") == "FATAL: *** refused"


def test_a_registered_word_is_not_cut_out_of_longer_words():
    register_secret("postgres")
    assert redact("postgresql, postgres") == "postgresql, ***"


def test_a_very_short_value_is_not_registered():
    register_secret("a")
    assert redact("a cat") == "a cat"


def test_a_password_is_known_though_there_is_an_at_sign_further_on():
    register_uri("postgresql://etl:hun%zzter44@127.0.0.1:1/x?application_name=me@corp")
    assert redact('invalid token: "hun%zzter44"') == 'invalid token: "***"'
