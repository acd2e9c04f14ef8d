"""Turns a response that is not an answer into one error, in whatever form the server reports it."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC
from math import isnan
from time import time
from typing import Any
from urllib.parse import urljoin, urlsplit

from sdk.body import BOM, compression, decompressed, excerpt, is_html, read_json
from sdk.errors import (
    AuthenticationError,
    BadRequestError,
    ModelNotFoundError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    RateLimitError,
    SDKError,
    ServerError,
    ServiceUnavailableError,
    StatusError,
)
from sdk.reported import error_facts, reported_error
from sdk.shown_text import MAX_QUOTED, shown
from sdk.sse import EventDecoder
from sdk.transport.base import Head, Request

MAX_ERROR_BYTES = 64 * 1024
_LONGEST_WAIT_S = 1e9  # thirty years, which is never for a caller and still a valid time to sleep
_ENDPOINTS = ("/chat/completions", "/completions", "/models")
_NO_FACTS: dict[str, Any] = {"server_message": "", "code": None, "type": None, "param": None}

_KINDS: dict[int, type[StatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    422: BadRequestError,
    429: RateLimitError,
    503: ServiceUnavailableError,
}


def status_error(head: Head, body: bytes, request: Request | None = None, model: str | None = None) -> StatusError:
    """The error for a response whose status is 400 or more; `model` is the one that the request asked for."""
    body = decompressed(body, compression(head.headers.get("content-encoding", "")), MAX_ERROR_BYTES)
    facts = error_facts(_payload(body)) or _NO_FACTS
    said = shown(facts["server_message"], MAX_QUOTED) or excerpt(body) or "(no body)"
    kind = _KINDS.get(head.status, ServerError if head.status >= 500 else StatusError)
    if kind is NotFoundError and model is not None and _is_about_model(facts, model):
        kind = ModelNotFoundError
    message = f"HTTP {head.status}: {said}"
    if head.status in (404, 405) and kind is not ModelNotFoundError and request is not None:
        message = f"HTTP {head.status} for {request.method} {request.url}: {said.rstrip('.')}; {_advice(request.url)}"
    return kind(
        message,
        status=head.status,
        retry_after_s=retry_after_s(head),
        body=body[:MAX_ERROR_BYTES],
        request_id=head.headers.get("x-request-id"),
        **facts,
    )


def _payload(body: bytes) -> Any:
    """The JSON in a body, or in the first event of a body that is a stream; None when there is none."""
    for data in (body, *_first_event(body)):
        with suppress(ValueError):
            return read_json(data)
    return None


def _first_event(body: bytes) -> list[bytes]:
    decoder = EventDecoder()
    return [*decoder.feed(body), *decoder.feed_eof()][:1]


def _is_about_model(facts: dict[str, Any], model: str) -> bool:
    """Whether a 404 is about the model rather than the path."""
    if facts["param"] == "model" or "model" in f"{facts['code']} {facts['type']}".lower():
        return True
    words = re.sub(r"\S*/(v\d|chat|models|completions)\b\S*", "", facts["server_message"])  # paths and addresses
    named = re.search(rf"(?<!\w){re.escape(model)}(?!\w)", words) if len(model) > 1 else None
    return named is not None or re.search(r"\b(model|adapter|lora)\b", words, re.IGNORECASE) is not None


def _advice(url: str) -> str:
    """What to try when an address does not lead to an API."""
    base, origin = _base(url), "{0.scheme}://{0.netloc}".format(urlsplit(url))
    if base == f"{origin}/v1":
        return f"check the base URL: is the API of this server at {base}?"
    return f"check the base URL, {base}: most servers have their API at {origin}/v1"


def _base(url: str) -> str:
    """The base URL that an endpoint's address begins with."""
    return next((url.removesuffix(path) for path in _ENDPOINTS if url.endswith(path)), url)


def unfit_head(head: Head, request: Request) -> ProtocolError | None:
    """The error for a head that an API answer cannot follow, or None."""
    if 300 <= head.status < 400:
        return ProtocolError(f"HTTP {head.status}: {_redirected(head, request)}")
    if head.status in (204, 205):
        return ProtocolError(f"HTTP {head.status}: the server sent no content")
    coding = compression(head.headers.get("content-encoding", ""))
    if coding:
        return ProtocolError(
            f"the answer is compressed ({coding}), which the request did not ask for: is a proxy in between?"
        )
    return None


def _redirected(head: Head, request: Request) -> str:
    location = shown(head.headers.get("location", "").strip(), MAX_QUOTED)
    if not location:
        return f"the server redirects {request.url} without naming a target; {_advice(request.url)}"
    try:
        target = urljoin(request.url, location)
        base = _base(target.partition("?")[0].rstrip("/"))
        is_endpoint = base != target.partition("?")[0].rstrip("/")
    except ValueError:
        target, base, is_endpoint = location, "", False
    remedy = f"give {base} as the base URL" if is_endpoint else "give the address of the API itself as the base URL"
    return f"the server redirects {request.url} to {target}, and the SDK does not follow redirects; {remedy}"


def is_about_chat_template(error: StatusError) -> bool:
    """Whether the server rejected a chat because the model has no chat template and only completes text."""
    return error.status == 400 and "chat template" in error.server_message.lower()


def is_about_stream_options(error: StatusError) -> bool:
    """Whether the server rejected `stream_options`, which older servers do not know."""
    return error.status in (400, 422) and "stream_options" in f"{error.param} {error.server_message}"


def not_an_answer(body: bytes, url: str | None = None, reason: str = "") -> SDKError:
    """The error for a body that has a success status and is not the answer.

    `reason` is why it does not fit; without one, the request asked for a stream.
    """
    try:
        payload = read_json(body)
    except ValueError:
        return ProtocolError(_not_json(body, url, is_stream_asked=not reason), url=url)
    found = reported_error(payload)
    if found is not None:
        found.url = url
        return found
    if isinstance(payload, dict) and payload.get("choices") and not reason:
        return ProtocolError("the server did not stream: it sent a whole answer", url=url)
    why = f" ({reason})" if reason else ""
    return ProtocolError(f"the answer is JSON but not an API answer{why}: {excerpt(body)}", url=url)


def _not_json(body: bytes, url: str | None, *, is_stream_asked: bool) -> str:
    advice = "" if url is None else f"; {_advice(url)}"
    if not body.strip():
        return f"the answer is empty{advice}"
    if is_html(body):
        return f"the answer is a web page, not JSON: {excerpt(body)}{advice}"
    if body.removeprefix(BOM).lstrip().startswith((b"data:", b"event:", b":")):
        if is_stream_asked:
            return f"the stream has the wrong Content-Type, which must be text/event-stream: {excerpt(body)}"
        return f"the answer is a stream of events, which the request did not ask for: {excerpt(body)}"
    return f"the answer is not JSON: {excerpt(body)}"


def retry_after_s(head: Head) -> float | None:
    """The Retry-After header in seconds; it holds a number or a date (RFC 9110 §10.2.3). None without one.

    A date is compared with the response's own Date header if there is one: the server's clock may differ from ours.
    """
    value = head.headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
        return None if isnan(seconds) else min(max(0.0, seconds), _LONGEST_WAIT_S)
    except ValueError:
        until = _date(value)
    if until is None:
        return None
    answered = _date(head.headers.get("date", ""))
    return min(max(0.0, until - (time() if answered is None else answered)), _LONGEST_WAIT_S)


def _date(value: str) -> float | None:
    """An HTTP date as seconds since 1970; None for anything else."""
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(value)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()  # HTTP's dates are GMT
    except (ValueError, TypeError, OverflowError):
        return None
