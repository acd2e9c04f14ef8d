"""Events of a chat whose text can contain thoughts and calls. They have many forms, so they are built as models."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mock_server.answer.bodies import (
    ChatChunkChoice,
    ChatCompletionChunk,
    ChatDelta,
    ChatFinishReason,
    ChatLogprobs,
    FunctionDelta,
    ToolCallDelta,
    Usage,
)
from mock_server.answer.choice_delta import ChoiceDelta
from mock_server.answer.frames import ChatFrames, FrameOptions
from mock_server.answer.logprobs import Logprobs
from mock_server.answer.message_reader import CallArguments, CallStart, Content, MessageReader, Part, Reasoning


class MessageFrames(ChatFrames):
    """Has a reader for each choice. `ends_with_calls`: an answer with calls has the finish reason `tool_calls`."""

    def __init__(
        self, options: FrameOptions, new_reader: Callable[[], MessageReader], *, ends_with_calls: bool
    ) -> None:
        super().__init__(options)
        self._new_reader = new_reader
        self._ends_with_calls = ends_with_calls
        self._readers: dict[int, MessageReader] = {}

    def delta(self, delta: ChoiceDelta) -> str:
        index, finish_reason, completion_tokens = delta.index, delta.finish_reason, delta.completion_tokens
        opening = ""
        reader = self._readers.get(index)
        if reader is None:
            reader = self._readers[index] = self._new_reader()
            opening = self._opening(index)
        parts = reader.push(delta.text)
        if finish_reason is not None:
            parts += reader.end()
        has_called = self._ends_with_calls and reader.num_calls > 0 and finish_reason == "stop"
        last: ChatFinishReason | None = "tool_calls" if has_called else finish_reason
        *earlier, end = [chat_delta(part) for part in parts] or [ChatDelta(content="")]
        events = [self._event(index, each, completion_tokens) for each in earlier]
        events.append(self._event(index, end, completion_tokens, last, delta.logprobs, delta.token_ids))
        return opening + "".join(events)

    def _event(
        self,
        index: int,
        delta: ChatDelta,
        completion_tokens: int,
        finish_reason: ChatFinishReason | None = None,
        logprobs: Logprobs | None = None,
        token_ids: Sequence[int] = (),
    ) -> str:
        options = self._options
        choice = ChatChunkChoice(
            index=index,
            delta=delta,
            logprobs=logprobs if isinstance(logprobs, ChatLogprobs) else None,
            finish_reason=finish_reason,
            **({"token_ids": list(token_ids)} if options.token_ids else {}),
        )
        chunk = ChatCompletionChunk(
            id=options.id,
            object="chat.completion.chunk",
            created=options.created,
            model=options.model,
            choices=[choice],
            **self._usage_field(completion_tokens),
        )
        return f"data: {chunk.model_dump_json(exclude_unset=True)}\n\n"

    def _usage_field(self, completion_tokens: int) -> dict[str, Usage | None]:
        options = self._options
        if not options.continuous_usage:
            return {"usage": None} if options.include_usage else {}
        usage = Usage(
            prompt_tokens=options.prompt_tokens,
            completion_tokens=completion_tokens,
            total_tokens=options.prompt_tokens + completion_tokens,
        )
        return {"usage": usage}


def chat_delta(part: Part) -> ChatDelta:
    match part:
        case Content(text):
            return ChatDelta(content=text)
        case Reasoning(text):
            return ChatDelta(reasoning=text, reasoning_content=text)
        case CallStart(call, id, name):
            function = FunctionDelta(name=name, arguments="")
            return ChatDelta(tool_calls=[ToolCallDelta(index=call, id=id, type="function", function=function)])
        case CallArguments(call, text):
            return ChatDelta(tool_calls=[ToolCallDelta(index=call, function=FunctionDelta(arguments=text))])
