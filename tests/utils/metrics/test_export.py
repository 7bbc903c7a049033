from __future__ import annotations

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from prefect_etl.utils.metrics import metrics, scopes
from prefect_etl.utils.metrics.runs import RunMetrics
from prefect_etl.utils.metrics.scopes import for_other_process


@pytest.fixture
def scrape(run):
    registry = CollectorRegistry()
    reader = PrometheusMetricReader(registry=registry, scope_info_enabled=False)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    metrics.export_to(provider)

    def samples() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        families = text_string_to_metric_families(generate_latest(registry).decode())
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }

    yield samples
    metrics.export_to(None)
    provider.shutdown()
    scopes._users_own = False


def test_prometheus_sees_each_kind_under_its_name_with_the_flow(scrape):
    metrics.gauge("records_processed", 3, tags={"environment": "production"})
    metrics.counter("rows", 5)
    metrics.histogram("size", 2, buckets=[1, 4], unit="bytes")
    with metrics.timer("processing_time"):
        pass
    found = scrape()
    flow = ("flow", "nightly")
    assert found["records_processed", (("environment", "production"), flow)] == 3
    assert found["rows_total", (flow,)] == 5
    assert found["size_bytes_bucket", (flow, ("le", "1.0"))] == 0
    assert found["size_bytes_bucket", (flow, ("le", "4.0"))] == 1
    assert found["size_bytes_sum", (flow,)] == 2
    assert found["processing_time_seconds_count", (flow,)] == 1


def test_a_tag_called_flow_is_the_users(scrape):
    metrics.gauge("queue", 1, {"flow": "mine"})
    assert scrape()["queue", (("flow", "mine"),)] == 1


def test_values_of_other_processes_are_exported_by_the_runs(scrape, run, tmp_path):
    other = for_other_process(tmp_path)
    other.recorder("counter", "rows")(7)
    other.recorder("histogram", "size")(7)
    run.collect()
    assert scrape()["rows_total", (("flow", "nightly"),)] == 7
    assert scrape()["size_sum", (("flow", "nightly"),)] == 7


def test_what_exists_already_is_exported_from_now_on(run):
    metrics.counter("rows", 5)
    reader = InMemoryMetricReader()
    metrics.export_to(MeterProvider([reader], shutdown_on_exit=False))
    metrics.counter("rows", 2)
    (resource,) = reader.get_metrics_data().resource_metrics
    (metric,) = resource.scope_metrics[0].metrics
    assert [point.value for point in metric.data.data_points] == [2]
    scopes._users_own = False


def test_a_name_that_another_flow_has_as_another_kind_is_not_exported(scrape, caplog):
    metrics.gauge("size", 1)
    other = RunMetrics("2", "other")
    other.export_through(scopes._bridge)
    other.recorder("histogram", "size")(1)
    assert "size is not exported" in caplog.text
    assert scrape()["size", (("flow", "nightly"),)] == 1


def test_the_global_meter_provider_is_left_alone(run):
    from opentelemetry import metrics as theirs

    before = theirs.get_meter_provider()
    metrics.gauge("queue", 1)
    assert theirs.get_meter_provider() is before
