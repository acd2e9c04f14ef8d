"""One HTTP exchange over ASGI: reads the body, sends JSON or an event stream, and notices if the client disconnects.

It uses ASGI directly, because a framework's streaming response costs half as much again for each event.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from uuid import uuid4

from starlette.types import Receive, Scope, Send

from mock_server.errors import ApiError, bad_request, body_too_large, unsupported_encoding
from mock_server.http.body_writer import body_writer

_MAX_REQUEST_ID_LENGTH = 128
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._~:;/+=@,-]+")
_LONGEST_FAREWELL_S = 2.0
_log = logging.getLogger(__name__)
_JSON = b"application/json"
_OTHER_JSON = re.compile(rb"[a-z0-9.+_-]+/[a-z0-9._-][a-z0-9.+_-]*\+json")
_NO_SNIFFING = {"x-content-type-options": "nosniff"}
_TEXT = "text/plain; charset=utf-8"
_EVENT_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
_CHUNKED = (b"transfer-encoding", b"chunked")


class ClientGoneError(Exception):
    """The client closed the connection before its response was complete."""


class AsgiExchange:
    """`request_id` is the client's `X-Request-Id` if it is usable, otherwise generated. Each response carries it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, on_end: Callable[[int], None] | None = None) -> None:
        """`on_end` is called once with the response's status, before the last byte is sent: a client that has read the
        response finds it counted.
        """
        self._on_end = on_end
        self._scope = scope
        self._receive = receive
        self._send = send
        self._headers = dict(scope["headers"])
        self.direct = body_writer(scope, send)
        """A faster way to write events once the response has begun, if the server offers one."""
        self.status = 500
        """The status of the response once it has begun; 500 until then."""
        self.has_begun = False
        self.body_bytes = 0
        """The size of the request's body, once it has been read."""
        self.request_id = _usable_id(self._headers.get(b"x-request-id")) or uuid4().hex

    @property
    def path_params(self) -> Mapping[str, str]:
        params: Mapping[str, str] = self._scope["path_params"]
        return params

    async def read_json(self, max_bytes: int, on_progress: Callable[[int], None] | None = None) -> bytes:
        """The unparsed body. Raises `ApiError` for another media type, an encoded body, and a body that is too long.

        `on_progress` is called with the number of bytes so far until the body is complete.
        """
        self._refuse_other_types()
        self._refuse_encoded()
        length = self._headers.get(b"content-length", b"")
        if length.isdigit() and int(length[:20]) > max_bytes:
            raise body_too_large(max_bytes)
        body = bytearray()
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            body += message.get("body", b"")
            if len(body) > max_bytes:
                raise body_too_large(max_bytes)
            if not message.get("more_body", False):
                self.body_bytes = len(body)
                return bytes(body)
            if on_progress is not None:
                on_progress(len(body))

    def _refuse_other_types(self) -> None:
        """Refuses types other than JSON: browsers send some of them without asking the server first."""
        types = [value for name, value in self._scope["headers"] if name == b"content-type"]
        if len(types) == 1:
            media_type = types[0].partition(b";")[0].strip().lower()
            if media_type == _JSON or _OTHER_JSON.fullmatch(media_type):
                return
        got = repr(b", ".join(types).decode("latin-1")[:100]) if types else "none"
        raise bad_request(f"The content type must be application/json (got {got})")

    def _refuse_encoded(self) -> None:
        """Refuses compressed bodies: one could grow to a thousand times its size."""
        if b"content-encoding" not in self._headers:
            return
        values = [value for name, value in self._scope["headers"] if name == b"content-encoding"]
        codings = [coding.strip() for value in values for coding in value.decode("latin-1").split(",")]
        encoded = ", ".join(coding for coding in codings if coding.lower() not in ("", "identity"))
        if encoded:
            raise unsupported_encoding(encoded[:100])

    async def while_connected(self, work: Coroutine[None, None, None]) -> None:
        """Runs `work`. If the client disconnects, cancels it and raises `ClientGoneError`. Read the body before this.

        `work` runs in its own task, so that a wake-up goes straight to it and not through all callers that await it.
        """
        task = asyncio.create_task(work)
        watcher = asyncio.create_task(self._left())
        try:
            await asyncio.wait((task, watcher), return_when=asyncio.FIRST_COMPLETED)
        finally:
            watcher.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait((task,), timeout=_LONGEST_FAREWELL_S)
        if not task.done():
            _log.error("request %s: the client disconnected, but the engine does not end the request", self.request_id)
            raise ClientGoneError
        if task.cancelled():
            raise ClientGoneError
        await task

    async def _left(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def send_json(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        await self._send_whole(status, _JSON, body, headers or {})

    async def send_text(self, text: str | bytes, media_type: str = _TEXT) -> None:
        body = text.encode() if isinstance(text, str) else text
        await self._send_whole(200, media_type.encode(), body, _NO_SNIFFING)

    async def _send_whole(self, status: int, media_type: bytes, body: bytes, headers: Mapping[str, str]) -> None:
        await self._start(
            status,
            [
                (b"content-type", media_type),
                (b"content-length", str(len(body)).encode()),
                *((name.encode(), value.encode()) for name, value in headers.items()),
            ],
        )
        self.end()
        await self._send({"type": "http.response.body", "body": body})

    async def send_error(self, error: ApiError) -> None:
        await self.send_json(error.status, error.body(), error.headers)

    def end(self) -> None:
        """Reports the status to `on_end`, unless it has been reported."""
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(self.status)

    async def start_events(self) -> None:
        """Sends the headers. Call `send_events` with the first events immediately afterwards."""
        chunked = [] if self.direct is None else [_CHUNKED]  # else the server decides
        await self._start(200, [*_EVENT_STREAM_HEADERS, *chunked])

    def send_events(self, events: str, *, last: bool = False) -> Awaitable[None]:
        """Sends events in one write. (Not a coroutine itself, because it is called for each token.)"""
        if last:
            self.end()
        return self._send({"type": "http.response.body", "body": events.encode(), "more_body": not last})

    async def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status = status
        self.has_begun = True
        if self.direct is not None and self._scope["method"] != "HEAD":  # the beginning of the body follows immediately
            self.direct.hold_head()
        own = (b"x-request-id", self.request_id.encode())
        await self._send({"type": "http.response.start", "status": status, "headers": [*headers, own]})


def _usable_id(value: bytes | None) -> str | None:
    """None for an id with quotes or angle brackets: ids are written into headers, JSON and logs."""
    if value is None or len(value) > _MAX_REQUEST_ID_LENGTH or _REQUEST_ID.fullmatch(value) is None:
        return None
    return value.decode("ascii")
