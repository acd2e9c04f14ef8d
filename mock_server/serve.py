"""The process around the application: the socket, the event loop, signals, the ready line, a clean end."""

import asyncio
import contextlib
import errno
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Generator
from dataclasses import dataclass
from ipaddress import ip_address

import uvicorn

from .app import create_app
from .engine.base import Engine
from .settings import Settings

_FORCED_END_S = 2.0  # after the engine was stopped, for connections to notice


class ServeError(Exception):
    """The server cannot start; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A bound socket; nobody can connect before the server listens on it."""

    socket: socket.socket
    host: str

    @classmethod
    def bind(cls, host: str, port: int) -> "Listener":
        """Raises `ServeError`."""
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = socket.socket(family, kind, protocol)
        except OSError as exc:
            raise ServeError(f"--host {host} is no address of this machine: {exc.strerror}") from None
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as exc:
            listener.close()
            raise ServeError(_bind_problem(exc, host, port)) from None
        return cls(listener, host)

    @property
    def port(self) -> int:
        port: int = self.socket.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The API's base as a client on this machine reaches it."""
        host = self.socket.getsockname()[0]
        if ip_address(host).is_unspecified:
            host = "::1" if ":" in host else "127.0.0.1"
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/v1"


def _bind_problem(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken: choose another with --port, or --port 0 for a free one"
    return f"cannot listen on {host} port {port}: {error.strerror}"


def serve(
    engine: Engine,
    settings: Settings,
    listener: Listener,
    *,
    shutdown_timeout_s: float = 5.0,
    until_stdin_closes: bool = False,
) -> None:
    """Serves until SIGTERM, SIGINT or the end of standard input; prints the ready line on standard output."""
    config = uvicorn.Config(
        create_app(engine, settings),
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        backlog=4096,
        timeout_graceful_shutdown=int(shutdown_timeout_s + _FORCED_END_S),
    )
    names = ",".join([*settings.model_names, *(adapter.name for adapter in settings.adapters)])
    ready_line = f"ready {listener.url} model={names} engine={engine.info.name} profile={engine.info.profile}"
    server = _Server(config, engine, ready_line, shutdown_timeout_s)
    if until_stdin_closes:
        threading.Thread(target=_stop_at_end_of_stdin, args=(server,), daemon=True).start()
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(server.serve(sockets=[listener.socket]))


class _Server(uvicorn.Server):
    """uvicorn with a ready line, with exit code 0 after a signal, and with an end to streams at shutdown."""

    def __init__(self, config: uvicorn.Config, engine: Engine, ready_line: str, shutdown_timeout_s: float) -> None:
        super().__init__(config)
        self._engine = engine
        self._ready_line = ready_line
        self._shutdown_timeout_s = shutdown_timeout_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What lives now lives to the end: keep it out of every later collection.
        gc.collect()
        gc.freeze()
        sys.stdout.write(self._ready_line + "\n")
        sys.stdout.flush()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        ending = asyncio.create_task(self._end_streams())
        try:
            await super().shutdown(sockets)
        finally:
            ending.cancel()

    async def _end_streams(self) -> None:
        """Streams that outlast the time given end with an error event, not with a cut connection."""
        await asyncio.sleep(self._shutdown_timeout_s)
        await self._engine.stop()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """As uvicorn does, but without raising the signal again at the end."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _stop_at_end_of_stdin(server: uvicorn.Server) -> None:
    with contextlib.suppress(OSError):  # closed from the start
        while os.read(0, 65536):
            pass
    server.should_exit = True
