"""Limits on how much of an answer is read, by the length requested: a server may never stop. Pure; time is an argument.

The limits leave room for servers that do not keep to the requested length. They are checked once per read, or every
`LOOK_S`, never once per token.
"""

from __future__ import annotations

from bench.units import NS_PER_S, format_count

LOOK_S = 1.0

# Beyond the requested length: the most token events, and how long they may continue.
_EVENTS_FACTOR, _EVENTS_MORE = 4, 4096
EXCESS_S = 60.0

# The most bytes of one event, and of an answer: its tokens, each with its log probabilities.
MOST_EVENT_BYTES = 1024 * 1024
_TOKEN_BYTES, _BYTES_MORE = 16 * 1024, 1024 * 1024

# The most bytes of an error, and of everything outside bodies: heads, trailers, chunk sizes.
MOST_ERROR_BYTES = 64 * 1024
MOST_FRAMING_BYTES = 256 * 1024

# How long the bench waits after the load for answers in which nothing arrives.
DEFAULT_DRAIN_TIMEOUT_S = 300.0

# The limit of the first requests unless --timeout is given: the server may have to load a model for them.
FIRST_ANSWER_S = 300.0

# The limits of requests outside the load: the list of models, /tokenize, /metrics.
QUESTION_S = 60.0
MOST_QUESTION_BYTES = 2 * 1024 * 1024


def most_events(asked_tokens: int) -> int:
    """The most token events of an answer for which this many tokens were requested."""
    return _EVENTS_FACTOR * asked_tokens + _EVENTS_MORE


def most_bytes(asked_tokens: int) -> int:
    """The most bytes of such an answer, not counting plain chunks."""
    return _TOKEN_BYTES * asked_tokens + _BYTES_MORE


class EndlessAnswerError(Exception):
    """An answer continued far beyond the requested length."""

    def __init__(self, events: int, asked_tokens: int) -> None:
        super().__init__(
            f"the answer did not end: {format_count(events)} token events where at most {format_count(asked_tokens)} "
            "tokens were requested"
        )


class Drain:
    """Decides whether the answers still in progress after the load have stopped arriving."""

    __slots__ = ("_limit_ns", "_seen", "_since_ns")

    def __init__(self, limit_s: float) -> None:
        self._limit_ns = limit_s * NS_PER_S
        self._seen: tuple[int, int] | None = None
        self._since_ns = 0

    def is_over(self, tokens: int, under_way: int, now_ns: int) -> bool:
        """Whether neither the tokens so far nor the number of answers in progress has changed for too long."""
        if self._seen != (tokens, under_way):
            self._seen, self._since_ns = (tokens, under_way), now_ns
        return now_ns - self._since_ns >= self._limit_ns
