"""An HTTP/1.1 exchange without I/O: bytes of a request to send, and a parser that bytes of the response go into."""

from __future__ import annotations

import re
from collections.abc import Callable

import httptools

from sdk.errors import ConfigError, ConnectionLostError, ProtocolError
from sdk.transport.base import Head, Request

MAX_HEAD_BYTES = 64 * 1024
_MAX_JOINED = 8 * 1024  # of a header that is repeated; what exceeds it is left out
# RFC 9110 §5.1, §5.5
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNFIT = re.compile(r"[^\t\r\n\x20-\x7e\x80-\xff]")
_NAMES_SEEN: set[str] = set()  # names that were found to be tokens: there are few


class Payload:
    """A request as it goes over the wire. Its repr shows no key: reports of errors print the locals of each frame."""

    __slots__ = ("data",)

    def __init__(self, request: Request) -> None:
        self.data: bytes = encode_request(request)


def encode_request(request: Request) -> bytes:
    """The request as it goes over the wire. Raises ConfigError for a header that would break its framing."""
    lines = [f"{request.method} {request.target} HTTP/1.1", f"Host: {request.origin.authority}"]
    value = ""
    for name, value in request.headers:
        if name not in _NAMES_SEEN and not _is_name(name):
            lines, value = [], ""  # a report of the error may print them, and they hold the key
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
        raise ConfigError(f"the value of header {unfit[0]!r} has a character that no header may have")
    raise ConfigError(f"the path {request.target!r} has a character that no path may have")


class ResponseParser:
    """Parses the responses of one connection, one after the other; `begin` goes before each.

    Feed it what was read, and it gives the bytes of the body that were in it; `head` is set once the header block is
    complete, `complete` says that nothing more belongs to this response, `keep_alive` that the connection may carry
    another request, `has_bytes` that an answer has begun, `error` what was no HTTP behind the last bytes that it gave.
    Interim (1xx) responses are passed over.

    `body` may be one list for all parsers that are fed on one thread: it is empty between two calls, and stays in the
    cache where a list of each parser's own would not.
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
        self.on_body: Callable[[bytes], None] = self._body.append  # straight from llhttp, which asks for it once
        self._parser = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Expect a response; the one before was read to its end."""
        self._headers: dict[str, str] = {}
        self._head_bytes = 0
        self._around_body = 0  # bytes since the last ones of the body: sizes of chunks, extensions, trailers
        self._until_close = False
        self._body_blocks = 0  # of this response, once it is complete; what follows is none of it
        self._extra = False
        self.head: Head | None = None
        self.complete: bool = False
        self.keep_alive: bool = False
        self.error: ProtocolError | None = None

    def discard(self) -> None:
        """No more will be fed. It and llhttp's parser hold each other: apart, both are freed at once."""
        del self._parser

    @property
    def has_bytes(self) -> bool:
        return self._head_bytes > 0

    def feed(self, data: bytes) -> bytes:
        """Parse what one read brought; the body bytes in it. Raises ProtocolError when it is not HTTP.

        Where body bytes came before what is not HTTP, they are given, and the next call raises.
        """
        if self.error is not None:
            raise self.error
        if self.complete:  # the peer speaks out of turn: this connection cannot be trusted with another request
            self._extra, self.keep_alive = self._extra or bool(data), self.keep_alive and not data
            return b""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            self._body.clear()
            raise ProtocolError("the server switched protocols unasked") from error
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
        """The peer closed. Raises ConnectionLostError when the response was not complete by then."""
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
            return  # a trailer, or of what follows
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1").strip()
        earlier = self._headers.get(key)
        if earlier is None:
            self._headers[key] = text
        elif len(earlier) < _MAX_JOINED:  # joining thousands again and again would take seconds
            self._headers[key] = f"{earlier}, {text}"

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        status = self._parser.get_status_code()
        if status < 100:  # a body may follow, as it cannot behind an interim response
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
            return  # an interim response, or bytes after the end
        self.complete = True
        self._body_blocks = len(self._body)
        self.keep_alive = bool(self._parser.should_keep_alive()) and not self._until_close
