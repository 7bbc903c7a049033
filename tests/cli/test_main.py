import os
import re
import signal
import subprocess
import sys
import time

import pytest

from prefect_etl.cli import failure
from prefect_etl.cli.commands import COMMANDS, GROUPS
from prefect_etl.cli.main import main
from prefect_etl.config.secrets import register_secret
from prefect_etl.errors import ConfigError, StorageError

ALL = [[name] for name in COMMANDS] + [
    [group, name] for group, (_, commands) in GROUPS.items() for name in commands
]


def test_the_program_lists_its_commands(script):
    done = script("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert [name for name in [*COMMANDS, *GROUPS] if name not in done.stdout] == []


def test_help_imports_no_engine_no_prefect_and_no_settings():
    code = (
        "import sys; from prefect_etl.cli.main import main; main(['--help']);"
        "print([m for m in ('prefect', 'duckdb', 'pydantic', 'pyarrow', 'asyncio', 'yaml')"
        " if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_the_version_is_the_packages(script):
    from importlib.metadata import version

    assert script("--version").stdout.strip() == version("prefect-etl")


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_help_with_an_example(words, capsys):
    assert main([*words, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"Example:\n  prefect-etl {' '.join(words)}" in text


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_the_options_of_an_example_exist(words, capsys):
    group, name = [None, *words] if len(words) == 1 else words
    command = COMMANDS[name] if group is None else GROUPS[group][1][name]
    main([*words, "--help"])
    text = capsys.readouterr().out
    for option in re.findall(r"(?<!\S)--?\w[\w-]*", command.example):
        assert option in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rnu"], "prefect-etl has no command rnu; did you mean run?"),
        (["state", "shw"], "prefect-etl state has no command shw; did you mean show?"),
        (["run", "--lmit", "3"], "Unknown option: --lmit. Did you mean --limit?"),
        (["run", "--limit", "few"], 'Invalid value for --limit: unable to convert "few" into int.'),
        (["init"], 'Command "init" parameter DIR requires an argument.'),
    ],
)
def test_wrong_use_is_told_with_exit_code_2(words, message, capsys):
    assert main(words) == 2
    told = capsys.readouterr()
    assert told.err.splitlines()[0] == f"Error: {message}"
    assert re.search(r"See `prefect-etl.* --help`\.", told.err)
    assert told.out == ""


def test_a_missing_pipeline_file_is_wrong_use(capsys):
    assert main(["plan", "nowhere.yaml"]) == 2
    told = capsys.readouterr().err
    assert "Error: there is no pipeline file nowhere.yaml" in told
    assert "prefect-etl init" in told
    assert "Traceback" not in told


def test_debug_shows_the_traceback_wherever_it_stands(capsys):
    assert main(["plan", "--debug", "nowhere.yaml"]) == 2
    assert "Traceback" in capsys.readouterr().err
    assert main(["--debug", "plan", "nowhere.yaml"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (ConfigError("bad key", hint="Mend it."), 2, "Error: bad key\nMend it.\n"),
        (StorageError("disk full"), 1, "Error: disk full\n"),
        (KeyboardInterrupt(), 130, "Interrupted. Run again to go on where it ended.\n"),
        (failure.Terminated(), 143, "Stopped. Run again to go on where it ended.\n"),
        (
            ZeroDivisionError("oops"),
            1,
            "Error: ZeroDivisionError: oops\nThis should not happen; --debug shows where it did.\n",
        ),
    ],
)
def test_what_ends_a_command_decides_text_and_exit_code(error, code, text, capsys):
    assert failure.explain(error) == code
    assert capsys.readouterr().err == text


def test_errors_and_tracebacks_show_no_secret(capsys):
    register_secret("tr0ub4dor")
    failure.explain(ConfigError("postgresql://u:hunter2@h: tr0ub4dor refused"), debug=True)
    told = capsys.readouterr().err
    assert "hunter2" not in told
    assert "tr0ub4dor" not in told
    assert "postgresql://u:***@h" in told


def writing_to(pipe, reader):
    """Open a pipe for writing as soon as the process reads it."""
    while True:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            assert reader.poll() is None, reader.communicate()
            time.sleep(0.01)


@pytest.mark.parametrize(
    ("number", "code", "text"),
    [(signal.SIGINT, 130, "Interrupted."), (signal.SIGTERM, 143, "Stopped.")],
)
def test_a_signal_ends_the_program_with_one_line(number, code, text, tmp_path):
    # The program waits for a pipeline file that is a pipe, until it is told to stop.
    os.mkfifo(tmp_path / "pipe")
    program = (
        "import sys; from prefect_etl.cli.main import main; sys.exit(main(['doctor', 'pipe']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    descriptor = writing_to(tmp_path / "pipe", process)
    process.send_signal(number)
    _, told = process.communicate(timeout=30)
    os.close(descriptor)
    assert process.returncode == code
    assert told == f"{text} Run again to go on where it ended.\n"


def test_a_reader_that_leaves_early_is_no_error():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as gone:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; from prefect_etl.cli.main import main; sys.exit(main(['--help']))",
            ],
            stdout=gone,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
