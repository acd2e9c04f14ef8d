"""Chunks of a stream, as msgspec structs: a fifth of what a pydantic model costs, and they come by the thousand.

What a server leaves out is None, null text is empty text, and what has no field here stays in `raw`. So does what has
a type of its own (a `created` that is text, say) and does not matter to the answer: its field is None.
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
    """A piece of a call: the name comes once, `arguments` bit by bit."""

    name: str | None = None
    arguments: str | None = None


if TYPE_CHECKING:
    Text = str
    RareText = str | None
    RarePiece = FunctionPiece | None
    RareValue = Any
else:
    Text = str | None  # null on the wire; the reader of the stream turns it into empty text
    # Only null is taken at full speed: an event with more is read by `sdk.odd_answer`, which sets the field.
    RareText = RarePiece = RareValue = None


class ToolCallPiece(msgspec.Struct, gc=False, kw_only=True):
    """A piece of a tool call; `id` or `index` says of which."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: FunctionPiece | None  # one that lacks it is read with more care: its name may stand a level higher


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
        """The reasoning, under whichever of its two wire names it came; empty when there is none."""
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
    """What chunks of both kinds have. `raw` is the event's data as it came."""

    id: str | None = None
    object: str | None = None
    created: int | float | None = None
    model: str | None = None
    error: RareValue = None  # some gateways put it beside choices
    usage_fields: dict[str, Any] | None = msgspec.field(default=None, name="usage")
    raw: bytes = msgspec.field(default=b"", name="(raw)")  # no name that a server uses

    @property
    def usage(self) -> UsageInfo | None:
        """Tokens so far, where the server counts on every chunk."""
        return None if self.usage_fields is None else read_usage(self.usage_fields)

    def model_dump(self) -> dict[str, Any]:
        """All that the server sent, its own fields included."""
        try:
            sent: dict[str, Any] = msgspec.json.decode(self.raw)
        except ValueError:  # NaN, say, which Python's own reader takes
            try:
                sent = read_json(self.raw)
            except ValueError as error:  # a number of thousands of digits in a field that nothing else reads
                raise ProtocolError(f"the chunk cannot be read whole: {error}") from None
        return sent

    def model_dump_json(self) -> str:
        """The same as the text that came."""
        return self.raw.decode()

    def __getattr__(self, name: str) -> Any:
        """Fields that only this server sends (`prompt_token_ids`, say). Raises AttributeError when it sent none."""
        sent = self.model_dump() if self.raw and not name.startswith("_") else {}
        if name not in sent:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}, and the server sent none")
        return sent[name]


class ChatCompletionStreamResponse(_Chunk, gc=False, kw_only=True):
    """A chunk of a chat stream. Its `choices` are never empty on the way to the caller."""

    if TYPE_CHECKING:
        choices: list[ChatCompletionResponseStreamChoice]
    else:
        choices: list[ChatCompletionResponseStreamChoice] | None = None


class CompletionStreamResponse(_Chunk, gc=False, kw_only=True):
    """A chunk of a completion stream. Its `choices` are never empty on the way to the caller."""

    if TYPE_CHECKING:
        choices: list[CompletionResponseStreamChoice]
    else:
        choices: list[CompletionResponseStreamChoice] | None = None


def read_usage(fields: dict[str, Any]) -> UsageInfo:
    """A server's count of tokens."""
    from sdk.types import UsageInfo  # pydantic's models take long to import, and most chunks have no count

    return UsageInfo.model_validate(fields)


DECODERS: dict[type[Any], Callable[[bytes], Any]] = {
    kind: msgspec.json.Decoder(kind).decode for kind in (ChatCompletionStreamResponse, CompletionStreamResponse)
}
