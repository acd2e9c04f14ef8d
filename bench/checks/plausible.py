"""Checks whether this tool can have written a run that was read back: its folder may come from anyone. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from bench.figures.catalogue import LATENCIES, LIMITED
from bench.records.record import UNKNOWN, Columns
from bench.records.run import Run
from bench.units import NS_PER_S

# The longest --duration is 30 days, and the last answers may take longer.
_LONGEST_NS = 60 * 24 * 3600 * NS_PER_S
_MOST_NS = 2**62
_MOST_REQUESTS = 2**27
_MOST_COUNT = 2**31
_MOST_PERCENTILES = 1000
_DEEPEST = 64

_STAMPS = ("sched_ns", "send_ns", "head_ns", "first_ns", "visible_ns", "last_ns", "end_ns", "free_ns")
_NUMBERS = {"request": _MOST_REQUESTS} | dict.fromkeys(
    ("send_took_ns", "first_doubt_ns", "last_doubt_ns", "queued_ns", "waited_ns"), _LONGEST_NS
)


def implausible(run: Run, columns: Columns) -> str | None:
    """Something in the run that no run of this tool can have; None if there is nothing like that."""
    return next(_of_run(run), None) or next(_of_columns(run, columns), None)


def _of_run(run: Run) -> Iterator[str]:
    view, streams = run.view, run.load.streams
    if streams is not None and not 1 <= streams <= _MOST_COUNT:
        yield f"load.streams is {streams}"
    if not all(0 < percent < 100 for percent in view.percentiles) or len(view.percentiles) > _MOST_PERCENTILES:
        yield f"view.percentiles must be up to {_MOST_PERCENTILES} numbers between 0 and 100"
    if (strange := next((row for row in view.rows if row not in LATENCIES), None)) is not None:
        yield f"view.rows has {strange!r}, which is not a known figure"
    for name, limit in view.goodput.items():
        if name not in LIMITED or not 0 < limit < inf:
            yield f"view.goodput has {name!r}: {limit:g}, which is not a limit on a known figure"
    if run.health is not None and not run.health.wall_s > 0:
        yield f"health.wall_s is {run.health.wall_s:g}"
    if not _is_flat({"environment": run.environment, "config": run.config and run.config.options}):
        yield f"environment or config is nested more than {_DEEPEST} levels"
    try:
        str(run.target.endpoint_url)
    except ValueError:
        yield "target.url is not a valid address"


def _is_flat(content: object) -> bool:
    """Whether its levels of nesting end within the limit."""
    level = [content]
    for _ in range(_DEEPEST):
        objects = [item for item in level if isinstance(item, dict | list)]
        level = [part for item in objects for part in (item.values() if isinstance(item, dict) else item)]
        if not level:
            return True
    return False


def _of_columns(run: Run, columns: Columns) -> Iterator[str]:
    for name, column in columns.integers.items():
        if name not in _STAMPS and column:
            least, most = min(column), max(column)
            if least < UNKNOWN or most > _NUMBERS.get(name, _MOST_COUNT):
                yield f"{name} of a request is {least if least < UNKNOWN else most}"
    times = [at for at in (run.begun_ns, run.stopped_ns, run.ended_ns) if at is not None]
    for name in _STAMPS:
        known = [at for at in columns.integers[name] if at != UNKNOWN]
        times += [min(known), max(known)] if known else []
    if times and not 0 <= min(times) <= max(times) < _MOST_NS:
        yield "a time is out of range"
    elif times and max(times) - min(times) > _LONGEST_NS:
        yield "it spans more than 60 days"
