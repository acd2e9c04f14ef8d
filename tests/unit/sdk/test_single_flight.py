"""Calls that begin together fetch the list of models once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import trio

from sdk import (
    AsyncInferenceClient,
    AuthenticationError,
    InferenceClient,
    ModelNotFoundError,
    TotalTimeoutError,
    inference_client,
    inference_client_async,
)
from sdk.deadline import Deadline
from sdk.transport.base import Request
from sdk.transport.fake import AsyncFakeExchange, AsyncFakeTransport, FakeAnswer
from tests.support.wire import Peer, WireServer
from tests.unit.sdk.api import Api


def content(answer: Any) -> str:
    text: str = answer.choices[0].message.content
    return text


def gathered(url: str) -> list[str]:
    async def main() -> list[str]:
        return [
            content(a) for a in await asyncio.gather(*(inference_client_async("m", "q", url=url) for _ in range(50)))
        ]

    return asyncio.run(main())


def on_trio(url: str) -> list[str]:
    answers: list[str] = []

    async def main() -> None:
        client = AsyncInferenceClient(url)

        async def one() -> None:
            answers.append(content(await client.infer("m", "q")))

        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(one)

    trio.run(main)
    return answers


def threaded(url: str) -> list[str]:
    together = threading.Barrier(20)

    def one(_: int) -> str:
        together.wait(10)
        return content(inference_client("m", "q", url=url))

    with ThreadPoolExecutor(20) as threads:
        return list(threads.map(one, range(20)))


@pytest.mark.parametrize("ask_many", [gathered, on_trio, threaded])
def test_calls_that_begin_together_share_one_look_up(ask_many: Callable[[str], list[str]]) -> None:
    api = Api(m=True)
    with WireServer(api.play) as server:
        answers = ask_many(server.url)
    assert set(answers) == {"hi"}
    assert api.paths.count("/models") == 1
    assert api.paths.count("/chat/completions") == len(answers)


class Slow:
    """A list of models that waits until the test releases it; `asked` is set by a request for it."""

    def __init__(self) -> None:
        self.api = Api(m=True)
        self.asked, self.through = threading.Event(), threading.Event()
        self._models, self.api.models = self.api.models, self._wait

    def _wait(self, peer: Peer) -> None:
        self.asked.set()
        self.through.wait(10)
        self._models(peer)


def test_an_error_of_the_look_up_reaches_every_call() -> None:
    slow = Slow()
    slow._models = lambda peer: peer.answer(b'{"error":"who are you"}', "401 Unauthorized")

    async def main(url: str) -> list[BaseException | Any]:
        client = AsyncInferenceClient(url)
        calls = [asyncio.ensure_future(client.infer(f"m{number}", "q")) for number in range(5)]
        await asyncio.to_thread(slow.asked.wait, 10)
        slow.through.set()
        return await asyncio.gather(*calls, return_exceptions=True)

    with WireServer(slow.api.play) as server:
        errors = asyncio.run(main(server.url))
    assert slow.api.paths == ["/models"]
    assert {type(error) for error in errors} == {AuthenticationError}
    assert [error.model for error in errors] == ["m0", "m1", "m2", "m3", "m4"]


def test_another_call_takes_over_from_a_cancelled_one() -> None:
    slow = Slow()

    async def main(url: str) -> list[str]:
        client = AsyncInferenceClient(url)
        first, *others = [asyncio.ensure_future(client.infer("m", "q")) for _ in range(5)]
        await asyncio.to_thread(slow.asked.wait, 10)
        first.cancel()
        slow.through.set()
        answers = [content(answer) for answer in await asyncio.gather(*others)]
        assert first.cancelled()
        return answers

    with WireServer(slow.api.play) as server:
        assert asyncio.run(main(server.url)) == ["hi"] * 4
    assert slow.api.paths.count("/models") == 2


def test_a_waiting_call_keeps_its_own_limit() -> None:
    slow = Slow()
    with WireServer(slow.api.play) as server, ThreadPoolExecutor(2) as threads:
        client = InferenceClient(server.url, timeout=0.5)
        first = threads.submit(client.infer, "m", "q")
        assert slow.asked.wait(10)
        second = threads.submit(client.infer, "m", "q")
        for call in (first, second):
            with pytest.raises(TotalTimeoutError):
                call.result(10)
        slow.through.set()
        assert content(client.infer("m", "q", timeout=10)) == "hi"


def test_an_unknown_model_is_looked_up_once() -> None:
    def answer(request: Request) -> FakeAnswer:
        if request.target == "/v1/models":
            return FakeAnswer(200, [b'{"data":[{"id":"base"}]}'])
        return FakeAnswer(404, [b'{"error":{"message":"The model `m` does not exist.","param":"model"}}'])

    class Gathering(AsyncFakeTransport):
        """Sends the models once all have asked."""

        all_asked = asyncio.Event()

        async def send(self, request: Request, deadline: Deadline) -> AsyncFakeExchange:  # type: ignore[override]
            exchange = await super().send(request, deadline)
            if request.target == "/v1/models":
                await self.all_asked.wait()
            elif len([sent for sent in self.requests if sent.method == "POST"]) == 20:
                self.all_asked.set()
            return exchange

    transport = Gathering(answer)

    async def main() -> list[Any]:
        client = AsyncInferenceClient(transport=lambda: transport)
        calls = (client.infer("m", "q", is_chat_request=True) for _ in range(20))
        return await asyncio.gather(*calls, return_exceptions=True)

    errors = asyncio.run(main())
    assert {type(found) for found in errors} == {ModelNotFoundError}
    assert all("served: base" in str(found) for found in errors)
    assert [sent.target for sent in transport.requests].count("/v1/models") == 1
