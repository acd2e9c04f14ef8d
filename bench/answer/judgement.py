"""Judges an answer that began with a 2xx: whether it is complete, and as long as it had to be. Pure."""

from __future__ import annotations

from bench.answer.events import Reading
from bench.answer.whole_answer import WholeAnswer
from bench.outcome import Outcome
from bench.units import plural


def judge_stream(reading: Reading, *, cut: str | None, asked_tokens: int | None) -> tuple[Outcome, str | None]:
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
