"""Judges an answer: whether it is complete, has the required length, or is not an answer at all. Pure."""

from __future__ import annotations

from typing import NamedTuple

from bench.answer.events import ChunkError, Reading
from bench.answer.server_message import encoding_of, error_of, stray_text, text_of, unfit_answer
from bench.answer.whole_answer import WholeAnswer, read_whole
from bench.outcome import Outcome
from bench.target import Head, refusal, status_failure
from bench.units import plural


def judge_stream(reading: Reading, *, cut: str | None, asked_tokens: int | None) -> tuple[Outcome, str | None]:
    """The class of a stream that began with a 2xx, and a message if it failed.

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
        return Outcome.LENGTH_MISMATCH, "the answer has a finish reason but no token"
    return _judge_length(tokens, asked_tokens)


def judge_stream_end(
    message: str | None, end: bytes, *, is_whole: bool, unread: Head | None
) -> tuple[Outcome, str | None]:
    """The class of a stream that stopped early (see `message`): its last bytes may hold the reason outside an event.

    `is_whole` is whether `end` is the whole stream, `unread` its head where it had no event at all.
    """
    error, stray = stray_text(end, is_whole=is_whole)
    if error is not None:
        return Outcome.STREAM_ERROR, f"error in the stream, sent without `data:`: {error}"
    if unread is not None:
        return unfit_answer(unread, end, streamed=True)
    return Outcome.TRUNCATED, f"{message}; beside its events the server sent: {stray}" if stray else message


class BodyJudgement(NamedTuple):
    """The class of a whole body; `whole` is the answer in it, if there is one."""

    outcome: Outcome
    message: str | None
    whole: WholeAnswer | None = None
    retry_after_s: float | None = None


def judge_body(head: Head, body: bytes, *, cut: str | None, streamed: bool, asked_tokens: int | None) -> BodyJudgement:
    """The class of an answer that is not a stream; `streamed` is whether a stream was requested."""
    if head.status >= 400:
        failure = status_failure(head, body)
        outcome, message = refusal(failure)
        message = message if failure.server_message else f"HTTP {head.status}: {text_of(body)}"
        return BodyJudgement(outcome, message, retry_after_s=failure.retry_after_s)
    if encoding := encoding_of(head):
        return BodyJudgement(Outcome.PROTOCOL, f"the answer is encoded as {encoding!r}, which was not requested")
    if cut is not None:
        return BodyJudgement(Outcome.TRUNCATED, cut)
    if streamed or head.status >= 300 or not body.strip() or error_of(body) is not None:
        return BodyJudgement(*unfit_answer(head, body, streamed=streamed))
    try:
        whole = read_whole(body)
    except ChunkError:
        return BodyJudgement(*unfit_answer(head, body, streamed=False))
    return BodyJudgement(*judge_whole(whole, asked_tokens=asked_tokens), whole)


def judge_whole(answer: WholeAnswer, *, asked_tokens: int | None) -> tuple[Outcome, str | None]:
    """The class of a 2xx answer in one piece, and a message if it failed."""
    if answer.finish_reason is None:
        return Outcome.TRUNCATED, "the answer has no finish reason"
    if answer.finish_reason in ("error", "abort"):
        return Outcome.STREAM_ERROR, f"the server ended the answer with finish reason {answer.finish_reason!r}"
    tokens = answer.completion_tokens
    if not tokens and (tokens == 0 or not answer.has_text):
        return Outcome.LENGTH_MISMATCH, "the answer has a finish reason but no token"
    return _judge_length(tokens, asked_tokens)


def _judge_length(tokens: int | None, asked_tokens: int | None) -> tuple[Outcome, str | None]:
    if asked_tokens is None or tokens is None or tokens == asked_tokens:
        return Outcome.OK, None
    return Outcome.LENGTH_MISMATCH, (
        f"{plural(tokens, 'token')} where {asked_tokens} were requested; "
        "use --no-ignore-eos to let the model end answers"
    )
