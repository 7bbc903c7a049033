"""Where metrics go: real ports, real sockets, dead and alive; each in a process of its own."""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

# No flow: what is recorded outside of flow runs is exported as well, and needs no server.
RECORD = """
    import time, urllib.request
    from prefect_etl.orchestration.metrics import exporters, metrics
    for _ in range(1000):
        metrics.counter("rows", tags={"table": "flights"})
    with metrics.timer("load"):
        pass
"""
SCRAPE = """
    text = urllib.request.urlopen(exporters.endpoint(), timeout=5).read().decode()
    print(exporters.endpoint())
    print(text)
"""


@pytest.fixture
def run(tmp_path) -> Callable[..., tuple[subprocess.CompletedProcess[str], float]]:
    def start(*parts: str, **environment: str):
        source = "".join(textwrap.dedent(part) for part in parts)
        clean = {name: value for name, value in os.environ.items() if "OTEL" not in name}
        clean.pop("_PREFECT_ETL_METRICS_RUN", None)
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", source],
            env=clean | {"PREFECT_ETL_HOME": str(tmp_path)} | environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        return done, time.monotonic() - begun

    return start


@contextmanager
def port(*, listening: bool) -> Iterator[int]:
    """A port of ours that nobody answers at, or where connections are taken and left alone."""
    with socket.socket() as ours:
        ours.bind(("127.0.0.1", 0))
        if listening:
            ours.listen(50)
        yield ours.getsockname()[1]


def test_prometheus_reads_what_was_recorded_at_a_free_port(run):
    done, _ = run(RECORD, SCRAPE, PREFECT_ETL_METRICS_PORT="0")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("http://127.0.0.1:")
    assert 'rows_total{table="flights"} 1000.0' in done.stdout
    assert "load_seconds_count 1.0" in done.stdout
    assert "# TYPE load_seconds histogram" in done.stdout
    assert done.stderr == ""


def test_the_endpoint_listens_on_loopback_only(run):
    program = """
        address = exporters.endpoint().split("/")[2].split(":")
        import socket
        for family, _, _, _, other in socket.getaddrinfo(socket.gethostname(), int(address[1])):
            if other[0].startswith("127.") or other[0] == "::1":
                continue
            with socket.socket(family) as client:
                client.settimeout(2)
                assert client.connect_ex(other) != 0, other
        print(address[0])
    """
    done, _ = run(RECORD, program, PREFECT_ETL_METRICS_PORT="0")
    assert done.stdout.strip() == "127.0.0.1", done.stderr


def test_a_wider_address_is_taken_with_a_password_that_is_asked_for(run):
    program = """
        import urllib.error
        from base64 import b64encode
        port = exporters.endpoint().rpartition(":")[2].split("/")[0]
        request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics")
        try:
            urllib.request.urlopen(request, timeout=5)
        except urllib.error.HTTPError as error:
            print(error.code)
        request.add_header("Authorization", "Basic " + b64encode(b"prefect-etl:pass-word").decode())
        print(exporters.endpoint(), "rows" in urllib.request.urlopen(request).read().decode())
    """
    done, _ = run(
        *(RECORD, program),
        PREFECT_ETL_METRICS_PORT="0",
        PREFECT_ETL_METRICS_ADDRESS="0.0.0.0",
        PREFECT_ETL_METRICS_PASSWORD="pass-word",
    )
    assert done.returncode == 0, done.stderr
    refused, told = done.stdout.splitlines()
    assert refused == "401"
    assert told.startswith("http://0.0.0.0:")
    assert told.endswith("True")


def test_a_busy_port_costs_one_warning(run):
    with port(listening=True) as busy:
        done, _ = run(RECORD, PREFECT_ETL_METRICS_PORT=str(busy))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("There is no Prometheus endpoint") == 1


def test_without_settings_nothing_is_exported_and_opentelemetry_not_imported(run):
    done, _ = run(
        RECORD,
        """
        import sys, threading
        assert exporters.endpoint() is None
        assert "opentelemetry.sdk" not in sys.modules
        assert threading.active_count() == 1
        """,
    )
    assert done.returncode == 0, done.stderr


class Collector(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.got.append((self.path, ExportMetricsServiceRequest.FromString(body)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        server.got = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("variable", ["PREFECT_ETL_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"])
def test_a_collector_gets_all_values_at_the_end_of_the_process(run, collector, variable):
    done, _ = run(RECORD, **{variable: f"http://127.0.0.1:{collector.server_port}"})
    assert done.returncode == 0, done.stderr
    path, request = collector.got[-1]
    assert path == "/v1/metrics"
    (resource,) = request.resource_metrics
    names = {a.key: a.value.string_value for a in resource.resource.attributes}
    assert names["service.name"] == "prefect_etl"
    found = {m.name: m for m in resource.scope_metrics[0].metrics}
    assert found["rows"].sum.data_points[0].as_double == 1000
    assert found["load_seconds"].unit == "s"
    assert found["load_seconds"].histogram.data_points[0].count == 1
    assert done.stderr == ""


@pytest.mark.parametrize("listening", [False, True], ids=["closed", "silent"])
def test_a_dead_collector_neither_slows_nor_fails(run, listening):
    during = """
        longest = 0.0
        until = time.monotonic() + 1
        while time.monotonic() < until:
            begun = time.thread_time()
            metrics.counter("rows", tags={"table": "flights"})
            longest = max(longest, time.thread_time() - begun)
        assert longest < 0.5, longest
    """
    timing = """
        import atexit, time
        ending = []
        atexit.register(lambda: print("stopped in", time.monotonic() - ending[0]))
    """
    last = """
        atexit.register(lambda: ending.append(time.monotonic()))
    """
    with port(listening=listening) as dead:
        done, _ = run(
            *(timing, RECORD, during, last),
            PREFECT_ETL_OTLP_ENDPOINT=f"http://127.0.0.1:{dead}",
            OTEL_METRIC_EXPORT_INTERVAL="100",
        )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) < 10  # two seconds, on a machine of our own
    assert 1 <= done.stderr.count("\n") <= 2, done.stderr
    assert "collector did not take the last metrics" in done.stderr


def test_a_missing_exporter_is_named_with_its_extra(run):
    hide = """
        import sys
        sys.modules["opentelemetry.exporter.otlp.proto.http"] = None
    """
    done, _ = run(hide, RECORD, PREFECT_ETL_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode != 0
    assert "pip install prefect-etl[otlp]" in done.stderr
    done, _ = run(hide, RECORD, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    assert "pip install prefect-etl[otlp]" in done.stderr


def test_a_fork_exports_nothing_of_its_parents(run, collector):
    fork = """
        import os
        if os.fork() == 0:
            metrics.counter("rows", 5, tags={"table": "flights"})
            raise SystemExit
        os.wait()
    """
    done, _ = run(
        *(RECORD, fork), PREFECT_ETL_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.server_port}"
    )
    assert done.returncode == 0, done.stderr
    assert len(collector.got) == 1


def test_a_provider_of_the_users_takes_the_place_of_ours(run):
    own = """
        from opentelemetry.sdk.metrics import MeterProvider
        from prefect_etl.utils.metrics import metrics
        metrics.export_to(MeterProvider(shutdown_on_exit=False))
    """
    done, _ = run(*(own, RECORD, "print(exporters.endpoint())"), PREFECT_ETL_METRICS_PORT="0")
    assert done.stdout.strip() == "None", done.stderr
