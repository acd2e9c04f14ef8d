"""Runs a load test: the event loop, Ctrl-C, the report, the exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable

import click

from bench.embedded import EmbeddedServerError
from bench.live import make_watcher
from bench.preflight import TargetError
from bench.prompts import PromptFileError
from bench.result import Result
from bench.session import Finished, Interruption, measure
from bench.settings import Settings, UsageError

SHOW_CURSOR = "\x1b[?25h"


def carry_out(settings: Settings) -> int:
    """Measure and print; the exit code. Raises UsageError for what turned out wrong before the load."""
    from bench.cli.main import FAILED, INTERRUPTED, OK, fail

    if settings.json is not None and not settings.json.parent.is_dir():
        raise UsageError(f"--json {settings.json}: there is no folder {settings.json.parent}")
    interruption = Interruption(_leave)
    try:
        finished = _run(settings, interruption)
    except PromptFileError as error:
        raise UsageError(str(error)) from None
    except (TargetError, EmbeddedServerError) as error:
        if error.wrong_use:
            raise UsageError(str(error)) from None
        return fail(str(error), FAILED)
    except asyncio.CancelledError:
        click.echo("interrupted before the load began: nothing was measured", err=True)
        return INTERRUPTED
    result = _report(finished, settings)
    if finished.run.interrupted:
        return INTERRUPTED
    failed = result.counts.failed > 0 or result.counts.ok == 0
    return FAILED if failed or (settings.strict and result.verdict.level != "trusted") else OK


def _report(finished: Finished, settings: Settings) -> Result:
    """Print the result and keep it."""
    from bench.cli.printing import print_result
    from bench.summary import summarize

    folder = finished.folder
    result = summarize(finished.run, folder.records(), folder.moments)
    folder.save_result(result)
    if folder.problem is not None:
        click.echo(f"{click.style('warning:', fg='yellow', bold=True)} {folder.problem}", err=True)
    kept = folder.path if folder.problem is None else None
    print_result(result, finished.run.view, kept, settings.json)
    return result


def _run(settings: Settings, interruption: Interruption) -> Finished:
    factory, name = _loop()
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(_main(settings, interruption, name))


async def _main(settings: Settings, interruption: Interruption, loop_name: str) -> Finished:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def give_up() -> None:
        if task is not None:
            task.cancel()

    interruption.on_first = give_up
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interruption)
    watcher = make_watcher(settings.live, sys.stderr)
    try:
        return await measure(settings, interruption, watcher, loop_name)
    finally:
        watcher.clear()


def _loop() -> tuple[Callable[[], asyncio.AbstractEventLoop] | None, str]:
    try:
        import uvloop
    except ModuleNotFoundError:  # there is none for Windows
        return None, "asyncio"
    return uvloop.new_event_loop, "uvloop"


def _leave() -> None:
    """The second Ctrl-C: at once. The embedded server sees its input close and ends by itself."""
    if sys.stderr.isatty():
        sys.stderr.write(SHOW_CURSOR)
        sys.stderr.flush()
    os._exit(130)
