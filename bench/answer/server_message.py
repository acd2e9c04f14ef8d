"""What a server sent instead of an answer: an error, a web page or a text, with a good status. Pure."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import msgspec

from bench.outcome import Outcome
from bench.target import Head, error_message, excerpt, read_address

# The most bytes of JSON that are searched for an error, and of a page.
_MOST_READ, _MOST_PAGE = 1024 * 1024, 8 * 1024
_MOST_END = 64 * 1024  # bytes of the end of a stream
_PAGE = re.compile(rb"\s*(?:<!doctype html|<html|<head|<body)", re.IGNORECASE)
# These patterns take linear time even if tags are not closed.
_TITLE = re.compile(rb"<title[^<>]*>([^<]*)</title>", re.IGNORECASE)
_NOT_TEXT = re.compile(rb"<(script|style)\b.*?(?:</\1>|\Z)|<[^<>]*>", re.IGNORECASE | re.DOTALL)
# The fields of an event stream, and its comments (WHATWG HTML §9.2.6).
_FIELD = re.compile(rb"(?:data|event|id|retry)?:")


def text_of(body: bytes) -> str:
    """The body in one line: the message of an error, the title of a page, the beginning of a text."""
    if _PAGE.match(body):
        body = body[:_MOST_PAGE]
        title = _TITLE.search(body)
        text = unescape(excerpt(title[1] if title and title[1].strip() else _NOT_TEXT.sub(b" ", body)))
        return f"a web page, {text!r}" if text else "a web page without text"
    return _error(_read(body)) or excerpt(body) or "(no body)"


def unfit_answer(head: Head, body: bytes, *, streamed: bool, wanted: str = "an answer") -> tuple[Outcome, str]:
    """What is wrong with a whole body under a status below 400 that is not `wanted`.

    `streamed` is whether a stream was asked for.
    """
    status = f"HTTP {head.status}"
    if 300 <= head.status < 400:
        return Outcome.PROTOCOL, f"{status}: {_redirect(head.headers.get('location', '').strip())}"
    if not body.strip():
        return Outcome.PROTOCOL, f"{status} without a body: the server sent nothing"
    content = _read(body)
    if (said := _error(content)) is not None:
        return Outcome.STREAM_ERROR, f"{status}, but the body is an error: {said}"
    if streamed and isinstance(content, dict) and content.get("choices"):
        return Outcome.PROTOCOL, f"{status} with a whole answer instead of a stream; use --no-stream to measure those"
    kind = f" ({head.media_type})" if head.media_type else ""
    return Outcome.PROTOCOL, f"{status}, but the body{kind} is not {wanted}: {text_of(body)}"


def encoding_of(head: Head) -> str:
    """The encoding that a proxy compressed the body with, although it was not requested; empty if none."""
    said = head.headers.get("content-encoding", "").strip().lower()
    return "" if said == "identity" else said


def stray_text(end: bytes, *, is_whole: bool) -> tuple[str | None, str]:
    """The content of the end of a stream outside its events: the message of an error, and any other text.

    With `is_whole` it is the whole stream; otherwise the first line may be incomplete.
    """
    is_whole, end = is_whole and len(end) <= _MOST_END, end[-_MOST_END:]
    lines = end.splitlines() if is_whole else end.splitlines()[1:]
    stray = b"\n".join(line for line in lines if line.strip() and not _FIELD.match(line))
    candidates = [stray, *stray.splitlines()]
    said = next((words for text in candidates if (words := _error(_read(text))) is not None), None)
    return said, text_of(stray) if stray else ""


def _redirect(where: str) -> str:
    """Where the server redirects to, and how to measure that address: a load test does not follow redirects."""
    try:
        remedy = f"--base-url {read_address(where)} measures that address" if "://" in where else ""
    except ValueError:  # for example a login page
        remedy = ""
    return f"the server redirects to {where or 'an address that it does not name'}; " + (
        remedy or "give the final address with --base-url"
    )


def error_of(body: bytes) -> str | None:
    """The message of the error that a body is; None if it is not an error."""
    return _error(_read(body))


def _error(content: Any) -> str | None:
    """The message of an error object; in other APIs, `message` may be something else, but not text."""
    if not isinstance(content, dict):
        return None
    is_error = content.get("error") or content.get("object") == "error" or isinstance(content.get("detail"), str | list)
    if is_error or ("choices" not in content and isinstance(content.get("message"), str)):
        return error_message(content)
    return None


def _read(body: bytes) -> Any:
    """The JSON; None if it is not JSON, or too large for an error."""
    if len(body) > _MOST_READ:
        return None
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None
