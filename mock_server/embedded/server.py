"""A server over any engine in a thread of this process, on a free loopback port with a random key."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import secrets
import signal
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker
from types import TracebackType

import uvicorn
from fastapi import FastAPI

from mock_server.app import create_app
from mock_server.engine.base import Engine
from mock_server.engine.errors import EngineDeadError
from mock_server.offline.loop_thread import LoopThread
from mock_server.offline.main_module import hidden_main
from mock_server.process.http_protocol import HttpProtocol
from mock_server.process.listener import Listener
from mock_server.settings import ServerSettings
from mock_server.state import ServerState

_HOST = "127.0.0.1"
_BACKLOG = 1024
_FAREWELL_S = 1  # whole seconds, as uvicorn takes them: time for clients to read the last events


class EmbeddedServer:
    """Starts with its `with` block, whose end also ends the engine and its processes. It serves once.

    `settings` get the random `api_key` as their only key: other users of this machine can reach the port.
    """

    def __init__(self, engine: Engine, settings: ServerSettings) -> None:
        self.api_key = secrets.token_urlsafe(24)
        self.base_url = ""
        """The API's base URL, with `/v1`; empty before the start."""
        self.models: tuple[str, ...] = ()
        """The names that requests may use: those of the model, its main one first, then those of its adapters."""
        self.death: EngineDeadError | None = None
        """Why the engine has died, if it has. The server stays up and refuses requests."""
        self._engine = engine
        self._settings = dataclasses.replace(settings, api_keys=(self.api_key,))
        self._thread: LoopThread | None = None
        self._running = contextlib.AsyncExitStack()

    def check(self) -> None:
        """Raises `EngineDeadError` if the engine has died."""
        if self.death is not None:
            raise self.death

    def __enter__(self) -> EmbeddedServer:
        """Loads the model, which takes a while.

        Raises `EngineStartError`, `AdapterError` or `ListenError`. If it fails or is interrupted, nothing
        keeps running.
        """
        self._thread = LoopThread("embedded server")
        try:
            with hidden_main():
                self._thread.run(self._start())
        except BaseException:
            self._shut_down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._shut_down()

    async def _start(self) -> None:
        _leave_interrupts_to_the_program()
        app = create_app(self._engine, self._settings)
        state: ServerState = app.state.server
        async with contextlib.AsyncExitStack() as stack:
            listener = Listener.bind(_HOST, 0)
            stack.callback(listener.close)
            await stack.enter_async_context(app.router.lifespan_context(app))
            listener.socket.listen(_BACKLOG)  # callers may connect from here on: the backlog holds them
            server = uvicorn.Server(_config(app))
            serving = asyncio.create_task(server.serve(sockets=[listener.socket]), name="embedded server")
            stack.push_async_callback(self._end_serving, state, server, serving)
            watching = asyncio.create_task(self._watch(), name="engine's health")
            stack.callback(watching.cancel)
            self.base_url = listener.url
            self.models = tuple(state.models.names())
            self._running = stack.pop_all()

    async def _watch(self) -> None:
        self.death = await self._engine.wait_until_dead()

    async def _end_serving(self, state: ServerState, server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
        """Requests that are still in progress end with an error."""
        state.admission.close()
        if state.admission.under_way:
            state.admission.cut_off()
            await self._engine.stop()
        server.should_exit = True
        await serving

    def _shut_down(self) -> None:
        if self._thread is not None:
            with _deaf_to_interrupts():  # half an end would leave processes that Python waits for when it exits
                self._thread.run(self._running.aclose())
                self._thread.close()
            self._thread = None
            gc.collect()  # objects of vLLM that live until the interpreter ends log complaints


def _config(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=HttpProtocol,
        ws="none",
        lifespan="off",  # the embedded server runs it, so that its failures reach the caller
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_FAREWELL_S,
    )


def _leave_interrupts_to_the_program() -> None:
    """Blocks SIGINT in this thread and in all threads and processes that it starts. A terminal sends Ctrl-C to all
    processes, and it would end vLLM's when the program only stops an answer.
    """
    resource_tracker.ensure_running()  # otherwise the first process starts it, which unblocks the signal
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Ignores SIGINT, which only the main thread gets."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
