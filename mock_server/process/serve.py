"""The process around the application: it starts the engine, handles signals, prints the ready line, and drains requests
before it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from types import FrameType

import uvicorn
from fastapi import FastAPI

from mock_server.app import create_app
from mock_server.engine.base import Engine
from mock_server.engine.errors import EngineDeadError
from mock_server.process.http_protocol import HttpProtocol
from mock_server.process.listener import Listener
from mock_server.process.tls import TlsServer, tls_context
from mock_server.process.unix_listener import UnixListener
from mock_server.settings import ServerSettings
from mock_server.state import ServerState

_ACCEPTED_AT_ONCE = 8
"""The number of listening sockets, all but one of them copies. libuv accepts one connection for each in a turn of the
loop, and turns are long under load.
"""
_FAREWELL_S = 0.5  # time for clients to read the last events after the engine has stopped
_FORCED_END_S = 2.0  # added to the time for streams; all connections have been aborted by then
_THREAD_SWITCH_S = 0.0005
"""How long the loop waits for a computing thread each time it needs the interpreter. With Python's default of 5 ms,
while a thread works on one request's pattern, every event of every other request would be late by that time.
"""
_log = logging.getLogger(__name__)
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Options of the process, as opposed to those of the application."""

    shutdown_timeout_s: float = 5.0
    until_stdin_closes: bool = False
    ssl_keyfile: str | None = None
    ssl_certfile: str | None = None


def print_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def serve(
    engine: Engine,
    settings: ServerSettings,
    listener: Listener | UnixListener,
    options: ServeOptions = ServeOptions(),
    *,
    announce: Callable[[str], None] = print_line,
) -> None:
    """Serves until SIGTERM, SIGINT or the end of standard input; announces the ready line.

    Raises `EngineStartError`, `AdapterError` or `ListenError` when nothing can be served, `EngineDeadError` when the
    engine died.
    """
    app = create_app(engine, settings)
    config = uvicorn.Config(
        app,
        http=HttpProtocol,
        ws="none",
        lifespan="off",  # `_run` does it, to handle the engine's failures and signals during the start
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the server does not use clients' addresses, and parsing long lists of them takes time
        backlog=4096,
        timeout_graceful_shutdown=int(options.shutdown_timeout_s + _FORCED_END_S),
    )
    with _quick_thread_switches(), asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_run(app, config, listener, options, announce))


@contextlib.contextmanager
def _quick_thread_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(_THREAD_SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


async def _run(
    app: FastAPI,
    config: uvicorn.Config,
    listener: Listener | UnixListener,
    options: ServeOptions,
    announce: Callable[[str], None],
) -> None:
    state: ServerState = app.state.server
    server = _Server(config, state, listener, options, announce)
    if options.until_stdin_closes:
        _call_at_end_of_stdin(server.stop)
    async with contextlib.AsyncExitStack() as stack:
        with contextlib.suppress(_StoppedBeforeReadyError), server.stoppable():
            await stack.enter_async_context(app.router.lifespan_context(app))
        if not server.should_exit:
            await server.serve_until_dead(listener)
    if server.death is not None:
        raise server.death


class _StoppedBeforeReadyError(Exception):
    """The server was stopped while its engine was starting."""


class _Server(uvicorn.Server):
    """uvicorn with a ready line, a drain and an end to streams at shutdown, and a watch on the engine."""

    def __init__(
        self,
        config: uvicorn.Config,
        state: ServerState,
        listener: Listener | UnixListener,
        options: ServeOptions,
        announce: Callable[[str], None],
    ) -> None:
        super().__init__(config)
        self._loop = asyncio.get_running_loop()
        self._forced = asyncio.Event()
        self.death: EngineDeadError | None = None
        self._state = state
        self._listener = listener
        self._options = options
        self._announce = announce
        self._on_stop: Callable[[], object] | None = None

    def stop(self) -> None:
        """Ends the start or the serving. May be called from any thread."""
        self.should_exit = True
        if self._on_stop is not None:
            self._on_stop()

    @contextlib.contextmanager
    def stoppable(self) -> Iterator[None]:
        """While the engine starts, stopping the server cancels the start and raises `_StoppedBeforeReadyError`."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("the server runs in a task")
        self._on_stop = lambda: self._loop.call_soon_threadsafe(task.cancel)
        try:
            with _signals(lambda number, frame: self.stop()):
                if self.should_exit:
                    raise _StoppedBeforeReadyError
                yield
        except asyncio.CancelledError:
            if not self.should_exit:
                raise
            task.uncancel()
            raise _StoppedBeforeReadyError from None
        finally:
            self._on_stop = None

    async def serve_until_dead(self, listener: Listener | UnixListener) -> None:
        watching = asyncio.create_task(self._watch_engine(), name="engine's health")
        try:
            copies = [listener.socket.dup() for _ in range(_ACCEPTED_AT_ONCE - 1)]
            await self.serve(sockets=[listener.socket, *copies])
        finally:
            watching.cancel()

    async def _watch_engine(self) -> None:
        self.death = await self._state.engine.wait_until_dead()
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            if self._options.ssl_certfile is None:
                await super().startup(sockets)
            else:
                await super().startup([])
                self._start_tls(self._options.ssl_certfile)
        except OSError as error:  # another process has started to listen on the address since it was bound
            raise self._listener.problem(error) from None
        # Objects that exist now exist until the end: exclude them from later garbage collections.
        gc.collect()
        gc.freeze()
        self._announce(self._ready_line())

    def _start_tls(self, certfile: str) -> None:
        """Replaces uvicorn's own TLS, which does not know of a connection before its handshake is complete."""

        def make_protocol() -> HttpProtocol:
            return HttpProtocol(
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state, _loop=self._loop
            )

        context = tls_context(certfile, self._options.ssl_keyfile)
        timeout_s = self._state.settings.read_timeout_s
        connections, backlog = self._state.connections, self.config.backlog
        listening = TlsServer(
            self._listener.socket, context, make_protocol, connections, backlog=backlog, timeout_s=timeout_s
        )
        self.servers.append(listening)  # type: ignore[arg-type]

    def _ready_line(self) -> str:
        info = self._state.engine.info
        names = ",".join(self._state.models.names())
        line = f"ready {self._listener.url} model={names} engine={info.name} profile={info.profile}"
        every_interface = self._listener.every_interface
        if every_interface is None:
            return line
        _log.info("listening on every interface of this machine (%s)", every_interface)
        return f"{line} listening={every_interface}"

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuses new requests and lets requests in progress finish. Those that take too long get an error event."""
        admission = self._state.admission
        admission.close()
        drained = asyncio.create_task(admission.wait_until_empty())
        forced = asyncio.create_task(self._forced.wait())
        await asyncio.wait(
            {drained, forced}, timeout=self._options.shutdown_timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        drained.cancel()
        forced.cancel()
        if admission.under_way:
            if self.death is None:
                admission.cut_off()
            await self._state.engine.stop()
        aborting = asyncio.create_task(self._abort_connections(), name="end of connections")
        await super().shutdown(sockets)
        aborting.cancel()
        gc.unfreeze()

    async def _abort_connections(self) -> None:
        """Aborts connections whose clients do not read their last events or never close."""
        await asyncio.sleep(_FAREWELL_S)
        for connection in list(self.server_state.connections):
            transport: asyncio.Transport = connection.transport
            transport.abort()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A second signal ends the server immediately."""
        if self.should_exit:
            self.force_exit = True
            self._loop.call_soon_threadsafe(self._forced.set)
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Like uvicorn's, but does not raise the signal again at the end."""
        with _signals(self.handle_exit):
            yield


@contextlib.contextmanager
def _signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _call_at_end_of_stdin(stop: Callable[[], None]) -> None:
    def wait() -> None:
        with contextlib.suppress(OSError):  # closed from the start
            while os.read(0, 65536):
                pass
        stop()

    threading.Thread(target=wait, daemon=True).start()
