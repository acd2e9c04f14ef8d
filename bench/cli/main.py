"""The command line: parse, run, print, and exit with the right code."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

import click

from bench.cli.compare import compare
from bench.cli.exits import FAILED, INTERRUPTED, OK, WRONG_USE, fail
from bench.cli.load_test import load_test
from bench.cli.program import program_name
from bench.cli.recompute import report
from bench.cli.selftest import selftest
from bench.cli.usage_errors import explain
from bench.load.settings import LoadSettings, OutputError, UsageError

COMMANDS = {"compare": compare, "report": report, "selftest": selftest}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `python -m bench`."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    _open_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # an ASCII terminal shows ? for ✔, and nothing breaks
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe has closed it
        _abandon_output()
        code = FAILED
    except OutputError as error:
        code = fail(str(error), FAILED)
        try:
            sys.stdout.flush()
        except OSError:
            _abandon_output()
    sys.exit(code)


def _abandon_output() -> None:
    """Discard what standard output still buffers: writing it at exit would fail again."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_standard_streams() -> None:
    """Open the standard streams that the caller closed (`>&-`), so that no socket gets the number of one."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # uses the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115


def _dispatch(arguments: list[str]) -> int:
    name = arguments[0] if arguments and arguments[0] in COMMANDS else None
    command, rest = (load_test, arguments) if name is None else (COMMANDS[name], arguments[1:])
    try:
        program = program_name() + (f" {name}" if name else "")
        outcome = command.main(rest, prog_name=program, standalone_mode=False, obj=rest)
        if isinstance(outcome, LoadSettings):
            from bench.cli.runner import run_load_test

            return run_load_test(outcome)
    except UsageError as error:
        return fail(str(error), WRONG_USE)
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        return fail(explain(error, rest), WRONG_USE)
    return outcome if isinstance(outcome, int) else OK
