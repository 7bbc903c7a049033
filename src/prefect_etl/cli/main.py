"""The program ``prefect-etl``: its commands, what it prints when one fails, its exit codes.

A command's module is imported when the command runs, so ``--help`` costs no engine and no Prefect.

Exit codes: 0 for success, 1 for a failed run, 2 for wrong use or configuration, 130 for Ctrl-C,
143 for SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from cyclopts import App, Parameter

from prefect_etl.cli.commands import COMMANDS, GROUPS, Command
from prefect_etl.cli.failure import INTERRUPTED, TERMINATED, Terminated, explain

_GLOBAL = """\
PIPELINE is ./pipeline.yaml if not given. Every command has --help with an example.
--debug, anywhere, shows the traceback of an error."""

# Prefect sends at exit what it has not sent yet.
_PATIENCE_SECONDS = 3.0


def make_app() -> App:
    """The command line, with nothing imported that its help does not need."""
    app = App(
        name="prefect-etl",
        help="ETL on Prefect 3: exactly-once, fast, observable.",
        help_epilogue=_GLOBAL,
        help_format="plaintext",
        version=_version,
        default_parameter=Parameter(negative=()),
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    for order, (name, command) in enumerate(COMMANDS.items()):
        _add(app, name, command, order)
    for name, (text, commands) in GROUPS.items():
        group = App(name=name, help=text, sort_key=len(COMMANDS))
        app.command(group)
        for order, (inner, command) in enumerate(commands.items()):
            _add(group, inner, command, order)
    return app


def _add(app: App, name: str, command: Command, order: int) -> None:
    app.command(
        f"prefect_etl.cli.{command.function}",
        name=name,
        help=command.help,
        help_epilogue=f"Example:\n  {command.example}",
        sort_key=order,
    )


def _version() -> str:
    from importlib.metadata import version

    return version("prefect-etl")


def main(tokens: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        tokens: The words after the program's name; those of this process if None.

    Returns:
        The exit code.
    """
    words = [*(sys.argv[1:] if tokens is None else tokens)]
    debug = _take_debug(words)
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        result = make_app()(words, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, `head` for one, has seen enough. Python would complain at exit, too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # rich saw it first
            return 0
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException as error:  # noqa: BLE001 - the outermost place: told, not swallowed
        code = explain(error, command=_command(words), debug=debug)
        if code in {INTERRUPTED, TERMINATED}:
            _end_soon(code)
        return code
    finally:
        signal.signal(signal.SIGTERM, previous)
    return result if isinstance(result, int) else 0


def _take_debug(words: list[str]) -> bool:
    options = words[: words.index("--")] if "--" in words else words
    found = "--debug" in options
    if found:
        words.remove("--debug")
    return found


def _command(words: Sequence[str]) -> str:
    """The command that was asked for, as far as it exists: for a hint."""
    first, second = [*words, "", ""][:2]
    if first in GROUPS and second in GROUPS[first][1]:
        return f"{first} {second}"
    return first if first in COMMANDS or first in GROUPS else ""


def _end_soon(code: int) -> None:
    """End the process even if a thread, a user's function for one, does not."""
    import threading

    timer = threading.Timer(_PATIENCE_SECONDS, os._exit, [code])
    timer.daemon = True
    timer.start()


def _terminate(_signal: int, _frame: object) -> NoReturn:
    raise Terminated
