"""One run's facts and records to its result: the whole computation, with no I/O, so that it can be done again."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bench import failures
from bench.checks import load_checks, no_steady_window, nothing_succeeded
from bench.client_checks import client_checks, own_limit
from bench.clusters import design_effects
from bench.flow import Moments, WindowFlow, flow
from bench.health import Health
from bench.metrics import Method, empty_figures, figures
from bench.record import Columns
from bench.requests import Requests
from bench.result import Check, ClientFacts, Counts, Figures, Result
from bench.run import DEFAULT_PERCENTILES, Run
from bench.units import NS_PER_MS, NS_PER_S, plural
from bench.verdict import decide
from bench.window import Span, steady_span


def summarize(run: Run, columns: Columns, moments: Moments) -> Result:
    """All figures of a run, its checks and its verdict."""
    requests = Requests(columns)
    percents = sorted({*DEFAULT_PERCENTILES, *run.view.percentiles})
    whole = _whole_span(run, requests)
    steady = None if whole is None else _steady(run, requests, whole)
    if whole is None:
        headline = whole_run = empty_figures("nothing was sent", percents)
        checks: list[Check] = []
    else:
        spans = [whole] if steady is None else [steady, whole]
        windows = flow(requests, moments, spans)
        headline = _figures(run, requests, windows[0], whole.begin_ns, percents, moments())
        whole_run = headline if steady is None else _figures(run, requests, windows[1], whole.begin_ns, percents)
        checks = _checks(run, requests, steady, whole, headline)
    counts = failures.count(columns, requests, steady or whole, 0 if whole is None else whole.begin_ns)
    if counts.ok == 0:
        checks = [nothing_succeeded(counts.sent)]
    checks = [*own_limit(counts), *checks]
    return Result(
        tool=run.tool,
        id=run.id,
        started=run.started,
        again=run.again,
        target=run.target,
        load=run.load,
        negotiated=run.negotiated,
        interrupted=run.interrupted,
        gave_up=run.gave_up,
        elapsed_s=0.0 if whole is None else whole.length_ns / NS_PER_S,
        notes=_notes(run, headline, counts),
        counts=counts,
        headline=headline,
        whole_run=whole_run,
        checks=checks,
        verdict=decide(checks),
        client=_client_facts(run.health, requests),
        server=run.server,
        config=run.config,
        certificate=run.certificate,
        environment=run.environment,
    )


def _figures(
    run: Run,
    requests: Requests,
    window: WindowFlow,
    origin_ns: int,
    percents: list[float],
    moments: Iterable[bytes] | None = None,
) -> Figures:
    """The figures of one window; with `moments`, the intervals of pooled figures allow for gaps that are alike."""
    effects = None if moments is None else design_effects(requests, moments, window, percents)
    wire = None if run.health is None else run.health.wire
    method = Method(percents, None if wire is None else wire.clock_error_ms, effects, run.view.goodput)
    return figures(requests, window, origin_ns, method)


def _checks(run: Run, requests: Requests, steady: Span | None, whole: Span, headline: Figures) -> list[Check]:
    checks = [
        *load_checks(requests, steady or whole, headline, run.load, run.server),
        *client_checks(headline, run.health, len(requests)),
    ]
    if steady is None and run.load.streams is not None:
        checks.insert(0, no_steady_window(run.load.streams, headline.latency["e2e"].mean))
    return checks


def _whole_span(run: Run, requests: Requests) -> Span | None:
    """From the start of the load to the end of its last request."""
    if len(requests) == 0:
        return None
    begin = int(requests.sched_ns.min()) if run.begun_ns is None else run.begun_ns
    end = max(int(requests.end_ns.max()), begin if run.stopped_ns is None else run.stopped_ns)
    return Span(begin, end) if end > begin else None


def _steady(run: Run, requests: Requests, whole: Span) -> Span | None:
    """The steady window: of an open loop its rate phase, of a closed one the time at full concurrency.

    None where that is shorter than a request takes.
    """
    stopped = run.stopped_ns
    if stopped is None:  # killed: what was to come is not known
        stopped = int(requests.sched_ns.max())
    load = Span(whole.begin_ns, stopped)
    if run.load.plan == "open":
        return load if load.length_ns > 0 else None
    streams = run.load.streams or 1
    span = steady_span(requests.send_ns, requests.end_ns, streams, load)
    e2e = requests.e2e[requests.completed]
    if span is None or len(e2e) == 0 or span.length_ns < np.nanmean(e2e) * NS_PER_MS:
        return None
    return span


def _notes(run: Run, headline: Figures, counts: Counts) -> list[str]:
    notes = list(run.notes)
    if headline.tokens_are in ("chunks", "mixed"):
        whose = "the answers" if headline.tokens_are == "chunks" else "some answers"
        notes.append(f"the server sent no usage with {whose}: their tokens are chunks, which may hold several tokens")
    if counts.empty_events:
        notes.append(f"{plural(counts.empty_events, 'token event')} had an empty text (special tokens)")
    if run.health is not None and run.health.wire.stamps == "read":
        notes.append(
            "arrivals were stamped as they were read, not by the kernel: nothing bounds the client's own error"
        )
    if run.interrupted:
        notes.append("interrupted: answers still under way are missing, which favours short ones")
    inexact = [name for name, figure in headline.latency.items() if not figure.exact]
    if inexact:
        notes.append(f"percentiles of {', '.join(inexact)} are of a histogram with three significant digits")
    if run.certificate is not None and (
        (headline.output_tokens_per_s or 0) > run.certificate.tokens_per_s
        or (headline.mean_concurrency or 0) > run.certificate.streams
    ):
        notes.append(
            f"above this machine's certificate, which is for {run.certificate.tokens_per_s:,.0f} tok/s in "
            f"{run.certificate.streams:,} streams (bench selftest)"
        )
    return notes


def _client_facts(health: Health | None, requests: Requests) -> ClientFacts:
    if health is None:
        return ClientFacts()
    wire, lag = health.wire, health.wire.read_lag
    return ClientFacts(
        stamps=wire.stamps,
        read_lag_p50_ms=None if lag is None else lag.percentile_ms(50),
        read_lag_p99_ms=None if lag is None else lag.percentile_ms(99),
        read_lag_max_ms=None if lag is None else lag.max_ms,
        merged_reads=int(requests.merged_reads.sum()),
        unstamped_reads=wire.unstamped_reads,
        clock_error_ms=wire.clock_error_ms,
        loop_lag_p99_ms=health.loop_lag.percentile_ms(99),
        loop_lag_max_ms=health.loop_lag.max_ms,
        cpu_share=health.cpu_s / health.wall_s,
        cpu_wait_share=None if health.cpu_wait_s is None else health.cpu_wait_s / health.wall_s,
        gc_pauses=health.gc_pauses,
        gc_pause_max_ms=health.gc_pause_max_ms,
        switched_out=health.switched_out,
        retransmits=wire.retransmits,
        peak_mb=health.peak_mb,
    )
