"""uvicorn's HTTP protocol, which offers each request a `BodyWriter`."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .body_writer import BodyWriter, offer


class HttpProtocol(HttpToolsProtocol):
    _writer: BodyWriter

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._writer = BodyWriter(transport)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self.cycle.scope is self.scope:  # its task begins in the loop's next pass
            offer(self.scope, self.cycle.send, self._writer)

    def pause_writing(self) -> None:
        self._writer.is_writable = False
        super().pause_writing()

    def resume_writing(self) -> None:
        self._writer.is_writable = True
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._writer.is_writable = False
        super().connection_lost(exc)
