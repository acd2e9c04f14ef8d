"""uvicorn's HTTP protocol, which offers each request a `BodyWriter`."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .body_writer import BodyWriter, offer
from .response_tally import NO_HANDLER, UNKNOWN_METHOD
from .state import ServerState


class HttpProtocol(HttpToolsProtocol):
    _writer: BodyWriter

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._writer = BodyWriter(transport)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self.cycle.scope is self.scope:  # its task begins in the loop's next pass
            offer(self.scope, self.cycle.send, self._writer)

    def send_400_response(self, msg: str) -> None:
        """Of what is not HTTP, which no application sees."""
        server: ServerState | None = getattr(getattr(self.config.app, "state", None), "server", None)
        if server is not None:
            server.metrics.responses[UNKNOWN_METHOD, NO_HANDLER, 400] += 1
        super().send_400_response(msg)

    def pause_writing(self) -> None:
        self._writer.is_writable = False
        super().pause_writing()

    def resume_writing(self) -> None:
        self._writer.is_writable = True
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._writer.is_writable = False
        super().connection_lost(exc)
