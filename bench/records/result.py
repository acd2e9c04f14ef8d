"""The native result, schema 1, in result.json and `--json`. A missing value is null with a reason, never 0."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from bench.records.run import (
    METRICS_SPEC,
    SCHEMA,
    Certificate,
    ConfigFacts,
    LoadFacts,
    Negotiated,
    ServerCounters,
    TargetFacts,
)


class Percentile(msgspec.Struct, kw_only=True):
    """A percentile with its 95 % interval.

    A bound is null if the sample has none, and `reason` explains a missing value. `client_error` is how far off the
    value may be because of the bench itself, in the unit of the value; null if that has no bound.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    client_error: float | None = None
    reason: str | None = None


class Distribution(msgspec.Struct, kw_only=True):
    """The figures of a sample. `percentiles` is by percent ("99.9"). An empty sample has only nulls and a reason.

    `exact` is false if the sample is so large that its percentiles come from a histogram (three significant digits).
    `assumes` is what the figures take for granted because the server does not report it.
    """

    n: int
    mean: float | None = None
    min: float | None = None
    max: float | None = None
    percentiles: dict[str, Percentile]
    exact: bool = True
    reason: str | None = None
    assumes: str | None = None


def percent_key(percent: float) -> str:
    """The name of a percentile: 50, 99, 99.9."""
    return f"{percent:g}"


class Window(msgspec.Struct, kw_only=True):
    """A span of the run, in seconds from the start of the load; null with the reason if there is none."""

    begin_s: float | None = None
    end_s: float | None = None
    reason: str | None = None

    @property
    def length_s(self) -> float:
        """Its length; 0 for none."""
        return 0.0 if self.begin_s is None or self.end_s is None else self.end_s - self.begin_s


class Goodput(msgspec.Struct, kw_only=True):
    """The requests that were due in the window and met every limit (`slos`, in milliseconds by figure).

    `share` is their share of all requests that were due, including failed ones; null if none was due.
    """

    slos: dict[str, float]
    due: int
    met: int
    requests_per_s: float
    share: float | None


class Figures(msgspec.Struct, kw_only=True):
    """All figures over one window.

    `requests` is the number of requests that were sent in the window and succeeded: the sample of the latencies.
    `latency` is in milliseconds, by the name of the figure. `rates_reason` explains why a rate is null.
    `tokens_are` gives what was counted as tokens: those of the server's usage or, where it sent none, chunks.
    """

    window: Window
    requests: int
    requests_per_s: float | None
    output_tokens_per_s: float | None
    input_tokens_per_s: float | None
    mean_concurrency: float | None
    tokens_are: Literal["usage", "chunks", "mixed"] | None
    speed_per_user: Distribution
    latency: dict[str, Distribution]
    latency_with_failures: dict[str, dict[str, Percentile]]
    goodput: Goodput | None = None
    rates_reason: str | None = None

    @property
    def token_rate(self) -> str:
        """The unit of its token rates, which depends on what was counted."""
        return {"chunks": "chunks/s", "mixed": "tok or chunks/s"}.get(self.tokens_are or "", "tok/s")

    @property
    def has_samples(self) -> bool:
        """Whether there is any latency to show."""
        return any(figure.n for figure in self.latency.values())


class FailureClass(msgspec.Struct, kw_only=True):
    """The failures of one class: how many there were, their statuses, the first one, and what to try.

    `median_partial` is how much of an answer had arrived, in `partial_unit`: tokens if the server sent usage, else
    chunks; null if nothing had arrived.
    """

    outcome: str
    count: int
    statuses: dict[str, int] = {}
    retry_after_s: float | None = None
    median_partial: float | None = None
    partial_unit: Literal["tokens", "chunks"] = "tokens"
    first_request: int
    first_s: float
    first_error: str
    remedy: str = ""


class Counts(msgspec.Struct, kw_only=True):
    """The requests of the load by outcome, and their tokens over the whole run.

    The bench gave up the `cancelled` ones. The `reopened` ones were sent on a new connection, because the server had
    closed the one that was kept for them.
    """

    sent: int
    ok: int
    failed: int
    cancelled: int
    output_tokens: int
    input_tokens: int | None
    cached_tokens: int | None
    failed_tokens: int
    empty_events: int
    connections_opened: int
    connections_opened_in_window: int
    reopened: int = 0
    failures: list[FailureClass] = []


class Check(msgspec.Struct, kw_only=True):
    """One check of the run itself. `value` and `limit` are in `unit`, and null if the check does not apply."""

    code: str
    status: Literal["pass", "fail", "n/a"]
    text: str
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    remedy: str = ""


class Reason(msgspec.Struct, kw_only=True):
    """One reason why the verdict is not better."""

    code: str
    value: float | None
    limit: float | None
    remedy: str


Level = Literal["trusted", "degraded", "untrustworthy"]


class Verdict(msgspec.Struct, kw_only=True):
    """How far the figures can be trusted, according to the checks of this run."""

    level: Level
    reasons: list[Reason] = []


class ClientFacts(msgspec.Struct, kw_only=True):
    """What the bench itself did and needed; null if unknown.

    `stamps` is what timestamped arrivals. `read_lag_*` is how long bytes waited to be read after the kernel had
    timestamped them. `merged_reads` is how many reads returned several token events, of which only the last has its
    own timestamp.
    """

    stamps: Literal["kernel", "read"] | None = None
    read_lag_p50_ms: float | None = None
    read_lag_p99_ms: float | None = None
    read_lag_max_ms: float | None = None
    merged_reads: int | None = None
    unstamped_reads: int | None = None
    clock_error_ms: float | None = None
    loop_lag_p99_ms: float | None = None
    loop_lag_max_ms: float | None = None
    cpu_share: float | None = None
    cpu_wait_share: float | None = None
    gc_pauses: int | None = None
    gc_pause_max_ms: float | None = None
    switched_out: int | None = None
    retransmits: int | None = None
    peak_mb: float | None = None


class Result(msgspec.Struct, kw_only=True):
    """The figures of one run. `headline` covers the steady window if there is one, else the whole run."""

    schema: int = SCHEMA
    metrics_spec: int = METRICS_SPEC
    tool: str
    id: str
    started: str
    again: str
    target: TargetFacts
    load: LoadFacts
    negotiated: Negotiated
    interrupted: bool
    gave_up: str | None
    elapsed_s: float
    notes: list[str]
    counts: Counts
    headline: Figures
    whole_run: Figures
    checks: list[Check]
    verdict: Verdict
    client: ClientFacts
    server: ServerCounters | None = None
    config: ConfigFacts | None = None
    certificate: Certificate | None = None
    environment: dict[str, Any] = {}
