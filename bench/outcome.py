"""How a request ended: exactly one class each, the more specific where two would fit."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from bench.units import plural

if TYPE_CHECKING:  # events are read by what knows the outcomes
    from bench.answer.events import Reading
    from bench.answer.whole import WholeAnswer


class Outcome(StrEnum):
    """`OK` is success; every other member is a class of failure, in the order in which a report lists them."""

    OK = "ok"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT_CONNECT = "timeout_connect"
    TIMEOUT_FIRST_BYTE = "timeout_first_byte"
    TIMEOUT_STALL = "timeout_stall"
    TIMEOUT_TOTAL = "timeout_total"
    HTTP_429 = "http_429"
    HTTP_4XX = "http_4xx"
    HTTP_5XX = "http_5xx"
    STREAM_ERROR = "stream_error"
    TRUNCATED = "truncated"
    PROTOCOL = "protocol"
    LENGTH_MISMATCH = "length_mismatch"
    CANCELLED = "cancelled"
    CLIENT_LIMIT = "client_limit"  # last: old records know the others by their position

    @property
    def is_failure(self) -> bool:
        """Whether it is neither a success nor a request that the bench itself gave up."""
        return self not in (Outcome.OK, Outcome.CANCELLED)


def status_outcome(status: int) -> Outcome:
    """The class of an HTTP status of 400 or more."""
    if status == 429:
        return Outcome.HTTP_429
    return Outcome.HTTP_5XX if status >= 500 else Outcome.HTTP_4XX


def judge(reading: Reading, *, cut: str | None, asked_tokens: int | None) -> tuple[Outcome, str | None]:
    """The class of a stream that began with a 2xx, and what to say about it when it failed.

    `cut` says how the connection broke, None after a clean end. `asked_tokens` is the length the answer had to
    have, None when its length was left to the model.
    """
    events = reading.events
    tokens = reading.completion_tokens
    so_far = f"after {plural(tokens, 'token')}" if tokens else f"after {plural(events, 'chunk')}"
    if reading.finish_reason is None:
        if cut is not None:
            return Outcome.TRUNCATED, f"{cut} {so_far}"
        if reading.done_ns is not None:
            return Outcome.TRUNCATED, f"stream ended with [DONE] but no finish reason {so_far}"
        return Outcome.TRUNCATED, f"stream ended without a finish reason or [DONE] {so_far}"
    if reading.finish_reason in ("error", "abort"):
        return (
            Outcome.STREAM_ERROR,
            f"the server ended the answer with finish reason {reading.finish_reason!r} {so_far}",
        )
    if cut is not None and reading.done_ns is None:
        return Outcome.TRUNCATED, f"{cut} before [DONE], {so_far}"
    if events == 0:
        return Outcome.LENGTH_MISMATCH, "the answer has a finish reason but not a single token"
    return _judge_length(tokens, asked_tokens)


def judge_whole(answer: WholeAnswer, *, asked_tokens: int | None) -> tuple[Outcome, str | None]:
    """The same for a 2xx answer that came in one piece."""
    if answer.finish_reason is None:
        return Outcome.TRUNCATED, "the answer has no finish reason"
    if answer.finish_reason in ("error", "abort"):
        return Outcome.STREAM_ERROR, f"the server ended the answer with finish reason {answer.finish_reason!r}"
    tokens = answer.completion_tokens
    if not tokens and (tokens == 0 or not answer.has_text):
        return Outcome.LENGTH_MISMATCH, "the answer has a finish reason but not a single token"
    return _judge_length(tokens, asked_tokens)


def _judge_length(tokens: int | None, asked_tokens: int | None) -> tuple[Outcome, str | None]:
    if asked_tokens is None or tokens is None or tokens == asked_tokens:
        return Outcome.OK, None
    return Outcome.LENGTH_MISMATCH, (
        f"{plural(tokens, 'token')} where {asked_tokens} were asked for; "
        "with --no-ignore-eos answers may end where the model ends them"
    )
