"""Reads what a server says when it does not answer: one error out of the bodies that servers really send."""

from __future__ import annotations

import json
import re
from datetime import UTC
from math import isnan
from time import time
from typing import Any

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
    StreamServerError,
)
from sdk.transport.base import Head

MAX_ERROR_BYTES = 64 * 1024
_EXCERPT = 200

# An escape of JSON; the group is half of a surrogate pair without the other (RFC 8259 §7).
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\(u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)

_KINDS: dict[int, type[StatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    422: BadRequestError,
    429: RateLimitError,
    503: ServiceUnavailableError,
}


def read_json(data: bytes) -> Any:
    """What the JSON says. Raises ValueError when it is none, or nested too deeply to be meant."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None


def whole_characters(data: bytes) -> bytes:
    """The JSON with U+FFFD for halves of characters: what counts in UTF-16 may cut an emoji in two."""
    return _ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], data)


def excerpt(data: bytes) -> str:
    """The beginning of a body, for a message."""
    text = " ".join(data[: _EXCERPT * 4].decode("utf-8", "replace").split())
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + "…"


def error_facts(payload: Any) -> dict[str, Any] | None:
    """`server_message`, `code`, `type` and `param` of an error object, or None when `payload` is no error.

    Knows OpenAI's `{"error": {…}}`, its short form `{"error": "…"}`, the flat `{"object": "error", "message": …}` of
    ms-swift and older vLLM, and FastAPI's `{"detail": …}`.
    """
    if not isinstance(payload, dict):
        return None
    found: Any = payload.get("error")
    if not found and payload.get("object") == "error":
        found = payload
    if not found and "detail" in payload:
        found = {"message": _detail(payload["detail"])}
    if not found and "message" in payload and "choices" not in payload:
        found = payload
    if isinstance(found, str):
        found = {"message": found}
    if not found or not isinstance(found, dict):
        return None
    return {
        "server_message": str(found.get("message") or found.get("msg") or "").strip(),
        "code": found.get("code"),
        "type": found.get("type"),
        "param": found.get("param"),
    }


def _detail(detail: Any) -> str:
    if not isinstance(detail, list):
        return str(detail)
    return "; ".join(
        f"{'.'.join(map(str, item.get('loc', ())))}: {item.get('msg', '')}" if isinstance(item, dict) else str(item)
        for item in detail
    )


def status_error(head: Head, body: bytes) -> StatusError:
    """The error for a response whose status is 400 or more."""
    try:
        facts = error_facts(read_json(body))
    except ValueError:
        facts = None
    facts = facts or {"server_message": "", "code": None, "type": None, "param": None}
    said = facts["server_message"] or excerpt(body) or "(no body)"
    kind = _KINDS.get(head.status, ServerError if head.status >= 500 else StatusError)
    if kind is NotFoundError and _is_about_model(facts):
        kind = ModelNotFoundError
    return kind(
        f"HTTP {head.status}: {said}",
        status=head.status,
        retry_after_s=retry_after_s(head),
        body=body[:MAX_ERROR_BYTES],
        request_id=head.headers.get("x-request-id"),
        **facts,
    )


def unfit_head(head: Head) -> ProtocolError | None:
    """The error for a head that promises no answer of the API, or None."""
    if 300 <= head.status < 400:
        where = head.headers.get("location", "nowhere")
        return ProtocolError(f"HTTP {head.status}: the server redirects to {where}; give that address as the base URL")
    if head.status in (204, 205):
        return ProtocolError(f"HTTP {head.status}: the server sent no content")
    coding = head.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        return ProtocolError(f"the answer is compressed ({coding}), which was not asked for: is a proxy in between?")
    return None


def _is_about_model(facts: dict[str, Any]) -> bool:
    return (
        "model" in (facts["param"], facts["code"]) or "model" in str(facts["code"] or facts["server_message"]).lower()
    )


def says_no_chat_template(error: StatusError) -> bool:
    """Whether a refusal means that the model has no chat template: it completes text and does not chat."""
    return error.status == 400 and "chat template" in error.server_message.lower()


def says_no_usage(error: StatusError) -> bool:
    """Whether a refusal is about `stream_options`, which older servers do not know."""
    return error.status in (400, 422) and "stream_options" in f"{error.param} {error.server_message}"


def reported_error(payload: Any) -> StreamServerError | None:
    """The error that the server reports under a good status, or None when `payload` reports none."""
    facts = error_facts(payload)
    if facts is None:
        return None
    said = facts["server_message"] or "no reason given"
    return StreamServerError(f"the server reported an error: {said}", code=facts["code"], type=facts["type"])


def not_an_answer(body: bytes, url: str | None = None, reason: str = "") -> SDKError:
    """The error for a body under a good status that is not what was asked for.

    `reason` is what does not fit; without one a stream was asked for.
    """
    try:
        payload = read_json(body)
    except ValueError:
        return ProtocolError(f"the answer is not JSON: {excerpt(body) or '(empty)'}", url=url)
    found = reported_error(payload)
    if found is not None:
        found.url = url
        return found
    if not reason and isinstance(payload, dict) and payload.get("choices"):
        return ProtocolError("the server did not stream: it sent a whole answer", url=url)
    why = f" ({reason})" if reason else ""
    return ProtocolError(f"the answer is JSON but not an API answer{why}: {excerpt(body)}", url=url)


def retry_after_s(head: Head) -> float | None:
    """Seconds of the Retry-After header, which is a number or a date (RFC 9110 §10.2.3); None without one.

    A date counts from the answer's own Date where it has one: the server's clock may differ from this machine's.
    """
    value = head.headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
        return None if isnan(seconds) else max(0.0, seconds)
    except ValueError:
        until = _date(value)
    if until is None:
        return None
    answered = _date(head.headers.get("date", ""))
    return max(0.0, until - (time() if answered is None else answered))


def _date(value: str) -> float | None:
    """An HTTP date as seconds since 1970; None for what is not one."""
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(value)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()  # HTTP's dates are GMT
    except (ValueError, TypeError, OverflowError):
        return None
