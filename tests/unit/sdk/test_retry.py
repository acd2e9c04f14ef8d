from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdk.errors import (
    ConnectError,
    ConnectionLostError,
    ConnectTimeoutError,
    FirstByteTimeoutError,
    PoolTimeoutError,
    SDKError,
    StatusError,
    TLSError,
    TotalTimeoutError,
)
from sdk.retry import NO_RETRIES, RetryPolicy


def longest(low: float, high: float) -> float:
    return high


def status(code: int, retry_after_s: float | None = None) -> StatusError:
    return StatusError("no", status=code, retry_after_s=retry_after_s)


@pytest.mark.parametrize(
    ("error", "delays"),
    [
        (ConnectError("refused"), [0.25, 0.5, None]),
        (ConnectTimeoutError("silent"), [0.25, 0.5, None]),
        (PoolTimeoutError("busy"), [None]),
        (TotalTimeoutError("slow"), [None]),
        (TLSError("self-signed"), [None]),
        (ConnectionLostError("half-way"), [None]),
        (FirstByteTimeoutError("slow"), [None]),
        (status(503), [0.25, 0.5, None]),
        (status(429, 3.0), [3.0, 3.0, None]),
        (status(429, 3601.0), [None]),
        (status(503, float("inf")), [None]),
        (status(502), [0.25, None]),
        (status(504), [0.25, None]),
        (status(408), [0.25, None]),
        (status(500), [None]),
        (status(400), [None]),
        (status(409), [None]),
    ],
)
def test_which_errors_are_retried(error: SDKError, delays: list[float | None]) -> None:
    policy = RetryPolicy()
    assert [policy.delay_s(error, attempt, longest) for attempt in range(1, len(delays) + 1)] == delays


def test_retries_can_be_off() -> None:
    assert NO_RETRIES.delay_s(ConnectError("refused"), 1) is None


@given(st.integers(1, 2000))
def test_the_wait_stays_between_zero_and_the_limit(attempt: int) -> None:
    delay_s = RetryPolicy(max_retries=10_000, max_delay_s=8.0).delay_s(ConnectError("refused"), attempt)
    assert delay_s is not None
    assert 0.0 <= delay_s <= 8.0
