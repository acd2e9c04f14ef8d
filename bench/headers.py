"""Request headers as users write them: `NAME=VALUE` as for `vllm bench serve`, `Name: value` as for curl. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

Header = tuple[str, str]

# RFC 9110 §5.1: a name contains neither = nor :, so the first of them ends it.
_SPLIT = re.compile(r"\s*([^=:]*?)\s*[=:](.*)", re.DOTALL)
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

_FRAMING = "the bench itself frames the message; leave it out"
_REFUSED = {
    "accept-encoding": "the bench reads answers without compression; leave it out",
    "connection": _FRAMING,
    "content-length": _FRAMING,
    "expect": _FRAMING,
    "host": "it is derived from the address; give the name in --base-url",
    "keep-alive": _FRAMING,
    "proxy-connection": _FRAMING,
    "te": _FRAMING,
    "trailer": _FRAMING,
    "transfer-encoding": _FRAMING,
    "upgrade": _FRAMING,
    "x-request-id": "the bench gives each request an id, which is in its record; leave it out",
}

# Printed in place of a value wherever a header is shown.
HIDDEN = "<hidden>"


def parse_headers(texts: Iterable[str]) -> tuple[Header, ...]:
    """The headers in the given order. Raises ValueError with a message that contains no value."""
    headers: list[Header] = []
    for text in texts:
        name, value = _parse(text)
        if name.lower() in {known.lower() for known, _ in headers}:
            raise ValueError(f"gives {name} twice: keep one of them")
        headers.append((name, value))
    return tuple(headers)


def hide_value(text: str) -> str:
    """`NAME=<hidden>` for a header; text that is not a header is hidden as a whole."""
    split = _SPLIT.match(text)
    return f"{split[1]}={HIDDEN}" if split and _NAME.fullmatch(split[1]) else HIDDEN


def _parse(text: str) -> Header:
    split = _SPLIT.match(text)
    if split is None:
        raise ValueError("must be NAME=VALUE or 'Name: value'; the given text has neither = nor :")
    name, value = split[1], split[2].strip(" \t")
    if not _NAME.fullmatch(name):
        raise ValueError(f"must begin with a header name, such as X-Api-Key=…; {name!r} is not a valid name")
    if why := _REFUSED.get(name.lower()):
        raise ValueError(f"must not set {name}: {why}")
    if not value:
        raise ValueError(f"{name} has an empty value; is a shell variable unset?")
    if value == HIDDEN:
        raise ValueError(f"{name} has {HIDDEN} as its value, which the bench prints in place of the real one")
    if _CONTROL.search(value):
        raise ValueError(f"{name} has a line break or another control character in its value")
    return name, wire_text(value)


def wire_text(value: str) -> str:
    """The text whose Latin-1 bytes are the value in UTF-8: headers are written in Latin-1, and servers read UTF-8."""
    return value.encode("utf-8", "surrogateescape").decode("latin-1")
