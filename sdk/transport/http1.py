"""HTTP/1.1 without I/O: writes requests as bytes, and parses the bytes of responses."""

from __future__ import annotations

import re
from collections.abc import Callable

import httptools

from sdk.errors import ConfigError, ConnectionLostError, ProtocolError
from sdk.transport.base import Head, Request

MAX_HEAD_BYTES = 64 * 1024
_MAX_JOINED = 8 * 1024  # of a repeated header; the rest is left out
# RFC 9110 §5.1, §5.5
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNFIT = re.compile(r"[^\t\r\n\x20-\x7e\x80-\xff]")
_NAMES_SEEN: set[str] = set()  # names that are known to be valid; there are few


class Payload:
    """The bytes of a request. Its repr hides the key, because error reports may print the local variables."""

    __slots__ = ("data",)

    def __init__(self, request: Request) -> None:
        self.data: bytes = encode_request(request)


def encode_request(request: Request) -> bytes:
    """The bytes of a request. Raises ConfigError for a header that would break its framing."""
    lines = [f"{request.method} {request.target} HTTP/1.1", f"Host: {request.origin.authority}"]
    value = ""
    for name, value in request.headers:
        if name not in _NAMES_SEEN and not _is_name(name):
            lines, value = [], ""  # error reports may print them, and they hold the key
            raise ConfigError(f"{name!r} is not a valid header name")
        lines.append(f"{name}: {value}")
    if request.body or request.method == "POST":
        lines.append(f"Content-Length: {len(request.body)}")
    head = "\r\n".join((*lines, "", ""))
    if _UNFIT.search(head) or head.count("\n") != len(lines) + 1 or head.count("\r") != len(lines) + 1:
        lines, head, value = [], "", ""  # as above
        _check_values(request)
    return head.encode("latin-1") + request.body


def _is_name(name: str) -> bool:
    if not _TOKEN.fullmatch(name):
        return False
    if len(_NAMES_SEEN) < 256:
        _NAMES_SEEN.add(name)
    return True


def _check_values(request: Request) -> None:
    unfit = [name for name, value in request.headers if _UNFIT.search(value) or "\n" in value or "\r" in value]
    if unfit:
        raise ConfigError(f"the value of header {unfit[0]!r} has a character that is not allowed in headers")
    raise ConfigError(f"the path {request.target!r} has a character that is not allowed in paths")


class ResponseParser:
    """Parses the responses of one connection, one after the other; call `begin` before each.

    `feed` takes the bytes of one read and returns the body bytes among them. `head` is set once the header block is
    complete, `complete` once the response has ended, and `keep_alive` if the connection may carry another request.
    `has_bytes` is whether a response has begun. `error` is set if something other than HTTP follows the bytes that
    `feed` returned. Interim (1xx) responses are skipped.

    All parsers of one thread may share the list `body`: it is empty between calls, and stays in the processor's cache,
    where separate lists would not.
    """

    __slots__ = (
        "_around_body",
        "_body",
        "_body_blocks",
        "_extra",
        "_head_bytes",
        "_headers",
        "_parser",
        "_until_close",
        "complete",
        "error",
        "head",
        "keep_alive",
        "on_body",
    )

    def __init__(self, body: list[bytes] | None = None) -> None:
        self._body: list[bytes] = [] if body is None else body
        self.on_body: Callable[[bytes], None] = self._body.append  # called by llhttp directly, which looks it up once
        self._parser = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Expect a response; the previous one has ended."""
        self._headers: dict[str, str] = {}
        self._head_bytes = 0
        self._around_body = 0  # bytes since the last ones of the body: sizes of chunks, extensions, trailers
        self._until_close = False
        self._body_blocks = 0  # blocks of this response, once it is complete; later ones are not part of it
        self._extra = False
        self.head: Head | None = None
        self.complete: bool = False
        self.keep_alive: bool = False
        self.error: ProtocolError | None = None

    def discard(self) -> None:
        """Free the parser. It and llhttp's refer to each other: cutting the cycle frees both immediately."""
        del self._parser

    @property
    def has_bytes(self) -> bool:
        return self._head_bytes > 0

    def feed(self, data: bytes) -> bytes:
        """Parse the bytes of one read; returns the body bytes among them. Raises ProtocolError if they are not HTTP.

        Body bytes before the invalid ones are returned first, and the next call raises.
        """
        if self.error is not None:
            raise self.error
        if self.complete:  # unexpected data: the connection must not carry another request
            self._extra, self.keep_alive = self._extra or bool(data), self.keep_alive and not data
            return b""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            self._body.clear()
            raise ProtocolError("the server switched protocols without a request") from error
        except httptools.HttpParserError as error:
            if not self._extra:
                self.error = ProtocolError(f"the answer is not HTTP/1.1: {error}; it begins {data[:80]!r}")
                if not self._body:
                    raise self.error from error
        if self.head is None or self._head_bytes == 0:
            self._count_head(data)
        body = self._body
        if self._extra:
            del body[self._body_blocks :]
        if not body:
            self._count_around_body(data)
            return b""
        self._around_body = 0
        block = body[0] if len(body) == 1 else b"".join(body)
        body.clear()
        return block

    def _count_head(self, data: bytes) -> None:
        self._head_bytes += len(data)
        if self.head is None and self.error is not None:
            self._body.clear()
            raise self.error
        if self.head is None and self._head_bytes > MAX_HEAD_BYTES:
            raise ProtocolError(f"the response's headers are over {MAX_HEAD_BYTES} bytes")

    def _count_around_body(self, data: bytes) -> None:
        if self.head is None or self.complete:
            return
        self._around_body += len(data)
        if self._around_body > MAX_HEAD_BYTES + self._head_bytes:  # the read that completed the head may count twice
            self.error = ProtocolError(
                f"the sizes and extensions of chunks, or the trailers, are over {MAX_HEAD_BYTES} bytes in a row"
            )
            raise self.error

    def feed_eof(self) -> None:
        """The peer closed the connection. Raises ConnectionLostError if the response is incomplete."""
        self.keep_alive = False
        if self.error is not None:
            raise self.error
        if self.complete:
            return
        if self.head is not None and self._until_close:
            self.complete = True
            return
        where = "before any answer" if self.head is None else "in the middle of the answer"
        raise ConnectionLostError(f"the server closed the connection {where}")

    # callbacks of httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head is not None:
            return  # a trailer, or a header of a later response
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1").strip()
        earlier = self._headers.get(key)
        if earlier is None:
            self._headers[key] = text
        elif len(earlier) < _MAX_JOINED:  # joining thousands of them would take seconds
            self._headers[key] = f"{earlier}, {text}"

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        status = self._parser.get_status_code()
        if status < 100:  # unlike an interim response, it may have a body
            self.error = ProtocolError(f"the answer is not HTTP/1.1: it has the status {status}")
        elif status >= 200:
            self.head = Head(status, self._headers)
            self._until_close = not (
                "content-length" in self._headers
                or "chunked" in self._headers.get("transfer-encoding", "").lower()
                or status in (204, 304)
            )
        self._headers = {}

    def on_message_begin(self) -> None:
        if self.complete:
            self._extra, self.keep_alive = True, False

    def on_message_complete(self) -> None:
        if self.head is None or self.complete:
            return  # an interim response, or data after the end
        self.complete = True
        self._body_blocks = len(self._body)
        self.keep_alive = self._parser.should_keep_alive() and not self._until_close
