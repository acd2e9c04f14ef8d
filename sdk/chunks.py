"""Chunks of a stream, as msgspec structs: they arrive by the thousand, and cost a fifth of a pydantic model.

A field that the server leaves out is None, null text is empty text, and anything without a field here stays in `raw`.
A field of an unexpected type that does not matter to the answer (`created` as text, for example) is None, and stays in
`raw` too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from sdk.body import read_json
from sdk.errors import ProtocolError

if TYPE_CHECKING:
    from sdk.types import UsageInfo


class FunctionPiece(msgspec.Struct, gc=False):
    """A piece of a call: the name arrives once, `arguments` in pieces."""

    name: str | None = None
    arguments: str | None = None


if TYPE_CHECKING:
    Text = str
    RareText = str | None
    RarePiece = FunctionPiece | None
    RareValue = Any
else:
    Text = str | None  # null on the wire; the reader of the stream turns it into empty text
    # The fast path accepts null alone. `sdk.odd_answer` reads an event that has more, and sets the field.
    RareText = RarePiece = RareValue = None


class ToolCallPiece(msgspec.Struct, gc=False, kw_only=True):
    """A piece of a tool call; `id` or `index` names the call."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: FunctionPiece | None  # a piece without it takes the slow path: the name may be one level up


class DeltaMessage(msgspec.Struct, gc=False):
    """A piece of an answer. `content` is always text, empty when the piece carries none."""

    content: Text = ""
    role: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallPiece] | None = None
    refusal: RareText = None
    function_call: RarePiece = None

    @property
    def thoughts(self) -> str:
        """The reasoning, under either of the names that servers use; empty without any."""
        return self.reasoning or self.reasoning_content or ""


class _Choice(msgspec.Struct, gc=False, kw_only=True):
    index: int = 0
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    logprobs: dict[str, Any] | None = None
    token_ids: list[int] | None = None


class ChatCompletionResponseStreamChoice(_Choice, gc=False, kw_only=True):
    """One answer's share of a chunk."""

    if TYPE_CHECKING:
        delta: DeltaMessage
    else:
        delta: DeltaMessage | None = None


class CompletionResponseStreamChoice(_Choice, gc=False, kw_only=True):
    """One text's share of a chunk."""

    text: Text = ""


class _Chunk(msgspec.Struct, gc=False, kw_only=True):
    """The fields of both kinds of chunks. `raw` is the data of the event, unchanged."""

    id: str | None = None
    object: str | None = None
    created: int | float | None = None
    model: str | None = None
    error: RareValue = None  # some gateways send it together with choices
    usage_fields: dict[str, Any] | None = msgspec.field(default=None, name="usage")
    raw: bytes = msgspec.field(default=b"", name="(raw)")  # a name that no server uses

    @property
    def usage(self) -> UsageInfo | None:
        """Tokens so far, if the server counts them on every chunk."""
        return None if self.usage_fields is None else read_usage(self.usage_fields)

    def model_dump(self) -> dict[str, Any]:
        """Everything that the server sent, fields of its own included."""
        try:
            sent: dict[str, Any] = msgspec.json.decode(self.raw)
        except ValueError:  # for example NaN, which Python's own parser accepts
            try:
                sent = read_json(self.raw)
            except ValueError as error:  # a number of thousands of digits, in a field that nothing else parses
                raise ProtocolError(f"the chunk cannot be parsed as a whole: {error}") from None
        return sent

    def model_dump_json(self) -> str:
        """The same, as the text that arrived."""
        return self.raw.decode()

    def __getattr__(self, name: str) -> Any:
        """A field that only this server sends, such as `prompt_token_ids`. Raises AttributeError if it sent none."""
        sent = self.model_dump() if self.raw and not name.startswith("_") else {}
        if name not in sent:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}, and the server sent none")
        return sent[name]


class ChatCompletionStreamResponse(_Chunk, gc=False, kw_only=True):
    """A chunk of a chat stream. The caller never sees one with empty `choices`."""

    if TYPE_CHECKING:
        choices: list[ChatCompletionResponseStreamChoice]
    else:
        choices: list[ChatCompletionResponseStreamChoice] | None = None


class CompletionStreamResponse(_Chunk, gc=False, kw_only=True):
    """A chunk of a completion stream. The caller never sees one with empty `choices`."""

    if TYPE_CHECKING:
        choices: list[CompletionResponseStreamChoice]
    else:
        choices: list[CompletionResponseStreamChoice] | None = None


def read_usage(fields: dict[str, Any]) -> UsageInfo:
    """A server's count of tokens."""
    from sdk.types import UsageInfo  # pydantic's models are slow to import, and most chunks have no count

    return UsageInfo.model_validate(fields)


DECODERS: dict[type[Any], Callable[[bytes], Any]] = {
    kind: msgspec.json.Decoder(kind).decode for kind in (ChatCompletionStreamResponse, CompletionStreamResponse)
}
