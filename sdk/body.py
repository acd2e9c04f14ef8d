"""Bodies and events as bytes: JSON out of them, and excerpts for messages."""

from __future__ import annotations

import json
import re
import zlib
from contextlib import suppress
from typing import Any

import msgspec

BOM = b"\xef\xbb\xbf"
_EXCERPT = 200
_OF_ZLIB = frozenset({"gzip", "x-gzip", "deflate"})
_COMPRESSIONS = _OF_ZLIB | {"br", "zstd", "compress", "x-compress"}
_CONTROLS = frozenset(range(32)) - set(b"\t\r\n")
_TITLE = re.compile(r"<title[^<>]*>([^<]*)</title>", re.IGNORECASE)  # linear, also where many titles begin
_HTML = re.compile(rb"\s*(<!doctype html|<html|<head|<body)", re.IGNORECASE)

# An escape of JSON, or half of a surrogate pair as bytes, which Python takes although UTF-8 has none; each group
# is half of a pair without the other (RFC 8259 §7).
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\(u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
    rb"|(\xed[\xa0-\xbf][\x80-\xbf])",
    re.DOTALL,
)
_MAY_BE_HALF = (rb"\ud", rb"\uD", b"\xed")


def read_json(data: bytes) -> Any:
    """What the JSON says. Raises ValueError when it is not JSON, or nested too deeply to be meant.

    Line ends and tabs within texts are taken as they are: servers that build JSON by hand forget to escape them.
    """
    try:
        return json.loads(data, strict=False)
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None


def read_large_json(data: bytes) -> Any:
    """The same, in less memory: Python's own reader makes one text of it all first, of up to four bytes a character."""
    try:
        return msgspec.json.decode(data)
    except (ValueError, RecursionError):  # NaN, say, or a line end within a text
        return read_json(data)


def whole_characters(data: bytes) -> bytes:
    """The JSON with U+FFFD for halves of characters: what counts in UTF-16 may cut an emoji in two."""
    if not any(mark in data for mark in _MAY_BE_HALF):  # the search takes ten times as long
        return data
    return _ESCAPE.sub(lambda half: rb"\ufffd" if half[1] or half[2] else half[0], data)


def compression(codings: str) -> str:
    """The first compression that a Content-Encoding names; empty for what is none (`identity`, `utf-8`)."""
    if not codings:
        return ""
    named = (coding.strip() for coding in codings.lower().split(","))
    return next((coding for coding in named if coding in _COMPRESSIONS), "")


def decompressed(data: bytes, coding: str, limit: int) -> bytes:
    """The first `limit` bytes of what was compressed; words that name the compression where it cannot be undone."""
    if not coding:
        return data
    for window in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS) if coding in _OF_ZLIB else ():  # with a header, and without
        with suppress(zlib.error):
            return zlib.decompressobj(window).decompress(data, limit)
    return data if is_readable(data) else f"(a body compressed by {coding})".encode()


def is_readable(data: bytes) -> bool:
    """Whether the body is text, whatever its head says."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return _CONTROLS.isdisjoint(data)


def excerpt(data: bytes) -> str:
    """The beginning of a body, for a message; of a web page its title."""
    text = data[: _EXCERPT * 20].removeprefix(BOM).decode("utf-8", "replace")
    if is_html(data) and (title := _TITLE.search(text)) and title[1].strip():
        return shortened(f"{title[1]} (a web page)")
    return shortened(text)


def shortened(text: str) -> str:
    """The text on one line, cut where it grows too long for a message."""
    line = " ".join(text[: _EXCERPT * 4].split())
    is_whole = len(line) <= _EXCERPT and len(text) <= _EXCERPT * 4
    return line if is_whole else line[:_EXCERPT] + "…"


def is_html(data: bytes) -> bool:
    """Whether the body is a web page."""
    return _HTML.match(data.removeprefix(BOM)) is not None
