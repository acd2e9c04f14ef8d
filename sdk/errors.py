"""Every error the SDK raises, as one tree.

SDKError
├── ConfigError (ValueError)            the call itself is wrong; nothing was sent
├── TransportError (ConnectionError)    no usable answer arrived
│   ├── ConnectError                    nothing answers at the address
│   │   └── TLSError                    something answers, but the TLS handshake failed
│   ├── ConnectionLostError             the connection broke before the answer was complete
│   └── RequestTimeoutError (TimeoutError)
│       ├── ConnectTimeoutError         no connection in time
│       ├── PoolTimeoutError            every connection in the pool stayed busy
│       ├── FirstByteTimeoutError       the request was sent, but no answer began in time
│       ├── StallTimeoutError           the stream went silent between tokens
│       └── TotalTimeoutError           the whole call took too long
├── ProtocolError                       the answer breaks the protocol
│   └── AnswerTooLargeError             the answer exceeds the client's limit
├── StreamError
│   ├── StreamTruncatedError            it ended with neither a finish reason nor [DONE]
│   └── StreamServerError               the server reported an error after a success status
└── StatusError                         an HTTP status of 400 or more
    ├── BadRequestError                 400, 422
    ├── AuthenticationError             401
    ├── PermissionDeniedError           403
    ├── NotFoundError                   404
    │   └── ModelNotFoundError          404 about the model asked for
    ├── RateLimitError                  429
    └── ServerError                     5xx
        └── ServiceUnavailableError     503
"""

from __future__ import annotations

from typing import Any, Literal

from sdk.shown_text import MAX_FACT, shown


class SDKError(Exception):
    """Base of every error here.

    `url`, `model`, `request_id` and `attempts` describe the call, and `elapsed_s` is how long it took; each is None
    when unknown. `partial` is the text of a broken stream, empty if none arrived. Instances pickle, so they survive
    process pools.

    `message`, `str()` and `repr()` are safe to show: control characters and invisible ones in a server's words are
    escaped, and the length is bounded. Other attributes hold a server's words unchanged. The keys that the request
    was sent with are hidden in all attributes but `partial` (see `sdk.known_keys`).
    """

    def __init__(
        self,
        message: str,
        *,
        url: str | None = None,
        model: str | None = None,
        request_id: str | None = None,
        attempts: int = 1,
        elapsed_s: float | None = None,
        partial: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.url = url
        self.model = model
        self.request_id = request_id
        self.attempts = attempts
        self.elapsed_s = elapsed_s
        self.partial = partial

    @property
    def message(self) -> str:
        """What went wrong, on one line."""
        return self._message

    @message.setter
    def message(self, message: str) -> None:
        self._message = shown(message)
        self.args: tuple[Any, ...] = (self._message,)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._message!r})"

    def __str__(self) -> str:
        facts = [
            self.url and shown(self.url, MAX_FACT),
            self.model and f"model {shown(str(self.model), MAX_FACT)}",
            self.request_id and f"request {shown(self.request_id, MAX_FACT)}",
            self.url and (f"{self.attempts} attempt" + "s" * (self.attempts != 1)),
            None if self.elapsed_s is None else f"{self.elapsed_s:.1f} s",
        ]
        lines = [self.message, " · ".join(fact for fact in facts if fact)]
        if self.partial:
            lines.append(f"the text so far is in .partial ({len(self.partial)} characters)")
        return "\n  ".join(line for line in lines if line)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.__dict__.copy())


def _rebuild(kind: type[SDKError], state: dict[str, Any]) -> SDKError:
    error = kind.__new__(kind)
    Exception.__init__(error, state["_message"])
    error.__dict__.update(state)
    return error


class ConfigError(SDKError, ValueError):
    """The call is wrong as written; nothing was sent.

    The message has three parts, for programs that have words of their own: `field` is the argument, `problem` its value
    and what is wrong with it, and `remedy` what to do. All but the problem may be empty. `instead` names the argument
    for a value that does not belong in `field`.
    """

    def __init__(self, message: str, *, field: str = "", remedy: str = "", instead: str = "", **facts: Any) -> None:
        super().__init__(f"{field}: {_advised(message, remedy)}" if field else _advised(message, remedy), **facts)
        self.field = field
        self.problem = message
        self.remedy = remedy
        self.instead = instead


class TransportError(SDKError, ConnectionError):
    """No usable answer arrived. Also a `ConnectionError`."""


ConnectReason = Literal["unresolved", "unreachable", "local limit", "certificate", "plain http", "tls", "proxy"]
"""Why there is no connection.

unresolved: the host name has no address. unreachable: nothing answers. local limit: this machine has no open file or
port left. certificate: it is not trusted. plain http: the server does not seem to use TLS. tls: the handshake failed
otherwise. proxy: the proxy refused.
"""


def _advised(problem: str, remedy: str) -> str:
    return f"{problem}; {remedy}" if remedy else problem


class ConnectError(TransportError):
    """Nothing answers at the address: refused, unreachable, or the name does not resolve.

    `reason` says which, where it is known. The message is `problem`, and `remedy` if there is one; programs that have
    words of their own find them apart.
    """

    def __init__(self, message: str, *, remedy: str = "", reason: ConnectReason | None = None, **facts: Any) -> None:
        super().__init__(_advised(message, remedy), **facts)
        self.problem = message
        self.remedy = remedy
        self.reason = reason


class TLSError(ConnectError):
    """The TLS handshake failed: the server does not use TLS, or its certificate is not trusted."""


class ConnectionLostError(TransportError):
    """The connection broke before the answer was complete."""


class RequestTimeoutError(TransportError, TimeoutError):
    """A time limit passed. Also a `TimeoutError`."""


class ConnectTimeoutError(RequestTimeoutError):
    """No connection was made within the connect limit."""


class PoolTimeoutError(RequestTimeoutError):
    """Every connection the pool may open stayed busy for the whole wait."""


class FirstByteTimeoutError(RequestTimeoutError):
    """The request was sent, but no answer began within the limit."""


class StallTimeoutError(RequestTimeoutError):
    """The stream brought no token for longer than the stall limit."""


class TotalTimeoutError(RequestTimeoutError):
    """The whole call, retries included, took longer than the total limit."""


class ProtocolError(SDKError):
    """The answer breaks the protocol: not HTTP, not the promised media type, not JSON."""


class AnswerTooLargeError(ProtocolError):
    """The answer exceeds the limits of the client; see its option `max_answer_bytes`."""


class StreamError(SDKError):
    """A stream that began well did not end well."""


class StreamTruncatedError(StreamError):
    """The server closed the stream with neither a finish reason nor `[DONE]`."""


class StreamServerError(StreamError):
    """The server reported an error after a success status: inside a stream, or in place of a whole answer.

    `server_message`, `code`, `type` and `param` are its own words; `status` is the code if it is an HTTP error status
    such as 429, else None. The call is not retried, because an answer had begun.
    """

    def __init__(
        self,
        message: str,
        *,
        server_message: str = "",
        code: str | int | None = None,
        type: str | None = None,
        param: str | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.server_message = server_message
        self.code = code
        self.type = type
        self.param = param

    @property
    def status(self) -> int | None:
        """The server's code as an HTTP status; None if it is not one."""
        code = str(self.code)
        return int(code) if len(code) == 3 and code.isdecimal() and 400 <= int(code) < 600 else None


class StatusError(SDKError):
    """The server answered with a status of 400 or more.

    `status` is the HTTP status; `server_message`, `code`, `type` and `param` are the server's own words if it sent
    any; `retry_after_s` is its Retry-After in seconds; `body` is the first 64 KiB of the body, with keys hidden.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        server_message: str = "",
        code: str | int | None = None,
        type: str | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
        body: bytes = b"",
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.status = status
        self.server_message = server_message
        self.code = code
        self.type = type
        self.param = param
        self.retry_after_s = retry_after_s
        self.body = body


class BadRequestError(StatusError):
    """400 or 422: the server does not accept the request."""


class AuthenticationError(StatusError):
    """401: the API key is missing or wrong."""


class PermissionDeniedError(StatusError):
    """403: this key may not do that."""


class NotFoundError(StatusError):
    """404: the path or the model does not exist."""


class ModelNotFoundError(NotFoundError):
    """404: the server does not offer the model."""


class RateLimitError(StatusError):
    """429: too many requests; see `retry_after_s`."""


class ServerError(StatusError):
    """5xx: the server failed."""


class ServiceUnavailableError(ServerError):
    """503: loading, draining or full; see `retry_after_s`."""
