"""Checks what was sent, kept open and counted, each with its value and its limit. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from bench.arrays import Ints
from bench.checks.schedule_checks import schedule_checks
from bench.figures.request_table import RequestTable, total
from bench.figures.steady import Windows
from bench.figures.window import STEADY_SHARE, Span, mean_concurrency, overlap_ns
from bench.outcome import Outcome
from bench.records.result import Check, Figures
from bench.records.run import LoadFacts, Run, ServerCounters
from bench.units import NS_PER_MS, NS_PER_S, format_duration, format_span, plural

LITTLE_LIMIT = 0.02
# A timer, a task and a system call may take this long until a request is sent: a large share of a short request.
LITTLE_GRAIN_MS = 1.0
LITTLE_WAVES = 5


def load_checks(requests: RequestTable, windows: Windows, figures: Figures, run: Run) -> Iterator[Check]:
    """Run these checks and those of the schedule over the span of the headline."""
    load, span = run.load, windows.headline
    if run.gave_up is not None:
        yield _cut_short(run, requests, windows)
    if requests.is_partial:
        yield _no_answer_ended()
    elif windows.steady is None:
        yield _no_steady_window(run, windows)
    yield _tokens(requests)
    yield _little(requests, span)
    yield from schedule_checks(requests, span, figures, load)
    if load.plan == "closed" and load.streams is not None:
        yield _concurrency(requests, windows, figures, load.streams)
    if run.server is not None:
        yield _server(requests, run.server)


def nothing_succeeded(run: Run, requests: RequestTable) -> Iterator[Check]:
    """The checks of a run in which nothing could be measured."""
    sent = len(requests)
    if run.gave_up is not None:
        yield Check(code="cut_short", status="fail", text=run.gave_up, remedy=_cut_short_remedy(requests))
    if sent and requests.cancelled.all():
        text, remedy = f"no answer to {plural(sent, 'request')} had begun when the run was stopped", "let it run longer"
    else:
        text, remedy = f"none of {sent:,} requests succeeded", "see the failures: there is nothing else to measure"
    yield Check(code="no_request_succeeded", status="fail", text=text, value=0.0, unit="requests", remedy=remedy)


def _cut_short_remedy(requests: RequestTable) -> str:
    if requests.has_outcome(Outcome.LENGTH_MISMATCH).all():
        return "let the model end its answers: --no-ignore-eos"
    return "the server's log may say why; --give-up-after sets how long to wait for a silent server"


def _cut_short(run: Run, requests: RequestTable, windows: Windows) -> Check:
    """The check that reports how much of the load ran before the bench gave up."""
    load = run.load
    sent_s = 0.0 if run.stopped_ns is None else (run.stopped_ns - windows.whole.begin_ns) / NS_PER_S
    ran = [(sent_s / load.duration_s, f"{sent_s:,.1f} of {load.duration_s:g} s")] if load.duration_s else []
    ran += (
        [(len(requests) / load.requests, f"{len(requests):,} of {load.requests:,} requests")] if load.requests else []
    )
    share, how_much = max(ran, default=(0.0, ""))
    return Check(
        code="cut_short",
        status="fail",
        text=f"{run.gave_up}; the run covered {how_much}",
        value=share,
        limit=1.0,
        unit="share",
        remedy=_cut_short_remedy(requests),
    )


def _no_answer_ended() -> Check:
    return Check(
        code="no_answer_ended",
        status="fail",
        text="no answer had ended when the run was stopped: the figures describe answers in progress",
        value=0.0,
        unit="requests",
        remedy="they leave out the requests whose answers had not begun; let it run longer",
    )


def _no_steady_window(run: Run, windows: Windows) -> Check:
    """The check that fails if the whole run must stand in for a steady window."""
    load = run.load
    left_s, needed_s = windows.left_s, windows.needed_s
    takes = "" if needed_s is None else f", while a request takes {format_span(needed_s)}"
    if load.plan == "open" or load.streams == 1:
        text = f"no steady window: requests were sent for {format_span(left_s)}{takes}"
    else:
        text = (
            f"no steady window: after the first requests of the {load.streams:,} streams, enough streams stayed open "
            f"for {format_span(left_s)}{takes}"
        )
    return Check(
        code="steady_window",
        status="fail",
        text=text,
        value=left_s,
        limit=needed_s,
        unit="s",
        remedy="the figures cover the whole run, including its start and end; "
        + ("let it run longer" if run.interrupted or run.gave_up else _longer(load, needed_s)),
    )


def _longer(load: LoadFacts, needed_s: float | None) -> str:
    """The option that would give a steady window of ten requests per stream."""
    if load.requests is not None and load.duration_s is None:
        return f"--num-requests {12 * (load.streams or 1)} is enough" if load.plan == "closed" else "send more requests"
    if needed_s is None:
        return "run it longer"
    return f"--duration {format_duration(max(5.0, math.ceil(12 * needed_s)))} is enough"


def _tokens(requests: RequestTable) -> Check:
    """Compare the tokens counted from events with the server's usage, per request and in total."""
    code = "tokens_match_usage"
    told = requests.ok & (requests.counts.usage_tokens >= 0)
    known = told & requests.counts.knows_event_tokens
    if not known.any():
        why = "the server sends no usage" if not told.any() else "it is unknown how many tokens each event carries"
        if requests.is_partial:
            why = "no answer had ended"
        elif told.any() and not requests.asked.streamed[told].any():
            why = "answers arrived in one piece"
        return Check(code=code, status="n/a", text=f"tokens not checked against usage: {why}")
    counted, usage = requests.counted[known], requests.counts.usage_tokens[known]
    wrong, compared = int((counted != usage).sum()), int(known.sum())
    if wrong:
        return Check(
            code=code,
            status="fail",
            text=f"in {wrong:,} of {compared:,} requests, the usage with each event adds up to a different number of "
            f"tokens than the usage at the end: {counted.sum():,} and {usage.sum():,} in total",
            value=wrong,
            limit=0,
            unit="requests",
            remedy="the server contradicts itself: tokens/s and ITL follow the events, TPOT the usage at the end",
        )
    unchecked = int(requests.ok.sum()) - compared
    beside = f", {unchecked:,} not checked" if unchecked else ""
    return Check(
        code=code,
        status="pass",
        text=f"{plural(int(counted.sum()), 'token')} = usage in {_all(compared)}{beside}",
        value=0,
        limit=0,
        unit="requests",
    )


def _all(requests: int) -> str:
    return "the only request" if requests == 1 else f"all {requests:,} requests"


def _little(requests: RequestTable, span: Span) -> Check:
    """Compare mean concurrency with throughput × the mean time for which a stream was held open.

    Requests at an edge of the window count by their share inside it. Concurrency counts from a request's planned
    start, the time held open from when the bench starts to send: the difference is time that passes between requests.
    The time for which the server holds a stream open after its last token is in both, so it makes no difference.
    """
    code = "littles_law"
    rows = requests.completed
    begin, end = requests.times.begun_ns[rows], requests.times.free_ns[rows]
    inside: Ints = overlap_ns(begin, end, span)
    shares = inside / np.maximum(end - begin, 1)
    held = mean_concurrency(requests.times.due_ns[rows], end, span)
    waves = float(shares.sum()) / max(held, 1.0)  # with fewer than one open on average, a wave is one request
    if waves < LITTLE_WAVES:
        return Check(
            code=code,
            status="n/a",
            text=f"Little's law needs {LITTLE_WAVES} waves of requests, not {math.floor(waves * 10) / 10:.1f}",
        )
    throughput = shares.sum() / span.length_ns
    mean_held = float(np.average(end - begin, weights=shares))
    off = float(abs(throughput * mean_held / held - 1))
    each_ms = float(held / throughput) / NS_PER_MS  # from one planned start to the next
    limit = max(LITTLE_LIMIT, LITTLE_GRAIN_MS / each_ms)
    by_grain = "" if limit == LITTLE_LIMIT else f" ({off * each_ms:.1f} ms per request)"
    return Check(
        code=code,
        status="pass" if off <= limit else "fail",
        text=f"Little's law off by {off:.1%}{by_grain}",
        value=off,
        limit=limit,
        unit="share",
        remedy="time that no latency includes passes between requests: this machine sends late",
    )


def _concurrency(requests: RequestTable, windows: Windows, figures: Figures, streams: int) -> Check:
    """Whether the streams were kept busy. A stream that the server refuses or holds open counts as busy."""
    code, span, held = "concurrency", windows.headline, figures.mean_concurrency
    if held is None or windows.steady is None:
        return Check(code=code, status="n/a", text="concurrency not checked: there is no steady window")
    share = mean_concurrency(requests.times.begun_ns, requests.times.free_ns, span) / streams
    text = f"{held:.1f} of {streams} streams open"
    refused = int((requests.failed & ~requests.counts.has_events & span.contains(requests.times.end_ns)).sum())
    if held < STEADY_SHARE * streams <= share * streams:
        text += f" (the server refused {refused:,} requests)" if refused else " (the rest waited for the server)"
    late = mean_concurrency(requests.times.sched_ns, requests.times.begun_ns, span) / streams
    return Check(
        code=code,
        status="pass" if share >= STEADY_SHARE else "fail",
        text=text,
        value=share,
        limit=STEADY_SHARE,
        unit="share",
        remedy=f"for {late:.0%} of the time the next request was due and this machine had not sent it: reduce the load"
        if late >= (1 - share) / 2
        else "too few requests to keep the streams busy: raise --duration or --num-requests",
    )


def _server(requests: RequestTable, server: ServerCounters) -> Check:
    """Compare what the server counted with what arrived here."""
    code = "server_counters"
    if server.problem is not None:
        return Check(code=code, status="n/a", text=f"server's own counters not compared: {server.problem}")
    if not requests.ok.all():
        text = "server's own counters not compared: requests failed or were given up"
        return Check(code=code, status="n/a", text=text)
    ours = {
        "requests": (server.requests, len(requests)),
        "prompt tokens": (server.prompt_tokens, total(requests.counts.prompt_tokens)),
        "output tokens": (server.generation_tokens, total(requests.counts.usage_tokens)),
    }
    compared = {name: (theirs, own) for name, (theirs, own) in ours.items() if theirs is not None and own is not None}
    wrong = [f"{theirs:,} {name} where {own:,} arrived" for name, (theirs, own) in compared.items() if theirs != own]
    if not compared:
        return Check(code=code, status="n/a", text="server's own counters not compared: this tool knows none of them")
    if wrong:
        return Check(
            code=code,
            status="fail",
            text=f"the server counted {', '.join(wrong)}",
            value=len(wrong),
            limit=0,
            unit="counters",
            remedy="others may be using the server; the figures then describe both loads",
        )
    return Check(
        code=code,
        status="pass",
        text=f"server counted the same {', '.join(compared)}",
        value=0,
        limit=0,
        unit="counters",
    )
