"""Every way to ask a server: each client over each transport, on each event loop, and all of them at once.

A program is written once, as a coroutine over an `Asker`. `everywhere` runs it in every way, each in a thread of its
own, so that what takes a second takes a second altogether.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock

import httpx
import httpx2
import trio
import uvloop

from sdk import AsyncInferenceClient, InferenceClient
from sdk.transport.blocking import BlockingTransport
from sdk.transport.direct import DirectTransport
from sdk.transport.httpx import AsyncHttpxTransport, HttpxTransport
from tests.support.at_once import at_once
from tests.support.certificates import client_context


class Asker:
    """A client, sync or not, with the calls of the one that is not."""

    def __init__(self, client: Any, given: Any = None) -> None:
        self.client = client
        self._given = given
        self.is_sync = isinstance(client, InferenceClient)

    async def chat(self, text: str = "q", **how: Any) -> str:
        """The content of a whole answer."""
        answer = self.client.chat("m", text, **how)
        content: str = (answer if self.is_sync else await answer).choices[0].message.content
        return content

    async def infer(self) -> Any:
        """The same where the model's card decides how it is asked."""
        answer = self.client.infer("m", "q")
        return (answer if self.is_sync else await answer).choices[0].message.content

    async def models(self) -> Any:
        """The list of models."""
        return self.client.models() if self.is_sync else await self.client.models()

    async def stream(self, **how: Any) -> Any:
        """A stream, to be read by `read`."""
        stream = self.client.chat_stream("m", "q", **how)
        return stream if self.is_sync else await stream

    async def read(self, stream: Any) -> AsyncIterator[Any]:
        """Its chunks."""
        if self.is_sync:
            for chunk in stream:
                yield chunk
        else:
            async for chunk in stream:
                yield chunk

    async def read_all(self, **how: Any) -> Any:
        """A stream that was read to its end."""
        stream = await self.stream(**how)
        async for _ in self.read(stream):
            pass
        return stream

    async def next(self, stream: Any) -> Any:
        """Its next chunk."""
        return next(stream) if self.is_sync else await anext(stream)

    async def leave(self, stream: Any) -> None:
        """Close a stream."""
        if self.is_sync:
            stream.close()
        else:
            await stream.aclose()

    async def close(self) -> None:
        """Close the client, and what was given to it."""
        if self.is_sync:
            self.client.close()
            if self._given is not None:
                self._given.close()
        else:
            await self.client.aclose()
            if self._given is not None:
                await self._given.aclose()


def _run_sync(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that waits for nothing but blocking calls."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waited for an event loop")


def _run_trio(work: Coroutine[Any, Any, Any]) -> Any:
    return trio.run(lambda: work)


Run = Callable[[Coroutine[Any, Any, Any]], Any]


@dataclass(frozen=True)
class Way:
    """How to run a program, and how to make its client, from a base URL and the client's options.

    `is_ours`: the connections are made by this package's own transport or client. `goes_by_proxy`: the
    server is asked as a proxy.
    """

    name: str
    run: Run
    open: Callable[..., Asker]
    is_ours: bool = True
    goes_by_proxy: bool = False

    def __str__(self) -> str:
        return self.name


def _open(
    kind: type[Any], make: Callable[[], Any] | None, *, given: Callable[[], Any] | None = None
) -> Callable[..., Asker]:
    def open_it(url: str, **options: Any) -> Asker:
        client = None if given is None else given()
        if make is None:
            return Asker(kind(url, **options), client)
        transport = make() if client is None else make(client)  # type: ignore[call-arg]
        is_sync = kind is InferenceClient
        return Asker(kind(url, transport=transport if is_sync else lambda: transport, **options), client)

    return open_it


def _through_proxy(open_it: Callable[..., Asker]) -> Callable[..., Asker]:
    """The same through the proxy of the environment, which the server plays."""

    def open_by_proxy(url: str, scheme: str = "http", **options: Any) -> Asker:
        with mock.patch.dict(os.environ, {f"{scheme}_proxy": url.removesuffix("/v1")}):
            return open_it(f"{scheme}://somewhere.invalid/v1", **options)

    return open_by_proxy


_direct = {"ssl_context": client_context()}
_verify = {"verify": client_context()}


def _ways() -> list[Way]:
    ways = [
        Way("direct-sync", _run_sync, _open(InferenceClient, lambda: BlockingTransport(**_direct))),
        Way("httpx2-sync", _run_sync, _open(InferenceClient, HttpxTransport)),
        Way("proxy-sync", _run_sync, _through_proxy(_open(InferenceClient, HttpxTransport)), goes_by_proxy=True),
    ]
    ways += [
        Way(f"direct-{loop}", run, _open(AsyncInferenceClient, lambda: DirectTransport(**_direct)))
        for loop, run in (("asyncio", asyncio.run), ("uvloop", uvloop.run))
    ]
    for loop, run in (("asyncio", asyncio.run), ("trio", _run_trio)):
        own = _open(AsyncInferenceClient, AsyncHttpxTransport)
        ways.append(Way(f"httpx2-{loop}", run, own))
        ways.append(Way(f"proxy-{loop}", run, _through_proxy(own), goes_by_proxy=True))
    for module in (httpx2, httpx):
        name = f"given-{module.__name__}"
        given = _open(InferenceClient, HttpxTransport, given=lambda module=module: module.Client(**_verify))
        ways.append(Way(f"{name}-sync", _run_sync, given, is_ours=False))
        given = _open(
            AsyncInferenceClient, AsyncHttpxTransport, given=lambda module=module: module.AsyncClient(**_verify)
        )
        ways += [
            Way(f"{name}-{loop}", run, given, is_ours=False)
            for loop, run in (("asyncio", asyncio.run), ("trio", _run_trio))
        ]
    return ways


WAYS = _ways()
TLS_WAYS = [way for way in WAYS if way.name.startswith(("direct", "given"))]  # they trust the tests' authority
Program = Callable[[Asker], Coroutine[Any, Any, Any]]


def ask(way: Way, url: str, program: Program, **options: Any) -> Any:
    """What the program returns, or the error it raises, in one way."""
    return run(way, way.open(url, **options), program)


def everywhere(url: str, program: Program, ways: list[Way] | None = None, **options: Any) -> dict[str, Any]:
    """The same in every way at once, by name."""
    ways = WAYS if ways is None else ways
    # opened one after the other: a proxy is taken from the environment, which all share
    askers = [way.open(url, **options) for way in ways]
    return at_once({way.name: partial(run, way, asker, program) for way, asker in zip(ways, askers, strict=True)})


def run(way: Way, asker: Asker, program: Program) -> Any:
    """What the program returns, or the error it raises; the client is closed behind it."""

    async def main() -> Any:
        try:
            return await program(asker)
        except Exception as error:
            return error
        finally:
            await asker.close()

    return way.run(main())
