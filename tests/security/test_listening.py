"""What listens, listens on the loopback address; what is wider asks for a password."""

import threading
import urllib.error
import urllib.request
from base64 import b64encode
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, make_server

import psutil
import pytest
from pydantic import SecretStr

from prefect_etl.config.settings import Settings, is_loopback, load_settings
from prefect_etl.errors import ConfigError
from prefect_etl.orchestration.metrics.password import guarded
from prefect_etl.orchestration.server.activity import is_foreign

WIDE = ["0.0.0.0", "::", "192.0.2.1", "10.0.0.1", "metrics.example", "", "127.0.0.1.example"]


@pytest.mark.parametrize("address", WIDE)
def test_metrics_are_shown_to_others_only_with_a_password(address, tmp_path):
    with pytest.raises(ConfigError, match="metrics_password") as caught:
        load_settings(tmp_path, metrics_port=0, metrics_address=address)
    assert "127.0.0.1" in str(caught.value)
    Settings(metrics_port=0, metrics_address=address, metrics_password=SecretStr("long enough"))


def test_a_password_of_the_metrics_that_is_refused_is_not_shown(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path, metrics_password="c4nary!")
    assert "c4nary" not in str(caught.value)


def test_metrics_need_no_password_on_this_machine():
    assert is_loopback(Settings(metrics_port=0).metrics_address)
    assert is_loopback("127.8.9.1")


def _answer(request: urllib.request.Request) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class _Quiet(WSGIRequestHandler):
    def log_message(self, format, *args):  # noqa: A002 - the name is of the standard library
        del format, args


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (None, 401),
        ("Basic " + b64encode(b"prefect-etl:wrong").decode(), 401),
        ("Basic " + b64encode(b"admin:right horse").decode(), 401),
        ("Bearer right horse", 401),
        ("Basic", 401),
        ("Basic \xff", 401),
        ("Basic " + b64encode(b"prefect-etl:right horse").decode(), 200),
    ],
)
def test_the_password_opens_the_metrics_and_nothing_else_does(given, status):
    def metrics(environ, start_response):
        del environ
        start_response("200 OK", [])
        return [b"rows 1\n"]

    server = make_server(
        "127.0.0.1", 0, guarded(metrics, SecretStr("right horse")), handler_class=_Quiet
    )
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    request = urllib.request.Request(f"http://127.0.0.1:{server.server_port}/metrics")
    if given is not None:
        request.add_header("Authorization", given)
    found, body = _answer(request)
    thread.join()
    server.server_close()
    assert found == status
    assert (b"rows" in body) == (status == 200)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example:4200"},
        {"host": "localhost@evil.example"},
        {"host": "[bad"},
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1.evil.example"},
        {"origin": "null"},
        {"origin": "file://"},
        {"origin": ""},
    ],
)
def test_a_page_of_another_site_is_a_foreigner(headers):
    sent = {"host": "127.0.0.1:4200"} | headers
    assert is_foreign({"headers": [(k.encode(), v.encode()) for k, v in sent.items()]})


def test_the_local_server_answers_this_machine_alone(prefect_server):
    process = psutil.Process(prefect_server.pid)
    heard = {c.laddr.ip for c in process.net_connections("inet") if c.status == "LISTEN"}
    assert heard == {"127.0.0.1"}
    own = prefect_server.ui_url

    def status(**headers: str) -> int:
        url = f"{prefect_server.url}/admin/version"
        return _answer(urllib.request.Request(url, headers=headers))[0]

    assert status() == 200
    assert status(Origin=own) == 200
    assert status(Origin=f"http://localhost:{urlsplit(own).port}") == 200
    assert status(Origin="https://evil.example") == 403
    assert status(Host="evil.example") == 403
