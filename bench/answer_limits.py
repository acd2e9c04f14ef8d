"""How much of an answer is read, by how long it was to be: a server may send without end. Pure, time is given.

The limits leave room for servers that do not keep the length asked for. They are looked at once a read, or once a look
around (`LOOK_S`), never once a token.
"""

from __future__ import annotations

from bench.units import NS_PER_S, format_count

LOOK_S = 1.0

# Beyond the length asked for: token events, and how long they may go on.
_EVENTS_FACTOR, _EVENTS_MORE = 4, 4096
EXCESS_S = 60.0

# Of one event, and of what an answer may take: the tokens with all that may stand beside each of them (logprobs).
MOST_EVENT_BYTES = 1024 * 1024
_TOKEN_BYTES, _BYTES_MORE = 16 * 1024, 1024 * 1024

# Of an error, in bytes, and of what belongs to no body: heads, trailers, sizes of chunks.
MOST_ERROR_BYTES = 64 * 1024
MOST_FRAMING_BYTES = 256 * 1024

# When the duration is over, answers that bring nothing are waited for so long.
DEFAULT_DRAIN_TIMEOUT_S = 300.0

# One of the first requests, unless --timeout says otherwise: a model may have to be loaded for it.
FIRST_ANSWER_S = 300.0

# A question beside the load: the list of models, /tokenize, /metrics.
QUESTION_S = 60.0
MOST_QUESTION_BYTES = 2 * 1024 * 1024


def most_events(asked_tokens: int) -> int:
    """So many token events may come where so many tokens were asked for."""
    return _EVENTS_FACTOR * asked_tokens + _EVENTS_MORE


def most_bytes(asked_tokens: int) -> int:
    """So many bytes may come, plain chunks not counted."""
    return _TOKEN_BYTES * asked_tokens + _BYTES_MORE


class EndlessAnswerError(Exception):
    """An answer went on beyond all that was asked for."""

    def __init__(self, events: int, asked_tokens: int) -> None:
        super().__init__(
            f"the answer did not end: {format_count(events)} token events where at most {format_count(asked_tokens)} "
            "tokens were asked for"
        )


class Drain:
    """Whether answers still bring anything after the load."""

    __slots__ = ("_limit_ns", "_seen", "_since_ns")

    def __init__(self, limit_s: float) -> None:
        self._limit_ns = limit_s * NS_PER_S
        self._seen: tuple[int, int] | None = None
        self._since_ns = 0

    def is_over(self, tokens: int, under_way: int, now_ns: int) -> bool:
        """With so many tokens so far, and so many answers under way: whether neither has changed for too long."""
        if self._seen != (tokens, under_way):
            self._seen, self._since_ns = (tokens, under_way), now_ns
        return now_ns - self._since_ns >= self._limit_ns
