"""The live view: a few lines on a terminal, repainted twice a second and removed when the load ends.

A frame is one string and one write. If the terminal is not ready for it, the frame is skipped, so that the measurement
never waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import shutil
from collections import deque
from collections.abc import Iterator, Mapping
from time import monotonic_ns
from typing import TextIO

from click import echo, style, unstyle

from bench.load.health_watch import HealthWatch
from bench.load.plan import ClosedLoop, OpenLoop
from bench.load.session import Watcher
from bench.load.tally import Tally
from bench.records.run import Run
from bench.shown_text import shown
from bench.terminal import can_move_cursor, wants_colour
from bench.units import NS_PER_MS, NS_PER_S, format_count, format_rate, plural

PERIOD_S = 0.5
_HIDE_CURSOR, _SHOW_CURSOR, _CLEAR_LINE = "\x1b[?25l", "\x1b[?25h", "\x1b[2K"
_BARS = "▁▂▃▄▅▆▇█"
_HISTORY = 30
_NARROW = 56
_MOST_NAME = 200  # characters of the model's name


class Silence:
    """Shows nothing: for pipes, files and CI."""

    def stage(self, text: str) -> None:
        """Nothing."""

    def clear(self) -> None:
        """Nothing."""

    def warn(self, text: str) -> None:
        """Print a line on standard error."""
        _warn(text)

    def load(
        self, run: Run, plan: ClosedLoop | OpenLoop, tally: Tally, health: HealthWatch
    ) -> contextlib.AbstractContextManager[None]:
        """Nothing around the load."""
        return contextlib.nullcontext()


def make_watcher(wanted: bool, stream: TextIO, environment: Mapping[str, str]) -> Watcher:
    """A live view if there is a terminal for it, otherwise silence."""
    if not wanted or not can_move_cursor(stream, environment):
        return Silence()
    return LiveView(stream, coloured=wants_colour(stream, environment))


class LiveView:
    """Paints on a terminal. The cursor is hidden while the block is shown; the block is cleared at the end."""

    def __init__(self, stream: TextIO, *, coloured: bool = True) -> None:
        self._stream, self._coloured = stream, coloured
        self._painted = 0

    def stage(self, text: str) -> None:
        """Show one line about what the bench is waiting for."""
        self._paint([style(f"  {shown(text)} …", dim=True)])

    @contextlib.contextmanager
    def load(self, run: Run, plan: ClosedLoop | OpenLoop, tally: Tally, health: HealthWatch) -> Iterator[None]:
        """Repaint until the load is over."""
        painter = asyncio.get_running_loop().create_task(self._repaint(Gauges(run, plan, tally, health)))
        try:
            yield
        finally:
            painter.cancel()
            self.clear()

    def clear(self) -> None:
        """Restore the terminal to its previous state."""
        if self._painted:
            # Clear line by line, and one line more for the ^C that the terminal echoes. Clearing the whole screen
            # would move it into the history of some terminals.
            up = f"\x1b[{self._painted}F"
            blank = f"{_CLEAR_LINE}\n" * self._painted + _CLEAR_LINE
            self._write(f"{up}{blank}{up}{_SHOW_CURSOR}")
            self._painted = 0

    def warn(self, text: str) -> None:
        """Print a line that stays."""
        self.clear()
        _warn(text)

    async def _repaint(self, gauges: Gauges) -> None:
        while True:
            self._paint(gauges.lines(monotonic_ns(), shutil.get_terminal_size().columns))
            await asyncio.sleep(PERIOD_S)

    def _paint(self, lines: list[str]) -> None:
        _, writable, _ = select.select([], [self._stream], [], 0)
        if not writable:
            return
        width = shutil.get_terminal_size().columns
        up = f"\x1b[{self._painted}F" if self._painted else ""
        below = "\x1b[J" if len(lines) < self._painted else ""
        shown = lines if self._coloured else map(unstyle, lines)
        body = "".join(f"{_CLEAR_LINE}{_cut(line, width)}\n" for line in shown)
        self._write(f"{_HIDE_CURSOR}{up}{below}{body}")
        self._painted = len(lines)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class Gauges:
    """Turns counters into lines: rates over the last second, and percentiles of the latest answers."""

    def __init__(self, run: Run, plan: ClosedLoop | OpenLoop, tally: Tally, health: HealthWatch) -> None:
        self._run, self._plan, self._tally, self._health = run, plan, tally, health
        self._marks: deque[tuple[int, int, int]] = deque(maxlen=round(1 / PERIOD_S) + 1)
        self._history: deque[float] = deque(maxlen=_HISTORY)

    def lines(self, now_ns: int, width: int) -> list[str]:
        """The lines to show now."""
        tally, plan = self._tally, self._plan
        tally.refresh()
        self._marks.append((now_ns, tally.ok + tally.failed, tally.tokens))
        then_ns, ended, tokens = self._marks[0]
        span_s = max((now_ns - then_ns) / NS_PER_S, 1e-9)
        requests_s, tokens_s = (tally.ok + tally.failed - ended) / span_s, (tally.tokens - tokens) / span_s
        self._history.append(tokens_s)
        failed = f"{format_count(tally.failed)} failed"
        failed = style(failed, fg="red", bold=True) if tally.failed else style(failed, dim=True)
        outcomes = f"{format_count(tally.ok)} ok · {failed}"
        ttft = sorted(tally.ttft_ns)
        p50, p99 = _ms(ttft, 0.5), _ms(ttft, 0.99)
        model, bar = (
            style(shown(self._run.target.model, _MOST_NAME), bold=True),
            _bar(plan.progress(now_ns), min(60, width - 4)),
        )
        if width < _NARROW:
            return [
                f"  {model} · {self._progress(now_ns)}",
                f"  {bar}",
                f"  {len(tally.under_way):,} in flight · {outcomes}",
                f"  {format_rate(requests_s)} req/s · {format_rate(tokens_s)} tok/s",
                f"  TTFT p50 {p50} · p99 {p99} ms",
                f"  client lag {self._health.lag_ms():.1f} ms",
            ]
        return [
            f"  {model} · {self._run.load.shape} · {self._progress(now_ns)}",
            f"  {bar}",
            f"  in flight  {len(tally.under_way):>8,}     {outcomes}",
            f"  req/s      {format_rate(requests_s):>8}     tok/s {format_rate(tokens_s):>8}  "
            + _sparkline(self._history),
            f"  TTFT p50   {p50:>8}     p99   {p99:>8}  " + style("ms", dim=True),
            f"  client lag {self._health.lag_ms():>8.1f}     " + style("ms, worst of the last second", dim=True),
        ]

    def _progress(self, now_ns: int) -> str:
        limits, plan = self._plan.limits, self._plan
        elapsed_s = (now_ns - plan.begun_ns) / NS_PER_S if plan.begun_ns else 0.0
        if plan.stopped_ns is not None:
            return f"{elapsed_s:.1f} s, waiting for the last {plural(len(self._tally.under_way), 'answer')}"
        left = []
        if limits.duration_s is not None:
            left.append(f"{max(0.0, limits.duration_s - elapsed_s):.1f} s left")
        if limits.requests is not None:
            left.append(f"{plural(limits.requests - plan.sent, 'request')} left")
        return f"{elapsed_s:.1f} s, {' or '.join(left)}"


def _warn(text: str) -> None:
    echo(f"{style('warning:', fg='yellow', bold=True)} {shown(text)}", err=True)


def _bar(share: float, width: int) -> str:
    full = round(share * width)
    return style("━" * full, fg="cyan") + style("─" * (width - full), dim=True)


def _sparkline(values: deque[float]) -> str:
    top = max(values, default=0.0)
    if top <= 0:
        return ""
    return style("".join(_BARS[round(value / top * (len(_BARS) - 1))] for value in values), fg="cyan")


def _ms(ordered: list[int], share: float) -> str:
    return f"{ordered[min(len(ordered) - 1, int(share * len(ordered)))] / NS_PER_MS:,.1f}" if ordered else "–"


def _cut(line: str, width: int) -> str:
    """Cut a line that would wrap; a line that is cut also loses its colours."""
    plain = unstyle(line)
    return line if len(plain) < width else plain[: width - 1]
