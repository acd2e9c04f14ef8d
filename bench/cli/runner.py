"""Runs a load test: the event loop, Ctrl-C, the report, the exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from bench.cli.exits import FAILED, INTERRUPTED, OK, fail
from bench.load.embedded import EmbeddedServerError
from bench.load.preflight import TargetError
from bench.load.session import Finished, Interruption, Watcher, measure
from bench.load.settings import STDOUT, LoadSettings, UsageError
from bench.records.result import Result
from bench.report.live import make_watcher
from bench.terminal import can_move_cursor, columns_of, say
from bench.workload.prompts import PromptFileError

if TYPE_CHECKING:
    from bench.truth.selftest import Scope

_Done = TypeVar("_Done")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
SHOW_CURSOR = "\x1b[?25h"


def run_load_test(settings: LoadSettings) -> int:
    """Measure and print. Returns the exit code. Raises UsageError for what is found to be wrong before the load."""
    interruption = Interruption(_leave)
    try:
        watcher = make_watcher(settings.live, sys.stderr, os.environ)
        finished = _run(lambda name: measure(settings, interruption, watcher, name), interruption, watcher)
    except PromptFileError as error:
        raise UsageError(str(error)) from None
    except (TargetError, EmbeddedServerError) as error:
        if error.wrong_use:
            raise UsageError(str(error)) from None
        return fail(str(error), FAILED)
    except asyncio.CancelledError:
        say("interrupted before the load began: nothing was measured", sys.stderr)
        return INTERRUPTED
    try:
        result = _report(finished, settings)
        is_kept = finished.folder.is_kept or settings.output.json is not None
    finally:
        finished.folder.close()
    if finished.run.interrupted:
        return INTERRUPTED
    failed = result.counts.failed > 0 or result.counts.ok == 0 or not is_kept
    return FAILED if failed or (settings.strict and result.verdict.level != "trusted") else OK


def _report(finished: Finished, settings: LoadSettings) -> Result:
    """Print the result and keep it."""
    from bench.cli.output import present
    from bench.summary import summarize

    folder = finished.folder
    columns = folder.records()
    result = summarize(finished.run, columns, folder.moments)
    folder.save_result(result)
    if (warning := folder.problem or folder.move) is not None:
        say(f"{click.style('warning:', fg='yellow', bold=True)} {warning}", sys.stderr)
    kept = folder.path if folder.problem is None else None
    present(result, finished.run, columns, folder.moments, settings.output, kept)
    return result


def run_selftest(scope: Scope, result_dir: Path, json_path: Path | None) -> int:
    """Test the bench itself and print. Returns the exit code. Raises UsageError if a file cannot be written."""
    from bench.cli.output import write_out
    from bench.records.certificate import save_certificate
    from bench.report.selftest import SelfTestReport
    from bench.truth.selftest import SelfTestError, Trial, self_test

    stream = sys.stderr if json_path == STDOUT else sys.stdout
    interruption = Interruption(_leave)
    report = SelfTestReport(columns_of(stream))

    def show(trial: Trial) -> None:
        watcher.clear()
        say(report.trial_line(trial), stream)

    def begin(title: str, about: str) -> None:
        watcher.clear()
        say(report.heading(title, about), stream)

    watcher = make_watcher(True, sys.stderr, os.environ)
    try:
        test = _run(lambda name: self_test(scope, interruption, watcher, name, begin, show), interruption, watcher)
    except SelfTestError as error:
        return fail(str(error), FAILED)
    except asyncio.CancelledError:
        say("interrupted: no certificate", sys.stderr)
        return INTERRUPTED
    kept = None
    if test.certificate is not None:
        try:
            kept = save_certificate(result_dir, test.certificate)
        except OSError as error:
            raise UsageError(f"--result-dir {result_dir}: cannot be written ({error.strerror})") from None
    say(report.closing(test, kept), stream)
    if json_path is not None:
        write_out(test, json_path)
    return OK if test.holds else FAILED


def _run(work: Callable[[str], Coroutine[None, None, _Done]], interruption: Interruption, watcher: Watcher) -> _Done:
    """Run `work` with the name of the event loop. By default the first signal cancels it.

    After the work, signals have the handlers that they had before: uvloop would keep its own, which ignore them.
    """
    factory, name = _loop()
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}

    async def main() -> _Done:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def give_up() -> None:
            if task is not None:
                task.cancel()

        interruption.on_first = give_up
        for number in _SIGNALS:
            loop.add_signal_handler(number, interruption)
        try:
            return await work(name)
        finally:
            watcher.clear()

    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(main())
    finally:
        for number, handler in handlers.items():
            if handler is not None:  # set by code that is not Python's
                signal.signal(number, handler)


def _loop() -> tuple[Callable[[], asyncio.AbstractEventLoop] | None, str]:
    try:
        import uvloop
    except ModuleNotFoundError:  # not available for Windows
        return None, "asyncio"
    return uvloop.new_event_loop, "uvloop"


def _leave() -> None:
    """Leave immediately on the second Ctrl-C. The embedded server ends because its input closes."""
    if can_move_cursor(sys.stderr, os.environ):
        sys.stderr.write(SHOW_CURSOR)
        sys.stderr.flush()
    os._exit(INTERRUPTED)
