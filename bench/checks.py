"""The checks that every run makes on itself, each with its value and its limit. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.health import Health
from bench.metrics import Requests
from bench.result import Check, Figures
from bench.stats import Ints
from bench.units import NS_PER_S, format_duration
from bench.window import STEADY_SHARE, Span, mean_concurrency, overlap_ns

LITTLE_LIMIT = 0.02
LITTLE_WAVES = 5
LATENESS_LIMIT_MS = 5.0
LAG_P99_LIMIT_MS = 2.0
LAG_MAX_LIMIT_MS = 50.0
CPU_LIMIT = 0.9


def run_checks(requests: Requests, span: Span, figures: Figures, streams: int, health: Health | None) -> list[Check]:
    """All checks of a run, over the headline's span."""
    return [
        _tokens(requests),
        _little(requests, span, streams),
        _lateness(figures),
        _concurrency(figures, streams),
        *_client(health),
    ]


def _tokens(requests: Requests) -> Check:
    """Tokens counted from events against the server's usage, per request and in total."""
    code = "tokens_match_usage"
    told = requests.ok & (requests.usage_tokens >= 0)
    known = told & requests.knows_event_tokens
    if not known.any():
        why = "the server sends no usage" if not told.any() else "events do not tell how many tokens they carry"
        return Check(code=code, status="n/a", text=f"tokens not checked against usage: {why}")
    counted = np.zeros(len(requests), dtype=np.int64)
    np.add.at(counted, requests.event_row, np.maximum(requests.event_tokens, 0))
    wrong = int((counted[known] != requests.usage_tokens[known]).sum())
    total, usage = int(counted[known].sum()), int(requests.usage_tokens[known].sum())
    compared = int(known.sum())
    if wrong:
        return Check(
            code=code,
            status="fail",
            text=f"{wrong:,} of {compared:,} requests brought {total:,} tokens in all where their usage says {usage:,}",
            value=wrong,
            limit=0,
            unit="requests",
            remedy="look at these requests in requests.jsonl; tokens/s follow the events, not the usage",
        )
    unchecked = int(requests.ok.sum()) - compared
    beside = f", {unchecked:,} not checked" if unchecked else ""
    return Check(
        code=code,
        status="pass",
        text=f"{total:,} tokens = usage in all {compared:,} requests{beside}",
        value=0,
        limit=0,
        unit="requests",
    )


def _little(requests: Requests, span: Span, streams: int) -> Check:
    """Mean concurrency of the slots against throughput × mean E2E, requests at an edge by their share inside.

    Slots are taken from the planned start to the end of the stream, E2E runs from the send to the last token: the
    difference is time that no latency figure accounts for.
    """
    code = "littles_law"
    rows = requests.ok & requests.has_events
    begin, end = requests.send_ns[rows], requests.last_ns[rows]
    inside: Ints = overlap_ns(begin, end, span)
    shares = inside / np.maximum(end - begin, 1)
    waves = float(shares.sum()) / streams
    if waves < LITTLE_WAVES:
        return Check(
            code=code, status="n/a", text=f"Little's law needs {LITTLE_WAVES} waves of requests, not {waves:.1f}"
        )
    throughput = shares.sum() / span.length_ns
    mean_e2e = np.average(end - begin, weights=shares)
    held = mean_concurrency(requests.sched_ns[rows], requests.end_ns[rows], span)
    off = abs(throughput * mean_e2e / held - 1)
    return Check(
        code=code,
        status="pass" if off <= LITTLE_LIMIT else "fail",
        text=f"Little {off:.1%}",
        value=float(off),
        limit=LITTLE_LIMIT,
        unit="share",
        remedy="time passes between requests that no latency shows: connections, or this machine",
    )


def _lateness(figures: Figures) -> Check:
    late = figures.latency["lateness"]
    p99 = late.percentiles.get("99")
    value = late.max if p99 is None or p99.value is None else p99.value
    if value is None:
        return Check(code="lateness", status="n/a", text="lateness not known: nothing was sent in the window")
    which = "at most" if p99 is None or p99.value is None else "p99"
    if value <= LATENESS_LIMIT_MS:
        return Check(
            code="lateness",
            status="pass",
            text=f"sent on time ({which} {value:.1f} ms late)",
            value=value,
            limit=LATENESS_LIMIT_MS,
            unit="ms",
        )
    return Check(
        code="lateness",
        status="fail",
        text=f"requests sent {value:.1f} ms late {'at p99' if which == 'p99' else which}",
        value=value,
        limit=LATENESS_LIMIT_MS,
        unit="ms",
        remedy="this machine sends late: fewer streams, or less else running on it",
    )


def _concurrency(figures: Figures, streams: int) -> Check:
    held = figures.mean_concurrency
    share = None if held is None else held / streams
    if share is None:
        return Check(code="concurrency", status="n/a", text="concurrency not known")
    passed = share >= STEADY_SHARE
    return Check(
        code="concurrency",
        status="pass" if passed else "fail",
        text=f"{held:.1f} of {streams} streams open",
        value=share,
        limit=STEADY_SHARE,
        unit="share",
        remedy="" if passed else "too few requests kept the streams busy: a longer --duration or more --num-requests",
    )


def _client(health: Health | None) -> Iterator[Check]:
    """The loop's lag stands in for the client's own error until kernel stamps bound it."""
    if health is None or not health.loop_lag_us:
        yield Check(
            code="not_watched",
            status="fail",
            text="the bench was killed before the end of the run",
            remedy="how well it kept up is not known: run it again",
        )
        return
    lag = np.array(health.loop_lag_us) / 1000
    p99, largest = float(np.percentile(lag, 99)), float(lag.max())
    yield Check(
        code="loop_lag",
        status="pass" if p99 <= LAG_P99_LIMIT_MS else "fail",
        text=f"loop lag p99 {p99:.1f} ms",
        value=p99,
        limit=LAG_P99_LIMIT_MS,
        unit="ms",
        remedy=f"latencies may be this much too long; {_cause(health)}",
    )
    yield Check(
        code="client_pause",
        status="pass" if largest <= LAG_MAX_LIMIT_MS else "fail",
        text=f"longest pause of the client {largest:.1f} ms",
        value=largest,
        limit=LAG_MAX_LIMIT_MS,
        unit="ms",
        remedy="the bench itself stood still for a moment: run it again with less else running on this machine",
    )
    share = health.cpu_s / health.wall_s
    yield Check(
        code="client_cpu",
        status="pass" if share <= CPU_LIMIT else "fail",
        text=f"client {share:.0%} of a core",
        value=share,
        limit=CPU_LIMIT,
        unit="share",
        remedy="the bench is the limit here: fewer streams",
    )


def _cause(health: Health) -> str:
    """What to do about a late loop: its own work is too much, or others' is."""
    if health.cpu_wait_s is not None and health.cpu_wait_s > 0.02 * health.wall_s:
        return f"other processes held the core for {health.cpu_wait_s / health.wall_s:.0%} of the time: stop them"
    return "fewer streams, or a faster machine"


def no_steady_window(streams: int, e2e_mean_ms: float | None) -> Check:
    """The check that fails when the whole run has to stand in for a steady window."""
    enough = (
        "" if not e2e_mean_ms else f" --duration {format_duration(max(5.0, round(10 * e2e_mean_ms / 1000)))} would do"
    )
    return Check(
        code="steady_window",
        status="fail",
        text=f"no steady window: {streams} streams were not kept open for as long as one request takes",
        value=0.0,
        limit=None if e2e_mean_ms is None else e2e_mean_ms * NS_PER_S / 1e12,
        unit="s",
        remedy=f"the figures are over the whole run, its start and end included;{enough or ' run it for longer'}",
    )
