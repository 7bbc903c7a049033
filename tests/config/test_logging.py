import json
import logging
import subprocess
import sys
import threading

import pytest

from prefect_etl.config.logging_config import configure_logging, current_run_id, run_scope
from prefect_etl.config.secrets import register_secret
from prefect_etl.errors import ConfigError

log = logging.getLogger("prefect_etl.pipeline")


def lines(capsys):
    return capsys.readouterr().err.splitlines()


def test_a_console_line_is_short_and_carries_the_run(capsys):
    configure_logging("INFO", "console", "20130101T000000-ab12")
    log.info("loaded %d rows", 3)
    (line,) = lines(capsys)
    assert line.split(" ", 1)[1] == (
        "INFO    [20130101T000000-ab12] prefect_etl.pipeline: loaded 3 rows"
    )


def test_a_json_line_is_an_object_with_run_and_extras(capsys):
    configure_logging("INFO", "json", "r1")
    log.info("loaded", extra={"rows": 3, "dataset": "flights"})
    (line,) = map(json.loads, lines(capsys))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "logger": "prefect_etl.pipeline",
        "message": "loaded",
        "run_id": "r1",
        "rows": 3,
        "dataset": "flights",
    }


def test_lines_below_the_level_are_not_printed(capsys):
    configure_logging("WARNING")
    log.info("quiet")
    log.warning("loud")
    assert [line.rpartition(" ")[2] for line in lines(capsys)] == ["loud"]


def test_configuring_twice_prints_once_in_the_last_format(capsys):
    configure_logging("INFO", "console")
    configure_logging("INFO", "json")
    log.info("once")
    assert [json.loads(line)["message"] for line in lines(capsys)] == ["once"]


def test_a_scope_names_the_run_and_threads_fall_back_on_the_process(capsys):
    configure_logging("INFO", "json", "process")
    with run_scope("inner"):
        log.info("here")
        thread = threading.Thread(target=log.info, args=["there"])
        thread.start()
        thread.join()
    assert [json.loads(line)["run_id"] for line in lines(capsys)] == ["inner", "process"]
    assert current_run_id() == "process"


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_secret_reaches_a_line(capsys, form):
    configure_logging("INFO", form)
    register_secret("tr0ub4dor")
    log.info("open %s", "postgresql://etl:hunter2@db/ops")
    log.info("got tr0ub4dor", extra={"uri": "postgresql://etl:hunter2@db/ops"})
    try:
        raise RuntimeError("postgresql://etl:hunter2@db/ops: tr0ub4dor")  # noqa: TRY301
    except RuntimeError:
        log.exception("failed")
    text = capsys.readouterr().err
    assert "hunter2" not in text
    assert "tr0ub4dor" not in text
    assert "RuntimeError" in text


def test_other_handlers_get_no_secret_either(caplog):
    configure_logging("INFO")
    with caplog.at_level("INFO"):
        log.info("open %s", "postgresql://etl:hunter2@db/ops")
        log.info("plain %s", "text")
    assert caplog.messages == ["open postgresql://etl:***@db/ops", "plain text"]
    assert caplog.records[1].args == ("text",)


SCRIPT = """
import logging
{before}
from prefect_etl.config.logging_config import configure_logging
configure_logging("INFO", "json", "r1")
{after}
from prefect.logging import get_logger
get_logger("flow_runs").info("from a flow")
get_logger("client").info("from prefect://u:hunter2@h")
get_logger("_internal").error("from inside")
logging.getLogger("prefect_etl").info("from us")
"""


@pytest.mark.parametrize("order", ["before", "after"])
def test_prefects_loggers_join_whether_it_is_imported_before_or_after(order, tmp_path):
    parts = {"before": "", "after": ""} | {order: "import prefect.main"}
    if order == "after":
        parts["after"] += "\nconfigure_logging('INFO', 'json')"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(**parts)],
        env={"PREFECT_HOME": str(tmp_path), "PREFECT_LOGGING_TO_API_ENABLED": "false"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = [
        (line["message"], line["run_id"]) for line in map(json.loads, done.stderr.splitlines())
    ]
    assert found == [
        ("from a flow", "r1"),
        ("from prefect://u:***@h", "r1"),
        ("from inside", "r1"),
        ("from us", "r1"),
    ]
    assert done.stdout == ""


def test_an_error_of_ours_is_logged_without_traceback_but_for_debug(capsys):
    for level in ("INFO", "DEBUG"):
        configure_logging(level)
        try:
            raise ConfigError("bad key", hint="Mend it.")  # noqa: TRY301
        except ConfigError as error:
            log.exception("failed: %s", error.message)
        assert ("Traceback" in capsys.readouterr().err) is (level == "DEBUG")


def test_how_prefects_runs_end_is_left_to_the_caller_who_tells_it(capsys):
    configure_logging("INFO", outcomes=False)
    runs = logging.getLogger("prefect.flow_runs")
    runs.error("Finished in state Failed()")
    try:
        raise ConfigError("bad key")  # noqa: TRY301
    except ConfigError as error:
        runs.exception("Encountered exception during execution: %r", error)
    runs.warning("the user's own line")
    assert [line.rpartition(": ")[2] for line in lines(capsys)] == ["the user's own line"]
