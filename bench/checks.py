"""The checks of the load that every run makes on itself, each with its value and its limit. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from bench.arrivals import gap_cdf
from bench.requests import Requests
from bench.result import Check, Figures
from bench.run import LoadFacts, ServerCounters
from bench.stats import Floats, Ints
from bench.units import NS_PER_MS, NS_PER_S, format_duration, plural
from bench.window import STEADY_SHARE, Span, mean_concurrency, overlap_ns

LITTLE_LIMIT = 0.02
LITTLE_WAVES = 5
LATENESS_LIMIT_MS = 5.0
LATENESS_SHARE = 0.05  # of what a request takes, as of the streams that may be missing
SENT_LIMIT = 0.99
# Of 1.95 / √n a true sample exceeds one in a thousand (Kolmogorov); no sample is held to less than this.
ARRIVALS_LIMIT = 0.05
CONSTANT_LIMIT_MS = 1.0
_MOST_GAPS = 20_000


def load_checks(
    requests: Requests, span: Span, figures: Figures, load: LoadFacts, server: ServerCounters | None
) -> Iterator[Check]:
    """The checks of what was sent and counted, over the headline's span."""
    yield _tokens(requests)
    yield _little(requests, span)
    yield _lateness(figures, load)
    if load.plan == "open":
        yield _sent(requests, span)
        yield _arrivals(requests, span, load)
    elif load.streams is not None:
        yield _concurrency(figures, load.streams)
    if server is not None:
        yield _server(requests, server)


def _tokens(requests: Requests) -> Check:
    """Tokens counted from events against the server's usage, per request and in total."""
    code = "tokens_match_usage"
    told = requests.ok & (requests.usage_tokens >= 0)
    known = told & requests.knows_event_tokens
    if not known.any():
        why = "the server sends no usage" if not told.any() else "events do not tell how many tokens they carry"
        if told.any() and not requests.streamed[told].any():
            why = "answers came in one piece"
        return Check(code=code, status="n/a", text=f"tokens not checked against usage: {why}")
    counted, usage = requests.counted[known], requests.usage_tokens[known]
    wrong, compared = int((counted != usage).sum()), int(known.sum())
    if wrong:
        return Check(
            code=code,
            status="fail",
            text=f"{wrong:,} of {compared:,} requests brought {counted.sum():,} tokens in all "
            f"where their usage says {usage.sum():,}",
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
        text=f"{counted.sum():,} tokens = usage in all {plural(compared, 'request')}{beside}",
        value=0,
        limit=0,
        unit="requests",
    )


def _little(requests: Requests, span: Span) -> Check:
    """Mean concurrency against throughput × mean E2E, requests at an edge by their share inside.

    A request counts as open from its planned start to its end, E2E runs from the send to the last token: the
    difference is time that no latency figure accounts for.
    """
    code = "littles_law"
    rows = requests.completed
    begin, end = requests.send_ns[rows], requests.last_ns[rows]
    inside: Ints = overlap_ns(begin, end, span)
    shares = inside / np.maximum(end - begin, 1)
    held = mean_concurrency(requests.sched_ns[rows], requests.end_ns[rows], span)
    waves = float(shares.sum()) / max(held, 1e-9)
    if waves < LITTLE_WAVES:
        return Check(
            code=code,
            status="n/a",
            text=f"Little's law needs {LITTLE_WAVES} waves of requests, not {math.floor(waves * 10) / 10:.1f}",
        )
    throughput = shares.sum() / span.length_ns
    mean_e2e = np.average(end - begin, weights=shares)
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


def _lateness(figures: Figures, load: LoadFacts) -> Check:
    """In a closed loop a late send makes the load a little smaller, and no more: what counts is how much."""
    limit = LATENESS_LIMIT_MS
    if load.plan == "closed":
        limit = max(limit, LATENESS_SHARE * (figures.latency["e2e"].mean or 0.0))
    late = figures.latency["lateness"]
    p99 = late.percentiles["99"].value
    value = late.max if p99 is None else p99
    if value is None:
        return Check(code="lateness", status="n/a", text="lateness not known: nothing was sent in the window")
    which = "at most" if p99 is None else "p99"
    passed = value <= limit
    return Check(
        code="lateness",
        status="pass" if passed else "fail",
        text=f"sent on time ({which} {value:.1f} ms late)"
        if passed
        else f"requests sent {value:,.1f} ms late {'at most' if p99 is None else 'at p99'}",
        value=value,
        limit=limit,
        unit="ms",
        remedy=_late_remedy(figures, load),
    )


def _late_remedy(figures: Figures, load: LoadFacts) -> str:
    """What holds requests back: their limit, where an open loop has one and is at it, else this machine."""
    held, most = figures.mean_concurrency, load.streams
    if load.plan == "open" and most is not None and held is not None and held >= STEADY_SHARE * most:
        return f"the {most:,} at once that are allowed were all under way: more --max-concurrency, or a lower rate"
    return "this machine sends late: less load, or less else running on it"


def _concurrency(figures: Figures, streams: int) -> Check:
    held = figures.mean_concurrency
    if held is None:
        return Check(code="concurrency", status="n/a", text="concurrency not known")
    share = held / streams
    return Check(
        code="concurrency",
        status="pass" if share >= STEADY_SHARE else "fail",
        text=f"{held:.1f} of {streams} streams open",
        value=share,
        limit=STEADY_SHARE,
        unit="share",
        remedy="too few requests kept the streams busy: a longer --duration or more --num-requests",
    )


def _sent(requests: Requests, span: Span) -> Check:
    """Of the requests that were due in the window, the share that was sent in it: asked against achieved rate."""
    due = (requests.sched_ns >= span.begin_ns) & (requests.sched_ns < span.end_ns)
    sent = requests.was_sent & (requests.send_ns >= span.begin_ns) & (requests.send_ns < span.end_ns)
    length_s = span.length_ns / NS_PER_S
    share = float(sent.sum() / max(due.sum(), 1))
    return Check(
        code="rate",
        status="pass" if share >= SENT_LIMIT else "fail",
        text=f"{sent.sum() / length_s:,.1f} of {due.sum() / length_s:,.1f} planned req/s sent",
        value=share,
        limit=SENT_LIMIT,
        unit="share",
        remedy="the rest came too late or could not connect: a lower --request-rate, or no --max-concurrency",
    )


def _arrivals(requests: Requests, span: Span, load: LoadFacts) -> Check:
    """Whether the gaps between sends are of the distribution that was asked for."""
    code, process, rate = "arrivals", load.arrivals or "poisson", load.rate or 1.0
    sent = requests.was_sent & (requests.send_ns >= span.begin_ns) & (requests.send_ns < span.end_ns)
    gaps: Floats = np.diff(np.sort(requests.send_ns[sent])).astype(np.float64) / NS_PER_S
    if len(gaps) < 20:
        return Check(code=code, status="n/a", text=f"{len(gaps)} gaps are too few to tell their distribution")
    if process == "constant":
        off_ms = float(np.percentile(np.abs(gaps - 1 / rate), 99) * NS_PER_S / NS_PER_MS)
        return Check(
            code=code,
            status="pass" if off_ms <= CONSTANT_LIMIT_MS else "fail",
            text=f"gaps within {off_ms:.2f} ms of {1000 / rate:g} ms (p99)",
            value=off_ms,
            limit=CONSTANT_LIMIT_MS,
            unit="ms",
            remedy="this machine sends unevenly: less load, or less else running on it",
        )
    gaps = np.sort(gaps)[:: -(-len(gaps) // _MOST_GAPS)]
    n = len(gaps)
    asked = np.array([gap_cdf(process, rate, load.burstiness or 1.0, gap) for gap in gaps.tolist()])
    steps = np.arange(n + 1) / n
    distance = float(max((steps[1:] - asked).max(), (asked - steps[:-1]).max()))
    limit = max(ARRIVALS_LIMIT, 1.95 / n**0.5)
    return Check(
        code=code,
        status="pass" if distance <= limit else "fail",
        text=f"gaps {distance:.3f} from {process} (Kolmogorov–Smirnov)",
        value=distance,
        limit=limit,
        unit="distance",
        remedy="requests did not go out as they were drawn: less load, or less else running on this machine",
    )


def _server(requests: Requests, server: ServerCounters) -> Check:
    """What the server counted against what arrived here."""
    code = "server_counters"
    if server.problem is not None:
        return Check(code=code, status="n/a", text=f"server's own counters not compared: {server.problem}")
    if not requests.ok.all():
        text = "server's own counters not compared: requests failed or were given up"
        return Check(code=code, status="n/a", text=text)
    ours = {
        "requests": (server.requests, len(requests)),
        "prompt tokens": (server.prompt_tokens, _total(requests.prompt_tokens)),
        "output tokens": (server.generation_tokens, _total(requests.usage_tokens)),
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
        limit=None if e2e_mean_ms is None else e2e_mean_ms / 1000,
        unit="s",
        remedy=f"the figures are over the whole run, its start and end included;{enough or ' run it for longer'}",
    )


def nothing_succeeded(sent: int) -> Check:
    """The check that fails when there is nothing to measure."""
    return Check(
        code="no_request_succeeded",
        status="fail",
        text=f"none of {plural(sent, 'request')} succeeded",
        value=0.0,
        unit="requests",
        remedy="see the failures: they are all there is to measure",
    )
