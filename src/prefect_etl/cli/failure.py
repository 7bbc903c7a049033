"""How a command that failed is told: one line of what, one of what to do next, an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prefect_etl.cli.commands import COMMANDS, GROUPS
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.errors import ConfigError, EtlError, Fatal

FAILED, WRONG, INTERRUPTED, TERMINATED = 1, 2, 130, 143


# By name: importing asyncio and Prefect to tell them apart would cost more than the command.
_INTERRUPTS = frozenset({"KeyboardInterrupt", "CancelledError"})
_TERMINATIONS = frozenset({"Terminated", "TerminationSignal"})


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised like Ctrl-C so that everything open is closed."""


@contextmanager
def failures() -> Iterator[None]:
    """What goes wrong within is a failure: the command itself was used in the right way.

    Raises:
        Fatal: For what a server or a name in a database made a ``ConfigError``.
    """
    try:
        yield
    except ConfigError as error:
        raise Fatal(error.message, hint=error.hint) from error


def explain(error: BaseException, *, command: str = "", debug: bool = False) -> int:
    """Say on stderr what went wrong, and give the exit code.

    Args:
        error: What ended the command.
        command: The command's name, for the hint after wrong use.
        debug: Show the traceback, too.
    """
    if debug:
        _say("".join(traceback.format_exception(error)).rstrip())
    kind = type(error).__name__
    if kind in _INTERRUPTS | _TERMINATIONS:
        stopped = kind in _TERMINATIONS
        _say(f"{'Stopped' if stopped else 'Interrupted'}. Run again to go on where it ended.")
        return TERMINATED if stopped else INTERRUPTED
    if isinstance(error, EtlError):
        _error(error.message, error.hint)
        return WRONG if isinstance(error, ConfigError) else FAILED
    from cyclopts import CycloptsError, UnknownCommandError

    if isinstance(error, CycloptsError):
        # cyclopts would import the modules of all commands to say which is near.
        unknown = isinstance(error, UnknownCommandError)
        told = _unknown(command, error.unused_tokens) if unknown else str(error).strip()
        _error(told, f"See `{_program(command)} --help`.")
        return WRONG
    hint = None if debug else "This should not happen; --debug shows where it did."
    _error(f"{type(error).__name__}: {error}", hint)
    return FAILED


def _program(command: str) -> str:
    return f"prefect-etl {command}".strip()


def _unknown(group: str, tokens: Sequence[str] | None) -> str:
    known = GROUPS[group][1] if group in GROUPS else {**COMMANDS, **GROUPS}
    word = tokens[0] if tokens else ""
    return f"{_program(group)} has no command {word}{did_you_mean(word, known)}"


def _error(message: str, hint: str | None) -> None:
    _say(f"{_red('Error:')} {message}")
    if hint:
        _say(hint)


def _say(text: str) -> None:
    from prefect_etl.config.secrets import redact

    print(redact(text), file=sys.stderr)  # noqa: T201 - this is where errors are printed


def _red(text: str) -> str:
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    return f"\033[1;31m{text}\033[0m" if colour else text
