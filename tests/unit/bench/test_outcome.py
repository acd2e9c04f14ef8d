"""The classes of requests, by status and by what counts as a failure."""

from __future__ import annotations

from bench.outcome import Outcome, status_outcome


def test_the_more_specific_status_class_wins() -> None:
    assert [status_outcome(s) for s in (400, 404, 422, 429, 500, 503)] == [
        Outcome.HTTP_4XX,
        Outcome.HTTP_4XX,
        Outcome.HTTP_4XX,
        Outcome.HTTP_429,
        Outcome.HTTP_5XX,
        Outcome.HTTP_5XX,
    ]


def test_success_and_cancellation_are_not_failures() -> None:
    assert [outcome for outcome in Outcome if not outcome.is_failure] == [Outcome.OK, Outcome.CANCELLED]
