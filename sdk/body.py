"""Bodies and events as bytes: parsing their JSON, and excerpts for messages."""

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

# A JSON escape, or half of a surrogate pair as bytes, which UTF-8 does not allow but Python accepts. Each group is one
# half of a pair without the other (RFC 8259 §7).
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\(u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
    rb"|(\xed[\xa0-\xbf][\x80-\xbf])",
    re.DOTALL,
)
_MAY_BE_HALF = (rb"\ud", rb"\uD", b"\xed")


def read_json(data: bytes) -> Any:
    """The value of the JSON. Raises ValueError if it is not JSON or nested too deeply.

    Unescaped line ends and tabs within strings are accepted: servers that build JSON by hand forget to escape them.
    """
    try:
        return json.loads(data, strict=False)
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None


def read_large_json(data: bytes) -> Any:
    """As `read_json`, in less memory: Python's parser first makes a text of it, of up to four bytes a character."""
    try:
        return msgspec.json.decode(data)
    except (ValueError, RecursionError):  # for example, NaN or a line end within a string
        return read_json(data)


def whole_characters(data: bytes) -> bytes:
    """The JSON with U+FFFD for halves of characters: a server that counts in UTF-16 may cut an emoji in two."""
    if not any(mark in data for mark in _MAY_BE_HALF):  # the search takes ten times as long
        return data
    return _ESCAPE.sub(lambda half: rb"\ufffd" if half[1] or half[2] else half[0], data)


def compression(codings: str) -> str:
    """The first compression that a Content-Encoding names; empty if it names none (`identity`, `utf-8`)."""
    if not codings:
        return ""
    named = (coding.strip() for coding in codings.lower().split(","))
    return next((coding for coding in named if coding in _COMPRESSIONS), "")


def decompressed(data: bytes, coding: str, limit: int) -> bytes:
    """The first `limit` bytes of a compressed body; a note that names the compression if it cannot be undone."""
    if not coding:
        return data
    for window in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS) if coding in _OF_ZLIB else ():  # with a header, and without
        with suppress(zlib.error):
            return zlib.decompressobj(window).decompress(data, limit)
    return data if is_readable(data) else f"(a body compressed by {coding})".encode()


def is_readable(data: bytes) -> bool:
    """Whether the body is text, regardless of its head."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return _CONTROLS.isdisjoint(data)


def excerpt(data: bytes) -> str:
    """The beginning of a body, or the title of a web page, for a message."""
    text = data[: _EXCERPT * 20].removeprefix(BOM).decode("utf-8", "replace")
    if is_html(data) and (title := _TITLE.search(text)) and title[1].strip():
        return shortened(f"{title[1]} (a web page)")
    return shortened(text)


def shortened(text: str) -> str:
    """The text on one line, cut to a length that fits a message."""
    line = " ".join(text[: _EXCERPT * 4].split())
    is_whole = len(line) <= _EXCERPT and len(text) <= _EXCERPT * 4
    return line if is_whole else line[:_EXCERPT] + "…"


def is_html(data: bytes) -> bool:
    """Whether the body is a web page."""
    return _HTML.match(data.removeprefix(BOM)) is not None
