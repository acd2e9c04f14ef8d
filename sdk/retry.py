"""Whether to retry after an error, and after how long: a pure policy."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from sdk.errors import ConnectError, ConnectTimeoutError, SDKError, StatusError, TLSError

_ONCE = frozenset({408, 502, 504})
_WHEN_TOLD = frozenset({429, 503})
MAX_WAIT_S = 3600.0
_MOST_DOUBLINGS = 64


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a call is retried: at most `max_retries` times; 0 turns retries off.

    The SDK retries a connection that could not be made (or not in time), 429 and 503 (after Retry-After, if that is
    within an hour), and once 408, 502 and 504. It never retries a call whose answer has begun or whose total time limit
    has passed. The wait is uniform in [0, min(`max_delay_s`, `base_delay_s`·2ⁿ)]: full jitter spreads callers that
    failed together.
    """

    max_retries: int = 2
    base_delay_s: float = 0.25
    max_delay_s: float = 8.0

    def delay_s(
        self, error: SDKError, attempt: int, uniform: Callable[[float, float], float] = random.uniform
    ) -> float | None:
        """Seconds to wait after `attempt` (from 1) failed with `error`, or None to give up."""
        if attempt > self.max_retries:
            return None
        backoff_s = uniform(0.0, min(self.max_delay_s, self.base_delay_s * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS)))
        if isinstance(error, StatusError):
            if error.status in _WHEN_TOLD:
                told_s = error.retry_after_s
                if told_s is None:
                    return backoff_s
                return told_s if told_s <= MAX_WAIT_S else None
            return backoff_s if error.status in _ONCE and attempt == 1 else None
        if isinstance(error, (ConnectError, ConnectTimeoutError)) and not isinstance(error, TLSError):
            return backoff_s
        return None


NO_RETRIES = RetryPolicy(max_retries=0)
