"""What readers need to know in addition to the figures, one line each. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.arrays import Bools
from bench.figures.catalogue import LATENCIES
from bench.figures.request_table import RequestTable
from bench.figures.steady import Windows
from bench.records.result import Counts, Figures
from bench.records.run import Run
from bench.units import NS_PER_MS, plural

# A note needs at least this share of requests that opened a connection, or of streams' time after the last token.
_WORTH_TELLING = 0.02


def notes(run: Run, requests: RequestTable, windows: Windows | None, headline: Figures, counts: Counts) -> list[str]:
    """The notes of the run itself, and the notes that its figures call for."""
    found = [*run.notes, *_of_tokens(run, requests, headline, counts)]
    if windows is not None:
        inside = windows.headline.contains(requests.times.send_ns)
        found += _of_connections(requests, inside)
        found += _of_tails(requests, inside)
    return [*found, *_of_measurement(run, requests, headline)]


def other_length(run: Run, requests: RequestTable) -> str | None:
    """The note about answers that were not as long as requested, if that length was not required."""
    told = requests.ok & (requests.asked.tokens >= 0) & (requests.counts.usage_tokens >= 0)
    other = told & (requests.counts.usage_tokens != requests.asked.tokens)
    if run.load.length_required or not other.any():
        return None
    asked, got = (float(np.median(tokens[other])) for tokens in (requests.asked.tokens, requests.counts.usage_tokens))
    return (
        f"{other.sum():,} of {told.sum():,} answers were not as long as requested, despite min_tokens and ignore_eos "
        f"(median {got:,.0f} tokens, not {asked:,.0f}); they count all the same"
    )


def _of_tokens(run: Run, requests: RequestTable, headline: Figures, counts: Counts) -> Iterator[str]:
    if headline.tokens_are in ("chunks", "mixed"):
        whose = "the answers" if headline.tokens_are == "chunks" else "some answers"
        yield f"the server sent no usage with {whose}: their chunks are counted, each of which may hold several tokens"
    for name, found in headline.latency.items():
        if found.assumes is not None:
            yield f"{LATENCIES[name].label} assumes that {found.assumes}"
    if run.view.goodput and headline.goodput is None and counts.ok:
        yield "goodput is n/a: without the server's usage, TPOT is unknown"
    if (length := other_length(run, requests)) is not None:
        yield length
    if counts.empty_events:
        yield f"{plural(counts.empty_events, 'token event')} had empty text (special tokens)"


def _of_connections(requests: RequestTable, inside: Bools) -> Iterator[str]:
    """Connections that the server had closed, or did not accept immediately."""
    opened = inside & requests.asked.opened & requests.times.was_sent
    if opened.sum() > _WORTH_TELLING * inside.sum():
        took_ms = float(requests.times.waited_ns[opened].mean()) / NS_PER_MS
        yield (
            f"{opened.sum():,} of {inside.sum():,} requests opened a connection, which took {took_ms:.1f} ms (mean): "
            "TTFT and E2E leave that time out, TTFT from schedule includes it"
        )


def _of_tails(requests: RequestTable, inside: Bools) -> Iterator[str]:
    """How long the server held streams open after their last token."""
    rows = inside & requests.completed
    times = requests.times
    held, tail = (times.free_ns - times.begun_ns)[rows], (times.free_ns - times.last_ns)[rows]
    if len(held) and tail.sum() > _WORTH_TELLING * held.sum() and np.mean(tail) > NS_PER_MS:
        yield (
            f"the server held streams open for {np.mean(tail) / NS_PER_MS:.1f} ms after their last token (mean): "
            "no latency includes that time"
        )


def _of_measurement(run: Run, requests: RequestTable, headline: Figures) -> Iterator[str]:
    if run.health is not None and run.health.wire.stamps == "read":
        yield "arrivals were timestamped at the read, not by the kernel: the client's own error has no bound"
    if run.interrupted and not requests.is_partial:
        yield "interrupted: answers still in progress are missing, which favours short ones"
    inexact = [name for name, figure in headline.latency.items() if not figure.exact]
    if inexact:
        yield f"percentiles of {', '.join(inexact)} come from a histogram with three significant digits"
    if run.certificate is not None and (
        (headline.output_tokens_per_s or 0) > run.certificate.tokens_per_s
        or (headline.mean_concurrency or 0) > run.certificate.streams
    ):
        yield (
            f"the load exceeds this machine's certificate, which covers {run.certificate.tokens_per_s:,.0f} tok/s in "
            f"{run.certificate.streams:,} streams (bench selftest)"
        )
