"""One answer, from real servers."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from itertools import pairwise
from typing import Any, TypeVar

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from mock_server.chat_page.answering import Answering, Request
from mock_server.chat_page.conversation import Conversation, Turn
from sdk import AsyncInferenceClient
from tests.support.serving import Serving, serving, serving_app

T = TypeVar("T")


def on(served: Serving, main: Callable[[AsyncInferenceClient], Awaitable[T]]) -> T:
    async def run() -> T:
        async with AsyncInferenceClient(served.url) as client:
            return await main(client)

    return asyncio.run(run())


def request(question: str, *, model: str = "sim-chat", is_chat: bool = True, **fields: Any) -> Request:
    return Request(Conversation("c", (Turn(question),)), model, is_chat, fields)


async def turns(answering: Answering) -> list[Turn]:
    return [turn async for turn in answering.snapshots()]


class Endless:
    """A server whose answer does not end; `left` is set when its client has gone."""

    def __init__(self) -> None:
        self.began, self.left = threading.Event(), threading.Event()
        self.app = Starlette(routes=[Route("/v1/chat/completions", self._chat, methods=["POST"])])

    async def _chat(self, asked: HttpRequest) -> Response:
        return StreamingResponse(self._events(), media_type="text/event-stream")

    async def _events(self) -> AsyncIterator[str]:
        self.began.set()
        try:
            while True:
                yield event({"index": 0, "delta": {"content": "on and "}, "finish_reason": None})
                await asyncio.sleep(0.001)
        finally:
            self.left.set()


def event(choice: object) -> str:
    return f"data: {json.dumps({'id': 'x', 'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n"


def test_an_answer_arrives_in_snapshots() -> None:
    with serving() as served:
        seen = on(served, lambda client: turns(Answering(client, request("Where is West Lake?"))))
    last = seen[-1]
    assert last.ending == "stop"
    assert last.model == "sim-chat"
    assert last.figures.is_counted
    assert last.figures.tokens > 3
    assert last.figures.ttft_s is not None
    assert last.figures.last_s is not None
    assert 0 < last.figures.ttft_s <= last.figures.last_s
    for earlier, later in pairwise(seen):
        assert later.answer.startswith(earlier.answer)
    assert all(not turn.ending for turn in seen[:-1])


def test_an_answer_at_the_limit_of_tokens_says_so() -> None:
    with serving() as served:
        *_, last = on(served, lambda client: turns(Answering(client, request("Where?", max_tokens=3))))
    assert last.ending == "length"
    assert last.figures.tokens == 3


def test_a_base_model_continues_the_text() -> None:
    with serving() as served:
        *_, last = on(served, lambda client: turns(Answering(client, request("West Lake is", is_chat=False))))
    assert last.answer
    assert last.ending in ("stop", "length")


def test_stopping_ends_the_request_and_keeps_the_text() -> None:
    async def main(client: AsyncInferenceClient) -> Turn:
        answering = Answering(client, request("Go on."))
        async for turn in answering.snapshots():
            if turn.answer and not turn.ending:
                answering.stop()
        return turn

    endless = Endless()
    with serving_app(endless.app) as served:
        turn = on(served, main)
        assert turn.ending == "stopped"
        assert turn.answer.startswith("on and ")
        assert endless.left.wait(20)


def test_leaving_an_answer_waits_for_its_end() -> None:
    async def main(client: AsyncInferenceClient) -> Turn:
        answering = Answering(client, request("Go on."))
        reading = asyncio.create_task(turns(answering))
        assert await asyncio.to_thread(endless.began.wait, 20)
        await answering.leave()
        assert answering.is_left
        return (await reading)[-1]

    endless = Endless()
    with serving_app(endless.app) as served:
        assert on(served, main).ending == "stopped"
        assert endless.left.wait(20)


def test_leaving_the_snapshots_ends_the_request() -> None:
    async def main(client: AsyncInferenceClient) -> None:
        async with aclosing(Answering(client, request("Go on.")).snapshots()) as snapshots:  # type: ignore[type-var]
            assert (await anext(snapshots)).answer
        assert await asyncio.to_thread(endless.left.wait, 20)  # while the client is still open

    endless = Endless()
    with serving_app(endless.app) as served:
        on(served, main)


def test_an_answer_can_be_stopped_before_it_begins() -> None:
    async def main(client: AsyncInferenceClient) -> Turn:
        answering = Answering(client, request("Go on."))
        reading = asyncio.create_task(turns(answering))
        await waiting.wait()
        answering.stop()
        return (await reading)[-1]

    waiting = asyncio.Event()

    async def silent(asked: HttpRequest) -> Response:
        loop.call_soon_threadsafe(waiting.set)
        await asked.receive()  # the rest of the body, if any
        await asked.receive()  # its client has left
        return Response()

    async def run(served: Serving) -> Turn:
        nonlocal loop
        loop = asyncio.get_running_loop()
        async with AsyncInferenceClient(served.url) as client:
            return await main(client)

    loop: asyncio.AbstractEventLoop
    app = Starlette(routes=[Route("/v1/chat/completions", silent, methods=["POST"])])
    with serving_app(app) as served:
        assert asyncio.run(run(served)) == Turn("Go on.", model="sim-chat", ending="stopped")


def test_an_error_of_the_server_ends_the_turn() -> None:
    with serving() as served:
        (last,) = on(served, lambda client: turns(Answering(client, request("Where?", model="no-such-model"))))
    assert last.ending == "failed"
    assert "no-such-model" in last.error
    assert "sim-chat" in last.error
    assert "\n" not in last.error


def test_no_server_ends_the_turn() -> None:
    client = AsyncInferenceClient("http://127.0.0.1:9")
    (last,) = asyncio.run(turns(Answering(client, request("Where?"))))
    assert last.ending == "failed"
    assert "127.0.0.1" in last.error


@pytest.mark.parametrize("is_broken", [True, False])
def test_thoughts_and_what_came_before_a_break_are_kept(is_broken: bool) -> None:
    async def events() -> AsyncIterator[str]:
        for delta in ({"reasoning_content": "Hm. "}, {"content": "Yes"}):
            yield event({"index": 0, "delta": delta, "finish_reason": None})
        if not is_broken:
            yield event({"index": 0, "delta": {}, "finish_reason": "stop"})
            yield "data: [DONE]\n\n"

    async def chat(asked: HttpRequest) -> Response:
        if (await asked.json()).get("stream_options") is None:
            return JSONResponse({"error": {"message": "no usage asked for"}}, 400)
        return StreamingResponse(events(), media_type="text/event-stream")

    with serving_app(Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])) as served:
        *_, last = on(served, lambda client: turns(Answering(client, request("Well?"))))
    assert (last.thoughts, last.answer) == ("Hm. ", "Yes")
    assert last.ending == ("failed" if is_broken else "stop")
    assert (last.figures.tokens, last.figures.is_counted) == (2, False)  # two events, as the server does not count
