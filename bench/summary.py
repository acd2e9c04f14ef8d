"""One run's facts and records to its result: the whole computation, with no I/O, so that it can be done again."""

from __future__ import annotations

import numpy as np

from bench import failures
from bench.checks import no_steady_window, run_checks
from bench.health import Health
from bench.metrics import Requests, empty_figures, figures
from bench.record import Columns
from bench.result import Check, ClientFacts, Counts, Figures, Result
from bench.run import DEFAULT_PERCENTILES, Run
from bench.units import NS_PER_MS, NS_PER_S
from bench.verdict import decide
from bench.window import Span, steady_span


def summarize(run: Run, columns: Columns) -> Result:
    """All figures of a run, its checks and its verdict."""
    requests = Requests(columns)
    percents = sorted({*DEFAULT_PERCENTILES, *run.view.percentiles})
    whole = _whole_span(run, requests)
    checks: list[Check] = []
    if whole is None:
        headline = whole_run = empty_figures("nothing was sent", percents)
        steady = None
    else:
        steady = _steady(run, requests, whole)
        whole_run = figures(requests, whole, whole.begin_ns, percents)
        headline = whole_run if steady is None else figures(requests, steady, whole.begin_ns, percents)
        if requests.ok.any():
            checks = run_checks(requests, steady or whole, headline, run.load.streams, run.health)
            if steady is None:
                checks.insert(0, no_steady_window(run.load.streams, whole_run.latency["e2e"].mean))
    origin_ns = 0 if whole is None else whole.begin_ns
    counts = failures.count(columns, requests, steady or whole, origin_ns)
    if counts.ok == 0:
        checks = [_nothing_succeeded(counts)]
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
        client=_client_facts(run.health),
        environment=run.environment,
    )


def _whole_span(run: Run, requests: Requests) -> Span | None:
    """From the start of the load to the end of its last request."""
    if len(requests) == 0:
        return None
    begin = int(requests.sched_ns.min()) if run.begun_ns is None else run.begun_ns
    end = int(requests.end_ns.max())
    return Span(begin, end) if end > begin else None


def _steady(run: Run, requests: Requests, whole: Span) -> Span | None:
    """The steady window, if it lasted for at least as long as a request takes."""
    stopped = run.stopped_ns
    if stopped is None:  # killed: requests under way are missing, so take the last planned start
        stopped = int(requests.sched_ns.max())
    span = steady_span(requests.send_ns, requests.end_ns, run.load.streams, Span(whole.begin_ns, stopped))
    e2e = requests.e2e[requests.ok]
    if span is None or len(e2e) == 0 or span.length_ns < np.nanmean(e2e) * NS_PER_MS:
        return None
    return span


def _nothing_succeeded(counts: Counts) -> Check:
    return Check(
        code="no_request_succeeded",
        status="fail",
        text=f"none of {counts.sent:,} requests succeeded",
        value=0.0,
        unit="requests",
        remedy="see the failures: they are all there is to measure",
    )


def _notes(run: Run, headline: Figures, counts: Counts) -> list[str]:
    notes = list(run.notes)
    if headline.tokens_are in ("chunks", "mixed"):
        whose = "the answers" if headline.tokens_are == "chunks" else "some answers"
        notes.append(f"the server sent no usage with {whose}: their tokens are chunks, which may hold several tokens")
    if counts.empty_events:
        notes.append(f"{counts.empty_events:,} token events had an empty text (special tokens)")
    if run.interrupted:
        notes.append("interrupted: answers still under way are missing, which favours short ones")
    return notes


def _client_facts(health: Health | None) -> ClientFacts:
    if health is None or not health.loop_lag_us:
        return ClientFacts()
    lag_ms = np.array(health.loop_lag_us) / 1000
    return ClientFacts(
        loop_lag_p99_ms=float(np.percentile(lag_ms, 99)),
        loop_lag_max_ms=float(lag_ms.max()),
        cpu_share=health.cpu_s / health.wall_s,
        cpu_wait_share=None if health.cpu_wait_s is None else health.cpu_wait_s / health.wall_s,
        gc_pause_max_ms=max(health.gc_pauses_ms, default=0.0),
        switched_out=health.switched_out,
    )
