"""What a stream's events say, by a partial decode: which carry tokens, what the usage is, how the stream ended.

Pure: payloads and their arrival stamps go in. The rules are those of docs/metrics.md, "Token events".
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

DONE = b"[DONE]"


class PromptDetails(msgspec.Struct, gc=False):
    """The part of the prompt that the server did not have to read."""

    cached_tokens: int | None = None


class Usage(msgspec.Struct, gc=False):
    """The server's own count of tokens so far."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None


class _Delta(msgspec.Struct, gc=False):
    role: str | None = None
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[Any] | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    text: str | None = None
    finish_reason: str | None = None
    token_ids: list[int] | None = None
    logprobs: Any = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: Usage | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode

# What a choice carries, from least to most.
_NOTHING, _EMPTY, _HIDDEN, _VISIBLE = range(4)


def _carried(choice: _Choice) -> int:
    delta = choice.delta
    if delta is None:
        text = choice.text
        if text:
            return _VISIBLE
        silent = _NOTHING if text is None else _EMPTY
    else:
        if delta.content or delta.tool_calls:
            return _VISIBLE
        if delta.reasoning or delta.reasoning_content:
            return _HIDDEN
        silent = _NOTHING if delta.content is None or delta.role is not None else _EMPTY
    if choice.token_ids or _lists_tokens(choice.logprobs):
        return _HIDDEN
    return silent


def _lists_tokens(logprobs: Any) -> bool:
    """Whether a `logprobs` object names any token (`content` in chat, `tokens` in completions)."""
    return isinstance(logprobs, dict) and bool(logprobs.get("content") or logprobs.get("tokens"))


class ChunkError(ValueError):
    """An event that is no chunk: not JSON, not an object, or a field of another type."""


class Reading:
    """Accumulates one stream.

    `events_ns` are the arrivals of its token events; `grown` says for each how far the server's usage had grown
    with it, -1 where that is not known. `empty` are the positions of events whose text was empty, `visible` is the
    position of the first event with content or a tool call. `error` is the payload of the first error event.
    """

    __slots__ = (
        "_is_continuous",
        "_tokens",
        "done_ns",
        "empty",
        "error",
        "events_ns",
        "finish_reason",
        "grown",
        "usage",
        "visible",
    )

    def __init__(self) -> None:
        self.events_ns: list[int] = []
        self.grown: list[int] = []
        self.empty: list[int] = []
        self.visible: int | None = None
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.done_ns: int | None = None
        self.error: Any = None
        self._tokens = 0
        self._is_continuous = True  # until a token event comes without usage

    def take(self, payload: bytes, arrived_ns: int) -> int:
        """Account for the data of one event; returns the tokens it carried (1 where their number is not known yet).

        Raises ChunkError.
        """
        if payload == DONE:
            self.done_ns = arrived_ns
            return 0
        if self.done_ns is not None:
            return 0  # nothing after [DONE] is part of the answer
        try:
            chunk = _decode(payload)
        except ValueError as error:
            raise ChunkError(f"{error}: {payload[:80].decode('utf-8', 'replace')}") from None
        usage = chunk.usage
        grown = -1 if usage is None else self._grow(usage)
        if chunk.error is not None or (chunk.choices is None and usage is None):
            self.take_error(payload)
            return 0
        if not chunk.choices:
            return 0
        choice = chunk.choices[0]
        if choice.finish_reason is not None:
            self.finish_reason = choice.finish_reason
        carried = _carried(choice)
        if grown <= 0 and (carried == _NOTHING or (carried == _EMPTY and grown == 0)):
            return 0
        if grown < 0:
            self._is_continuous = False
        if carried == _EMPTY:
            self.empty.append(len(self.events_ns))
        elif carried == _VISIBLE and self.visible is None:
            self.visible = len(self.events_ns)
        self.events_ns.append(arrived_ns)
        self.grown.append(grown)
        return grown if grown > 0 else 1

    def _grow(self, usage: Usage) -> int:
        """How far the usage has grown since the last event, -1 where that cannot be told."""
        self.usage = usage
        if not self._is_continuous or usage.completion_tokens is None:
            return -1
        grown = usage.completion_tokens - self._tokens
        self._tokens = usage.completion_tokens
        return grown

    def take_error(self, payload: bytes) -> None:
        """Account for an event that is an error, by its type or by its form."""
        if self.error is None:
            try:
                self.error = msgspec.json.decode(payload)
            except ValueError:
                self.error = {"error": payload.decode("utf-8", "replace")}

    @property
    def completion_tokens(self) -> int | None:
        """The tokens of the answer by the server's usage, None when it sent none."""
        return None if self.usage is None else self.usage.completion_tokens


class TokenEvents(NamedTuple):
    """The token events of a whole stream.

    `tokens` says how many tokens each carried: 1 for one each, a list, or None where nothing tells. `visible` is the
    position of the first with content or a tool call, `empty` the number of those without text. `continuous_usage`
    is whether usage came with every event.
    """

    arrived_ns: list[int]
    tokens: int | list[int] | None
    visible: int | None
    empty: int
    continuous_usage: bool


def token_events(reading: Reading) -> TokenEvents:
    """What a stream amounts to, once it has ended.

    Tokens per event are known where usage came with every event, or where the final usage equals the number of
    events. Where it equals the number of events with text, the empty ones carried nothing and are none.
    """
    arrived_ns, grown, total = reading.events_ns, reading.grown, reading.completion_tokens
    tokens: int | list[int] | None = None
    is_continuous = bool(grown) and min(grown) >= 0
    if is_continuous:
        tokens = 1 if min(grown) == max(grown) == 1 else grown
    elif total is not None and total == len(grown):
        tokens = 1
    elif reading.empty and total == len(grown) - len(reading.empty):
        dropped = set(reading.empty)
        kept = [position for position in range(len(grown)) if position not in dropped]
        visible = None if reading.visible is None else kept.index(reading.visible)
        return TokenEvents([arrived_ns[position] for position in kept], 1, visible, 0, False)
    return TokenEvents(arrived_ns, tokens, reading.visible, len(reading.empty), is_continuous)
