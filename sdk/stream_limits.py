"""Limits of a stream, without I/O: memory of its answers, events beyond the request, bytes without an answer."""

from __future__ import annotations

from collections.abc import Iterable

from sdk.answer_limit import too_large
from sdk.errors import ProtocolError
from sdk.streamed_answer import StreamedAnswer

CHECK_BYTES = 256 * 1024
"""A stream is checked each time this many bytes have arrived: a check for each token would cost too much."""
MAX_ANSWERS = 16_384
# As large as one event may be: otherwise an event without text, such as a prompt's log probabilities, would fail.
MAX_SILENT_BYTES = 16 * 1024 * 1024
MAX_SILENT_EVENTS = 100_000
_COPIES = 2  # reading the text joins its pieces, so that they are briefly in memory twice
# Some gateways send a token in several events, and events that only keep the connection alive count too.
_EVENTS_PER_TOKEN, _MORE_EVENTS = 16, 10_000


class StreamLimits:
    """Watches one stream; `tokens` is the number requested for all its answers together, None without a limit."""

    __slots__ = ("_finished", "_held", "_max_bytes", "_silent_bytes", "_since", "_tokens")

    def __init__(self, max_bytes: int, tokens: int | None) -> None:
        self._max_bytes = max_bytes
        self._tokens = tokens
        self._held = 0
        self._finished = 0
        self._silent_bytes = 0
        self._since = 0  # events at the last progress

    def problem(
        self, answers: Iterable[StreamedAnswer], received: int, events: int, finished: int, *, has_ids: bool
    ) -> ProtocolError | None:
        """The problem after `received` more bytes, or None. `events` and `finished` are totals."""
        held = sum(answer.compact() for answer in answers)
        if held > self._max_bytes // _COPIES:
            return too_large(self._max_bytes // _COPIES, "the text of the stream")
        if has_ids or held > self._held or finished > self._finished:
            self._silent_bytes, self._since = 0, events
        else:
            self._silent_bytes += received
        self._held, self._finished = held, finished
        if self._silent_bytes > MAX_SILENT_BYTES:
            return ProtocolError(f"the stream sent {self._silent_bytes} bytes in a row and nothing of an answer")
        if events - self._since > MAX_SILENT_EVENTS:
            return ProtocolError(f"the stream sent {events - self._since} events in a row and nothing of an answer")
        if self._tokens is not None and events > _EVENTS_PER_TOKEN * self._tokens + _MORE_EVENTS:
            return ProtocolError(
                f"the stream sent {events} events and goes on, though the request asked for {self._tokens} tokens"
                " (max_tokens × n)"
            )
        return None
