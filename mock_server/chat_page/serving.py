"""The page's process: a ready line on standard output, and an end by signals without complaints."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Generator
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from mock_server.chat_page.backend import Backend
from mock_server.process.listener import Listener
from sdk import SDKError

_log = logging.getLogger(__name__)
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve_page(app: ASGIApp, listener: Listener, backend: Backend, ready: Callable[[str], None]) -> None:
    """Until SIGINT or SIGTERM. `ready` is called with the names of the models once the page can be loaded.

    Raises `ListenError` if another process listens on the address by now.
    """
    config = uvicorn.Config(
        app,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="critical",  # the end of open pages is none of the reader's business
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    _PageServer(config, listener, backend, ready).run(sockets=[listener.socket])


class _PageServer(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, listener: Listener, backend: Backend, ready: Callable[[str], None]
    ) -> None:
        super().__init__(config)
        self._listener = listener
        self._backend = backend
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except OSError as error:
            raise self._listener.problem(error) from None
        self._ready(await self._names())

    async def _names(self) -> str:
        """The page is served without a server too: its models can be loaded later."""
        try:
            return ",".join(card.id for card in await self._backend.load_models())
        except SDKError as error:
            _log.warning("the list of models could not be loaded: %s", error.message)
            return ""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Like uvicorn's, but does not raise the signal again at the end."""

        def handle(number: int, frame: FrameType | None) -> None:
            self.handle_exit(number, frame)

        before = {number: signal.signal(number, handle) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, previous in before.items():
                signal.signal(number, previous)
