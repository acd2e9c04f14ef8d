"""The catalogue of latency figures: one entry per figure, with all that the bench knows of it apart from its values.

Options, tables, checks, the self-test and the published schema read it. To add a figure with one value per request,
add its entry here, its column (a function) in `bench.figures.request_table`, and its definition in docs/metrics.md.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure.

    A `pooled` figure has one sample per gap between token events, any other one sample per request. A pooled figure
    is computed from token events, any other is the column of its name in the request table. `why_empty` is the reason
    that a report gives when a sample has successful requests but no value.
    """

    name: str
    label: str
    definition: str
    why_empty: str
    aliases: tuple[str, ...] = ()
    """Other names that options accept."""
    pooled: bool = False
    unit: str = "ms"
    can_be_limited: bool = False
    """Whether `--goodput` accepts a limit on it."""
    needs_stream: bool = True
    """Whether an answer in one piece lacks it."""
    needs_gap: bool = False
    """Whether an answer with a single token event lacks it."""
    needs_end: bool = False
    """Whether an answer lacks it that was still in progress when the run was stopped."""
    needs_usage: bool = False
    """Whether it depends on the number of tokens that the server reports."""
    assumption: str | None = None
    """What it takes for granted where the server does not report the tokens of each event."""
    counts_failures: bool = False
    """Whether reports also give percentiles in which each failure counts as infinite."""
    is_checked: bool = False
    """Whether the check `client_error` examines it."""
    stand_in: str | None = None
    """The figure that tables show where this one has no samples."""
    truth_limits_ms: tuple[float, float] | None = None
    """How far p50 and p99 may be off in the self-test; None where the truth server does not know the figure."""


# A gap does not contain the sending of a request, so less can go wrong with it.
_LATENCY_LIMITS_MS, _GAP_LIMITS_MS = (0.5, 2.0), (0.3, 0.3)

_NO_EVENT = "no token events"

_LATENCIES = (
    Figure(
        name="ttft",
        label="TTFT",
        definition="first token event − send",
        why_empty=_NO_EVENT,
        can_be_limited=True,
        counts_failures=True,
        is_checked=True,
        truth_limits_ms=_LATENCY_LIMITS_MS,
    ),
    Figure(
        name="ttft_sched",
        label="TTFT from schedule",
        definition="first token event − planned start",
        why_empty=_NO_EVENT,
        aliases=("ttft-sched",),
        can_be_limited=True,
    ),
    Figure(
        name="ttfv",
        label="TTFV",
        definition="first visible token event (content or tool call) − send",
        why_empty="no answer had visible text",
        can_be_limited=True,
        truth_limits_ms=_LATENCY_LIMITS_MS,
    ),
    Figure(
        name="icl",
        label="ICL",
        definition="time between two successive token events",
        why_empty="no request had two token events in the window",
        pooled=True,
        needs_gap=True,
        is_checked=True,
        truth_limits_ms=_GAP_LIMITS_MS,
    ),
    Figure(
        name="itl",
        label="ITL",
        definition="ICL ÷ tokens of the later event",
        why_empty="no gap in the window",
        pooled=True,
        needs_gap=True,
        needs_usage=True,
        stand_in="icl",
        truth_limits_ms=_GAP_LIMITS_MS,
    ),
    Figure(
        name="tpot",
        label="TPOT",
        definition="(last token event − first) ÷ (tokens − tokens of the first event)",
        why_empty="no answer had tokens after its first event",
        can_be_limited=True,
        needs_gap=True,
        needs_end=True,
        needs_usage=True,
        assumption="the first event carried one token",
        truth_limits_ms=_GAP_LIMITS_MS,
    ),
    Figure(
        name="e2e",
        label="E2E",
        definition="last token event − send",
        why_empty=_NO_EVENT,
        aliases=("e2el",),
        can_be_limited=True,
        needs_stream=False,
        needs_end=True,
        counts_failures=True,
        is_checked=True,
        truth_limits_ms=_LATENCY_LIMITS_MS,
    ),
    Figure(
        name="max_gap",
        label="max gap",
        definition="the largest ICL",
        why_empty="no answer had two token events",
        aliases=("max-gap",),
        can_be_limited=True,
        needs_gap=True,
        needs_end=True,
    ),
    Figure(
        name="lateness",
        label="lateness",
        definition="send − planned start",
        why_empty="no request was sent",
        needs_stream=False,
    ),
)

LATENCIES = {figure.name: figure for figure in _LATENCIES}
"""The figures in milliseconds, by name: the rows that a table can have."""

SPEED_PER_USER = Figure(
    name="speed_per_user",
    label="speed per user",
    definition="1 ÷ TPOT",
    why_empty=LATENCIES["tpot"].why_empty,
    unit="1/s",
    needs_gap=True,
    needs_end=True,
    needs_usage=True,
    assumption=LATENCIES["tpot"].assumption,
)

FIGURES = LATENCIES | {SPEED_PER_USER.name: SPEED_PER_USER}

PER_REQUEST = tuple(figure for figure in _LATENCIES if not figure.pooled)
POOLED = tuple(figure for figure in _LATENCIES if figure.pooled)
LIMITED = tuple(figure.name for figure in _LATENCIES if figure.can_be_limited)
"""The names of the figures that `--goodput` accepts."""

_BY_ALIAS = {alias: figure.name for figure in _LATENCIES for alias in figure.aliases}


def canonical_name(name: str) -> str:
    """The name of a figure that may have been given by an alias; an unknown name stays as given."""
    return _BY_ALIAS.get(name, name)
