"""One answer: asks the server, measures while the text arrives, and can be stopped."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mock_server.chat_page.conversation import Conversation, Ending, Figures, Turn
from sdk import (
    AsyncInferenceClient,
    AsyncStream,
    ChatCompletionStreamResponse,
    CompletionStreamResponse,
    SDKError,
)

_Stream = AsyncStream[ChatCompletionStreamResponse] | AsyncStream[CompletionStreamResponse]
_PAUSE_S, _MOST_S = 0.1, 1.0
_PAUSE_PER_CHARACTER_S = 50e-6
"""The time between two snapshots. It grows with the text, all of which the browser formats anew each time: a browser
that is busy with that would not even notice a click on its stop button.
"""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: the last question of a conversation. `fields` are those of `sdk.XRequestConfig`."""

    conversation: Conversation
    model: str
    is_chat: bool
    fields: Mapping[str, Any]


class Answering:
    """The answer to one request. `snapshots` may be iterated once, `stop` called at any time."""

    def __init__(
        self, client: AsyncInferenceClient, request: Request, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._client = client
        self._request = request
        self._clock = clock
        self._turn = replace(request.conversation.turns[-1], model=request.model)
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_stopped = False
        self.is_left = False
        """Whether another conversation has taken the place of this one on the page."""

    async def snapshots(self) -> AsyncIterator[Turn]:
        """The turn as far as its answer has arrived, again and again; the last one has an ending.

        Leaving the iteration, or cancelling its task, ends the request as `stop` does.
        """
        self._task = asyncio.create_task(self._run(), name="answer")
        self._task.add_done_callback(lambda _: self._changed.set())  # one that is cancelled early never runs
        if self._is_stopped:
            self._task.cancel()
        try:
            while not self._task.done():
                await self._changed.wait()
                self._changed.clear()
                if not self._task.done():
                    yield self._turn
                    await asyncio.wait((self._task,), timeout=self._pause_s())
            if not self._turn.ending:
                self._end("stopped")
            yield self._turn
        finally:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._ended.set()

    def stop(self) -> None:
        """Ends the request at the server. The text so far stays."""
        self._is_stopped = True
        if self._task is not None:
            self._task.cancel()

    async def leave(self) -> None:
        """Stops, because another conversation takes the place of this one, and waits until `snapshots` has ended."""
        self.is_left = True
        self.stop()
        await self._ended.wait()

    def _pause_s(self) -> float:
        length = len(self._turn.answer) + len(self._turn.thoughts)
        return min(_PAUSE_S + length * _PAUSE_PER_CHARACTER_S, _MOST_S)

    async def _run(self) -> None:
        try:
            self._end(await self._read())
        except asyncio.CancelledError:
            self._end("stopped" if self._is_stopped else "")
        except SDKError as error:
            self._turn = replace(self._turn, error=error.message)
            self._end("failed")

    async def _read(self) -> Ending:
        """Reads the answer into the turn; returns how it ended. Raises `SDKError`."""
        began = self._clock()
        stream = await self._open()
        async with contextlib.aclosing(stream):
            async for chunk in stream:
                if _has_text(chunk):
                    self._take_text(stream, self._clock() - began)
        if stream.usage is not None and stream.usage.completion_tokens:
            tokens = stream.usage.completion_tokens
            self._turn = replace(self._turn, figures=replace(self._turn.figures, tokens=tokens, is_counted=True))
        return "length" if stream.finish_reason == "length" else "stop"

    async def _open(self) -> _Stream:
        asked, fields = self._request, self._request.fields
        if asked.is_chat:
            return await self._client.chat_stream(asked.model, asked.conversation.messages(), **fields)
        return await self._client.complete_stream(asked.model, asked.conversation.turns[-1].question, **fields)

    def _take_text(self, stream: _Stream, elapsed_s: float) -> None:
        before = self._turn.figures
        figures = Figures(
            ttft_s=elapsed_s if before.ttft_s is None else before.ttft_s, last_s=elapsed_s, tokens=before.tokens + 1
        )
        self._turn = replace(self._turn, answer=stream.text, thoughts=stream.reasoning, figures=figures)
        self._changed.set()

    def _end(self, ending: Ending) -> None:
        self._turn = replace(self._turn, ending=ending)


def _has_text(chunk: ChatCompletionStreamResponse | CompletionStreamResponse) -> bool:
    if isinstance(chunk, CompletionStreamResponse):
        return any(choice.text for choice in chunk.choices)
    return any(choice.delta.content or choice.delta.thoughts for choice in chunk.choices)
