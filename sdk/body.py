"""Bodies and events as bytes: JSON out of them, and excerpts for messages."""

from __future__ import annotations

import json
import re
from typing import Any

BOM = b"\xef\xbb\xbf"
_EXCERPT = 200
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.DOTALL | re.IGNORECASE)
_HTML = re.compile(rb"\s*(<!doctype html|<html|<head|<body)", re.IGNORECASE)

# An escape of JSON; the group is half of a surrogate pair without the other (RFC 8259 §7).
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\(u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)


def read_json(data: bytes) -> Any:
    """What the JSON says. Raises ValueError when it is not JSON, or nested too deeply to be meant."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None


def whole_characters(data: bytes) -> bytes:
    """The JSON with U+FFFD for halves of characters: what counts in UTF-16 may cut an emoji in two."""
    return _ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], data)


def excerpt(data: bytes) -> str:
    """The beginning of a body, for a message; of a web page its title."""
    text = data[: _EXCERPT * 20].removeprefix(BOM).decode("utf-8", "replace")
    if is_html(data) and (title := _TITLE.search(text)) and title[1].strip():
        return shortened(f"{title[1]} (a web page)")
    return shortened(text)


def shortened(text: str) -> str:
    """The text on one line, cut where it grows too long for a message."""
    line = " ".join(text[: _EXCERPT * 4].split())
    return line if len(line) <= _EXCERPT else line[:_EXCERPT] + "…"


def is_html(data: bytes) -> bool:
    """Whether the body is a web page."""
    return _HTML.match(data.removeprefix(BOM)) is not None
