"""What can be compared: percentiles and means of latencies, and rates. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bench.figures.catalogue import LATENCIES, canonical_name
from bench.records.result import percent_key

_NAMED = re.compile(r"(?P<figure>.+)_(?:mean|p(?P<percent>\d+(?:\.\d+)?))")


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number of a run. A latency has a `figure`, and a `percent` unless it is a mean."""

    name: str
    label: str
    unit: str = "ms"
    figure: str | None = None
    percent: float | None = None
    higher_is_better: bool = False


RATES = {
    rate.name: rate
    for rate in (
        Quantity("output_tokens_per_s", "output tokens", "tok/s", higher_is_better=True),
        Quantity("requests_per_s", "requests", "req/s", higher_is_better=True),
    )
}
_ALIASES = {"out_tok_s": "output_tokens_per_s", "tok_s": "output_tokens_per_s", "req_s": "requests_per_s"}


def read_quantity(name: str) -> Quantity:
    """The quantity of a name such as ttft_p99, e2e_mean or output_tokens_per_s. Raises ValueError."""
    wanted = name.strip().lower().replace("-", "_")
    if (rate := RATES.get(_ALIASES.get(wanted, wanted))) is not None:
        return rate
    match = _NAMED.fullmatch(wanted)
    figure = canonical_name(match["figure"]) if match else ""
    if match is None or figure not in LATENCIES:
        known = f"{', '.join(LATENCIES)} with _p50, _p99 or _mean, {' or '.join(RATES)}"
        raise ValueError(f"must be a figure: {known} (got {name!r})")
    label = LATENCIES[figure].label
    if match["percent"] is None:
        return Quantity(f"{figure}_mean", f"{label} mean", figure=figure)
    percent = float(match["percent"])
    if not 0 < percent < 100:
        raise ValueError(f"must have a percentile between 0 and 100 (got {name!r})")
    key = percent_key(percent)
    return Quantity(f"{figure}_p{key}", f"{label} p{key}", figure=figure, percent=percent)


DEFAULT_QUANTITIES = tuple(
    map(
        read_quantity,
        (
            "ttft_p50",
            "ttft_p99",
            "itl_p50",
            "itl_p99",
            "tpot_p50",
            "e2e_p50",
            "e2e_p99",
            "output_tokens_per_s",
            "requests_per_s",
        ),
    )
)
