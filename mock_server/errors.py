"""Errors of requests as OpenAI's error object: message, type, param and code, with a status."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json

_MAX_MESSAGE_LENGTH = 1000  # messages quote bad input, which may be of any length
_CLOSE = {"connection": "close"}  # the server does not read the rest of the request


class ApiError(Exception):
    """A refusal or failure with its HTTP status. `headers` are added to the response."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message if len(message) <= _MAX_MESSAGE_LENGTH else message[: _MAX_MESSAGE_LENGTH - 1] + "…"
        self.type = type
        self.param = param
        self.code = code
        self.headers = headers or {}

    def body(self) -> bytes:
        error: dict[str, Any] = {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }
        return to_json({"error": error})


def bad_request(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    return ApiError(400, message, param=param, code=code)


def request_timeout(part: str, limit_s: float) -> ApiError:
    message = f"The request's {part} did not arrive within {limit_s:g} seconds (--read-timeout)"
    return ApiError(408, message, code="request_timeout", headers=_CLOSE)


def body_too_large(limit: int) -> ApiError:
    message = f"The body is larger than {limit} bytes (--max-body-size)"
    return ApiError(413, message, code="request_too_large", headers=_CLOSE)


def too_many_values(problem: str) -> ApiError:
    return ApiError(413, f"The body has {problem}: send less in one request", code="request_too_large")


def not_http() -> ApiError:
    return bad_request("The request is not valid HTTP", code="invalid_http")


def head_too_large(limit: int) -> ApiError:
    message = f"The request line and headers are larger than {limit} bytes (--max-header-size)"
    return ApiError(431, message, code="headers_too_large", headers=_CLOSE)


def too_many_headers(limit: int) -> ApiError:
    return ApiError(431, f"The request has more than {limit} headers", code="headers_too_large", headers=_CLOSE)


def model_not_found(message: str) -> ApiError:
    return ApiError(404, message, param="model", code="model_not_found")


def unsupported_encoding(encoding: str) -> ApiError:
    message = f"The body has the content encoding {encoding!r}: send plain JSON, without Content-Encoding"
    return ApiError(415, message, code="unsupported_encoding", headers={"accept-encoding": "identity"})


def unauthorized(message: str) -> ApiError:
    return ApiError(401, message, code="invalid_api_key", headers={"www-authenticate": "Bearer"})


def two_hosts() -> ApiError:
    return bad_request("The request has more than one Host header", code="invalid_http")


def host_not_allowed(host: str) -> ApiError:
    message = (
        f"The Host header {host[:100]!r} is not a name of this server: use a loopback name such as localhost, or start"
        " the server with --allowed-hosts and this name"
    )
    return ApiError(403, message, code="host_not_allowed")


def origin_not_allowed(origin: str) -> ApiError:
    message = (
        f"Web pages of the origin {origin[:100]!r} may not make this request: to allow them, start the server with"
        " --allowed-origins and this origin"
    )
    return ApiError(403, message, code="origin_not_allowed")


def server_failed() -> ApiError:
    """A defect. Only the log describes it."""
    return ApiError(500, "The server failed; its log has the details", type="server_error")


def engine_failed(message: str) -> ApiError:
    return ApiError(500, message, type="server_error", code="engine_error")


def engine_unavailable(message: str) -> ApiError:
    return ApiError(503, message, type="server_error", code="engine_unavailable", headers={"retry-after": "1"})


def engine_busy(message: str) -> ApiError:
    return ApiError(503, message, type="server_error", code="engine_busy", headers={"retry-after": "1"})


def too_many_requests(limit: int) -> ApiError:
    message = f"The server is at its limit of concurrent requests ({limit}, --max-requests); try again in a moment"
    return ApiError(429, message, type="rate_limit_error", code="too_many_requests", headers={"retry-after": "1"})


def too_many_choices(limit: int) -> ApiError:
    message = (
        f"The requests in progress already have {limit} choices or the equivalent amount of text, the server's limit"
        " (--max-choices-in-progress); try again in a moment"
    )
    return ApiError(429, message, type="rate_limit_error", code="too_many_choices", headers={"retry-after": "1"})


def connections_full() -> ApiError:
    message = "The server has reached its limit of connections (--max-connections); try again in a moment"
    return ApiError(503, message, type="server_error", code="connections_full", headers={**_CLOSE, "retry-after": "1"})


def bodies_full(limit: int) -> ApiError:
    message = f"The bodies being received need more than {limit} bytes (--max-body-memory); try again in a moment"
    return ApiError(503, message, type="server_error", code="bodies_full", headers={**_CLOSE, "retry-after": "1"})


def name_taken(message: str, param: str) -> ApiError:
    return ApiError(409, message, param=param, code="name_taken")


def shutting_down(message: str = "The server is shutting down and accepts no new requests") -> ApiError:
    return ApiError(503, message, type="server_error", code="shutting_down", headers={"retry-after": "1"})


def cut_off() -> ApiError:
    """For a request in progress. Clients see the same code as for `shutting_down`."""
    return shutting_down("The server is shutting down and has ended this request")
