"""How far an evaluation is: a bar on a terminal, a line now and then elsewhere. Both on standard error."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TextIO

from mock_server.infer.terminal import Terminal

_INTERVAL_S = 10.0


class Tally:
    """Counts rows, those of earlier runs included, and tells `show` after each."""

    def __init__(self, total: int, done: int, show: Callable[[Tally], None], clock: Callable[[], float]) -> None:
        self.total = total
        self.done = done
        self.failed = 0
        self._done_before = done
        self._tokens = 0
        self._show = show
        self._clock = clock
        self._began = clock()

    def row_done(self, *, is_good: bool, tokens: int) -> None:
        self.done += 1
        self.failed += not is_good
        self._tokens += tokens
        self._show(self)

    @property
    def elapsed_s(self) -> float:
        return self._clock() - self._began

    @property
    def left_s(self) -> float | None:
        """By the pace so far; None while there is none."""
        done = self.done - self._done_before
        return self.elapsed_s / done * (self.total - self.done) if done else None

    @property
    def figures(self) -> str:
        pace = self._tokens / self.elapsed_s if self.elapsed_s > 0 else 0.0
        failed = [f"{self.failed} failed"] if self.failed else []
        return " · ".join([*failed, f"{pace:,.1f} tokens/s"])

    def __str__(self) -> str:
        left = "" if self.left_s is None else f" · {_clock_time(self.left_s)} left"
        return f"{self.done:,}/{self.total:,} rows · {self.figures}{left}"


def _clock_time(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


@contextlib.contextmanager
def shown_tally(total: int, done: int, terminal: Terminal) -> Iterator[Tally]:
    """Raises `ImportError` on a terminal without rich."""
    if terminal.err.isatty() and not terminal.is_dumb:
        with _bar(total, done, terminal.err) as show:
            yield Tally(total, done, show, time.monotonic)
    else:
        yield Tally(total, done, _Lines(terminal).show, time.monotonic)


class _Lines:
    """A line for the first row, then one every few seconds."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._next_s = 0.0

    def show(self, tally: Tally) -> None:
        if tally.elapsed_s >= self._next_s or tally.done == tally.total:
            self._next_s = tally.elapsed_s + _INTERVAL_S
            self._terminal.note(str(tally))


@contextlib.contextmanager
def _bar(total: int, done: int, stream: TextIO) -> Iterator[Callable[[Tally], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns: tuple[Any, ...] = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[figures]}"))
    bar = Progress(*columns, console=Console(file=stream), redirect_stdout=False, redirect_stderr=False)
    with bar:
        task = bar.add_task("rows", total=total, completed=done, figures="")

        def show(tally: Tally) -> None:
            left = "" if tally.left_s is None else f" · {_clock_time(tally.left_s)} left"
            bar.update(task, completed=tally.done, figures=f"{tally.figures}{left}")

        yield show
