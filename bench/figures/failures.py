"""Counts requests by how they ended, and keeps the first failure of each class. Pure."""

from __future__ import annotations

from collections import Counter

import numpy as np

from bench.figures.request_table import RequestTable, total
from bench.figures.steady import Windows
from bench.outcome import Outcome
from bench.records.record import Columns
from bench.records.result import Counts, FailureClass
from bench.remedies import remedy
from bench.units import NS_PER_S


def count(columns: Columns, requests: RequestTable, windows: Windows | None) -> Counts:
    """Count the requests of a load."""
    ok = requests.ok
    cancelled = int(requests.cancelled.sum())
    opened = requests.asked.opened
    in_window = opened if windows is None else opened & (requests.times.send_ns >= windows.headline.begin_ns)
    origin_ns = 0 if windows is None else windows.whole.begin_ns
    return Counts(
        sent=len(requests),
        ok=int(ok.sum()),
        failed=len(requests) - int(ok.sum()) - cancelled,
        cancelled=cancelled,
        output_tokens=int(requests.counts.tokens[ok].sum()),
        input_tokens=total(requests.counts.prompt_tokens[ok]),
        cached_tokens=total(requests.counts.cached_tokens[ok]),
        failed_tokens=int(requests.counts.tokens[requests.failed].sum()),
        empty_events=int(requests.counts.empty[ok].sum()),
        connections_opened=int(opened.sum()),
        connections_opened_in_window=int(in_window.sum()),
        reopened=int(requests.asked.reopened.sum()),
        failures=_classes(columns, requests, origin_ns),
    )


def _classes(columns: Columns, requests: RequestTable, origin_ns: int) -> list[FailureClass]:
    classes = []
    for outcome in Outcome:
        rows = [row for row, failure in columns.errors.items() if failure.outcome is outcome]
        if not rows or not outcome.is_failure:
            continue
        failures = [columns.errors[row] for row in rows]
        first = min(failures, key=lambda failure: failure.sched_ns)
        partial, reported = requests.counts.tokens[rows], requests.counts.usage_tokens[rows] >= 0
        waits = [failure.retry_after_s for failure in failures if failure.retry_after_s is not None]
        classes.append(
            FailureClass(
                outcome=outcome,
                count=len(rows),
                statuses=_statuses([failure.status for failure in failures]),
                retry_after_s=max(waits) if waits else None,
                median_partial=float(np.median(partial)) if partial.any() else None,
                partial_unit="tokens" if reported.all() else "chunks",
                first_request=first.request,
                first_s=(first.sched_ns - origin_ns) / NS_PER_S,
                first_error=first.error,
                remedy=remedy(outcome, first.status, first.error, under_load=True),
            )
        )
    return classes


def _statuses(statuses: list[int | None]) -> dict[str, int]:
    """Statuses of 400 or more, the most frequent first."""
    return {str(status): n for status, n in Counter(s for s in statuses if s and s >= 400).most_common()}
