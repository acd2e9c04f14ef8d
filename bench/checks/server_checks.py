"""The checks of what was sent, kept open and counted, each with its value and its limit. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from bench.arrays import Ints
from bench.checks.schedule_checks import schedule_checks
from bench.figures.request_table import RequestTable
from bench.figures.steady import Windows
from bench.figures.window import STEADY_SHARE, Span, mean_concurrency, overlap_ns
from bench.outcome import Outcome
from bench.records.result import Check, Figures
from bench.records.run import LoadFacts, Run, ServerCounters
from bench.units import NS_PER_MS, NS_PER_S, format_duration, format_span, plural

LITTLE_LIMIT = 0.02
# What a timer, a task and a system call may take until a request is out: a large share of one that takes as long.
LITTLE_GRAIN_MS = 1.0
LITTLE_WAVES = 5


def load_checks(requests: RequestTable, windows: Windows, figures: Figures, run: Run) -> Iterator[Check]:
    """The checks of what was sent and counted, over the headline's span."""
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
    """The check that fails when there is nothing to measure."""
    sent = len(requests)
    if run.gave_up is not None:
        yield Check(code="cut_short", status="fail", text=run.gave_up, remedy=_cut_short_remedy(requests))
    if sent and requests.cancelled.all():
        text, remedy = f"nothing of the {sent:,} answers had come when the run was stopped", "let it run for longer"
    else:
        text, remedy = f"none of {sent:,} requests succeeded", "see the failures: they are all there is to measure"
    yield Check(code="no_request_succeeded", status="fail", text=text, value=0.0, unit="requests", remedy=remedy)


def _cut_short_remedy(requests: RequestTable) -> str:
    if requests.has_outcome(Outcome.LENGTH_MISMATCH).all():
        return "measure answers as the model ends them: --no-ignore-eos"
    return "see why in the server's log; --give-up-after sets how long a silent server is waited for"


def _cut_short(run: Run, requests: RequestTable, windows: Windows) -> Check:
    """How much of what was asked for ran before the bench gave up."""
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
        text=f"{run.gave_up}; {how_much} were run",
        value=share,
        limit=1.0,
        unit="share",
        remedy=_cut_short_remedy(requests),
    )


def _no_answer_ended() -> Check:
    return Check(
        code="no_answer_ended",
        status="fail",
        text="no answer had ended when the run was stopped: what is shown is of answers under way",
        value=0.0,
        unit="requests",
        remedy="it leaves out the requests that had not begun; let it run for longer",
    )


def _no_steady_window(run: Run, windows: Windows) -> Check:
    """The check that fails when the whole run has to stand in for a steady window."""
    load = run.load
    left_s, needed_s = windows.left_s, windows.needed_s
    takes = "" if needed_s is None else f", where a request takes {format_span(needed_s)}"
    if load.plan == "open" or load.streams == 1:
        text = f"no steady window: requests were sent for {format_span(left_s)}{takes}"
    else:
        text = (
            f"no steady window: after the {load.streams:,} streams that began together had passed, as many were kept "
            f"open for {format_span(left_s)}{takes}"
        )
    return Check(
        code="steady_window",
        status="fail",
        text=text,
        value=left_s,
        limit=needed_s,
        unit="s",
        remedy="the figures are over the whole run, its start and end included; "
        + ("let it run for longer" if run.interrupted or run.gave_up else _longer(load, needed_s)),
    )


def _longer(load: LoadFacts, needed_s: float | None) -> str:
    """The option that would give a steady window of ten requests a stream."""
    if load.requests is not None and load.duration_s is None:
        return f"--num-requests {12 * (load.streams or 1)} would do" if load.plan == "closed" else "send more of them"
    if needed_s is None:
        return "run it for longer"
    return f"--duration {format_duration(max(5.0, math.ceil(12 * needed_s)))} would do"


def _tokens(requests: RequestTable) -> Check:
    """Tokens counted from events against the server's usage, per request and in total."""
    code = "tokens_match_usage"
    told = requests.ok & (requests.counts.usage_tokens >= 0)
    known = told & requests.counts.knows_event_tokens
    if not known.any():
        why = "the server sends no usage" if not told.any() else "events do not tell how many tokens they carry"
        if requests.is_partial:
            why = "no answer had ended"
        elif told.any() and not requests.asked.streamed[told].any():
            why = "answers came in one piece"
        return Check(code=code, status="n/a", text=f"tokens not checked against usage: {why}")
    counted, usage = requests.counted[known], requests.counts.usage_tokens[known]
    wrong, compared = int((counted != usage).sum()), int(known.sum())
    if wrong:
        return Check(
            code=code,
            status="fail",
            text=f"in {wrong:,} of {compared:,} requests the usage with each event came to another number of tokens "
            f"than the usage at the end: {counted.sum():,} and {usage.sum():,} in all",
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
    """Mean concurrency against throughput × the mean time for which a stream was held open.

    Requests at an edge of the window count by their share inside. The one counts from a request's planned start, the
    other from when the bench set about sending it: the difference is time that passes between requests. How long the
    server holds a stream after the last token is not part of that.
    """
    code = "littles_law"
    rows = requests.completed
    begin, end = requests.times.begun_ns[rows], requests.times.free_ns[rows]
    inside: Ints = overlap_ns(begin, end, span)
    shares = inside / np.maximum(end - begin, 1)
    held = mean_concurrency(requests.times.due_ns[rows], end, span)
    waves = float(shares.sum()) / max(held, 1.0)  # where fewer than one is open on average, a wave is one request
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
    by_grain = "" if limit == LITTLE_LIMIT else f" ({off * each_ms:.1f} ms a request)"
    return Check(
        code=code,
        status="pass" if off <= limit else "fail",
        text=f"Little {off:.1%}{by_grain}",
        value=off,
        limit=limit,
        unit="share",
        remedy="time passes between requests that no latency shows: this machine sends late",
    )


def _concurrency(requests: RequestTable, windows: Windows, figures: Figures, streams: int) -> Check:
    """Whether the streams were kept busy. A stream that the server refuses, or holds open, is busy with that."""
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
        remedy=f"for {late:.0%} of the time the next request was due and this machine had not sent it: less load"
        if late >= (1 - share) / 2
        else "too few requests kept the streams busy: a longer --duration or more --num-requests",
    )


def _server(requests: RequestTable, server: ServerCounters) -> Check:
    """What the server counted against what arrived here."""
    code = "server_counters"
    if server.problem is not None:
        return Check(code=code, status="n/a", text=f"server's own counters not compared: {server.problem}")
    if not requests.ok.all():
        text = "server's own counters not compared: requests failed or were given up"
        return Check(code=code, status="n/a", text=text)
    ours = {
        "requests": (server.requests, len(requests)),
        "prompt tokens": (server.prompt_tokens, _total(requests.counts.prompt_tokens)),
        "output tokens": (server.generation_tokens, _total(requests.counts.usage_tokens)),
    }
    compared = {name: (theirs, own) for name, (theirs, own) in ours.items() if theirs is not None and own is not None}
    wrong = [f"{theirs:,} {name} where {own:,} arrived" for name, (theirs, own) in compared.items() if theirs != own]
    if not compared:
        return Check(code=code, status="n/a", text="server's own counters not compared: none that this tool knows")
    if wrong:
        return Check(
            code=code,
            status="fail",
            text=f"the server counted {', '.join(wrong)}",
            value=len(wrong),
            limit=0,
            unit="counters",
            remedy="others may use the server meanwhile: then the figures are of both loads",
        )
    return Check(
        code=code,
        status="pass",
        text=f"server counted the same {', '.join(compared)}",
        value=0,
        limit=0,
        unit="counters",
    )


def _total(told: Ints) -> int | None:
    return int(told.sum()) if len(told) and (told >= 0).all() else None
