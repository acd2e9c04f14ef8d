"""Computes the result of a run from its facts and records, without I/O, so that it can be recomputed."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from bench.checks.client_checks import client_checks, own_limit
from bench.checks.notes import notes, other_length
from bench.checks.server_checks import load_checks, nothing_succeeded
from bench.checks.verdict import decide
from bench.figures import failures
from bench.figures.design_effect import design_effects
from bench.figures.metrics import Method, empty_figures, figures
from bench.figures.request_table import RequestTable
from bench.figures.steady import find_windows
from bench.figures.token_flow import Moments, WindowFlow, flow
from bench.records.health import Health
from bench.records.record import Columns
from bench.records.result import Check, ClientFacts, Figures, Result
from bench.records.run import DEFAULT_PERCENTILES, Run
from bench.units import NS_PER_S


def summarize(run: Run, columns: Columns, moments: Moments) -> Result:
    """Compute all figures of a run, its checks and its verdict."""
    requests = RequestTable(columns)
    percents = sorted({*DEFAULT_PERCENTILES, *run.view.percentiles})
    windows = find_windows(run, requests)
    if windows is None:
        headline = whole_run = empty_figures("nothing was sent", percents)
    else:
        begin_ns = windows.whole.begin_ns
        flows = flow(requests, moments, [windows.whole] if windows.steady is None else [windows.steady, windows.whole])
        headline = _figures(run, requests, flows[0], begin_ns, percents, moments())
        whole_run = headline if windows.steady is None else _figures(run, requests, flows[1], begin_ns, percents)
    counts = failures.count(columns, requests, windows)
    is_as_asked = other_length(run, requests) is None
    checks: list[Check] = []
    if windows is not None and (counts.ok or requests.is_partial):
        checks += load_checks(requests, windows, headline, run)
        checks += client_checks(headline, run, len(requests), int(requests.counts.merged_reads.sum()))
    else:
        checks += nothing_succeeded(run, requests)
    checks = [*own_limit(counts), *checks]
    return Result(
        tool=run.tool,
        id=run.id,
        started=run.started,
        again=run.again,
        target=run.target,
        load=run.load if is_as_asked else replace(run.load, fixed_length=False),
        negotiated=run.negotiated if is_as_asked else replace(run.negotiated, keeps_length=False),
        interrupted=run.interrupted,
        gave_up=run.gave_up,
        elapsed_s=0.0 if windows is None else windows.whole.length_ns / NS_PER_S,
        notes=notes(run, requests, windows, headline, counts),
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
    requests: RequestTable,
    window: WindowFlow,
    origin_ns: int,
    percents: list[float],
    moments: Iterable[bytes] | None = None,
) -> Figures:
    """The figures of one window. With `moments`, the intervals of pooled figures allow for similar gaps."""
    effects = None if moments is None else design_effects(requests, moments, window, percents)
    wire = None if run.health is None else run.health.wire
    method = Method(percents, None if wire is None else wire.clock_error_ms, effects, run.view.goodput)
    return figures(requests, window, origin_ns, method)


def _client_facts(health: Health | None, requests: RequestTable) -> ClientFacts:
    if health is None:
        return ClientFacts()
    wire, lag = health.wire, health.wire.read_lag
    return ClientFacts(
        stamps=wire.stamps,
        read_lag_p50_ms=None if lag is None else lag.percentile_ms(50),
        read_lag_p99_ms=None if lag is None else lag.percentile_ms(99),
        read_lag_max_ms=None if lag is None else lag.max_ms,
        merged_reads=int(requests.counts.merged_reads.sum()),
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
