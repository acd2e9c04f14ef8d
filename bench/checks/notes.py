"""What a reader has to know beside the figures, a line each. Pure."""

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

# Of the requests that open a connection, and of a stream's time that passes after its last token: less needs no words.
_WORTH_TELLING = 0.02


def notes(run: Run, requests: RequestTable, windows: Windows | None, headline: Figures, counts: Counts) -> list[str]:
    """The notes of the run itself, and the ones its figures call for."""
    found = [*run.notes, *_of_tokens(run, requests, headline, counts)]
    if windows is not None:
        inside = windows.headline.contains(requests.times.send_ns)
        found += _of_connections(requests, inside)
        found += _of_tails(requests, inside)
    return [*found, *_of_measurement(run, requests, headline)]


def other_length(run: Run, requests: RequestTable) -> str | None:
    """What is to be said of answers that were not as long as asked, where nobody required it."""
    told = requests.ok & (requests.asked.tokens >= 0) & (requests.counts.usage_tokens >= 0)
    other = told & (requests.counts.usage_tokens != requests.asked.tokens)
    if run.load.length_required or not other.any():
        return None
    asked, got = (float(np.median(tokens[other])) for tokens in (requests.asked.tokens, requests.counts.usage_tokens))
    return (
        f"{other.sum():,} of {told.sum():,} answers had another length than was asked for, in spite of min_tokens and "
        f"ignore_eos (median {got:,.0f} tokens, not {asked:,.0f}): they count as they are"
    )


def _of_tokens(run: Run, requests: RequestTable, headline: Figures, counts: Counts) -> Iterator[str]:
    if headline.tokens_are in ("chunks", "mixed"):
        whose = "the answers" if headline.tokens_are == "chunks" else "some answers"
        yield f"the server sent no usage with {whose}: their tokens are chunks, which may hold several tokens"
    for name, found in headline.latency.items():
        if found.assumes is not None:
            yield f"{LATENCIES[name].label} assumes that {found.assumes}"
    if run.view.goodput and headline.goodput is None and counts.ok:
        yield "goodput is n/a: without the server's usage TPOT is not known"
    if (length := other_length(run, requests)) is not None:
        yield length
    if counts.empty_events:
        yield f"{plural(counts.empty_events, 'token event')} had an empty text (special tokens)"


def _of_connections(requests: RequestTable, inside: Bools) -> Iterator[str]:
    """Connections that the server had closed, or did not take at once."""
    opened = inside & requests.asked.opened & requests.times.was_sent
    if opened.sum() > _WORTH_TELLING * inside.sum():
        took_ms = float(requests.times.waited_ns[opened].mean()) / NS_PER_MS
        yield (
            f"{opened.sum():,} of {inside.sum():,} requests opened a connection, which took {took_ms:.1f} ms (mean): "
            "no TTFT or E2E contains that, TTFT from schedule does"
        )


def _of_tails(requests: RequestTable, inside: Bools) -> Iterator[str]:
    """Time for which the server held streams open after their last token."""
    rows = inside & requests.completed
    held, tail = (
        requests.times.free_ns[rows] - requests.times.begun_ns[rows],
        requests.times.free_ns[rows] - requests.times.last_ns[rows],
    )
    if len(held) and tail.sum() > _WORTH_TELLING * held.sum() and np.mean(tail) > NS_PER_MS:
        yield (
            f"the server held streams open for {np.mean(tail) / NS_PER_MS:.1f} ms after their last token (mean): "
            "no latency contains that"
        )


def _of_measurement(run: Run, requests: RequestTable, headline: Figures) -> Iterator[str]:
    if run.health is not None and run.health.wire.stamps == "read":
        yield "arrivals were stamped as they were read, not by the kernel: nothing bounds the client's own error"
    if run.interrupted and not requests.is_partial:
        yield "interrupted: answers still under way are missing, which favours short ones"
    inexact = [name for name, figure in headline.latency.items() if not figure.exact]
    if inexact:
        yield f"percentiles of {', '.join(inexact)} are of a histogram with three significant digits"
    if run.certificate is not None and (
        (headline.output_tokens_per_s or 0) > run.certificate.tokens_per_s
        or (headline.mean_concurrency or 0) > run.certificate.streams
    ):
        yield (
            f"above this machine's certificate, which is for {run.certificate.tokens_per_s:,.0f} tok/s in "
            f"{run.certificate.streams:,} streams (bench selftest)"
        )
