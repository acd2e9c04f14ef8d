"""Removes secrets from texts of others: a server may quote the key that it rejects. Pure."""

from __future__ import annotations

import base64
import html
import json
import re
from binascii import Error as Base64Error
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from bench.headers import HIDDEN

_SHORTEST = 3
_LONG = 8  # shorter ones are hidden only as whole words: `X-Debug: on` must not hide half of a text
# An excerpt may end within a secret. Most of a secret is hidden anywhere, and a few characters of one at the cut.
_MOST_OF_IT = 0.6
_CUT = 5
_AT_CUT = re.compile(r"""[\s"'`)\]}]*(?:…|$)""")


class Redactor:
    """Replaces each secret in a text. Of a secret with a scheme (`Bearer KEY`), the rest alone is replaced too.

    That goes for the ways in which servers quote, too: as a URL (or one within another), HTML or JSON has it, and in
    Base64, also as a part of what is encoded there.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        plain = {part for secret in secrets for part in _parts(secret) if len(part) >= _SHORTEST}
        parts = sorted({form for part in plain for form in _forms(part)}, key=len, reverse=True)
        patterns = [
            f"(?i:{re.escape(part)})" if len(part) >= _LONG else rf"(?<!\w){re.escape(part)}(?!\w)" for part in parts
        ]
        self._pattern = re.compile("|".join(patterns)) if patterns else None
        self._long = [part for part in parts if len(part) >= _LONG]

    def __call__(self, text: str) -> str:
        if self._pattern is None:
            return text
        text = self._pattern.sub(HIDDEN, text)
        for part in self._long:
            text = _without_beginning(text, part)
        return text


def _without_beginning(text: str, secret: str) -> str:
    """The text without the beginnings of a truncated secret."""
    least, at, kept_to = secret[:_CUT], 0, 0
    most = max(_LONG, round(len(secret) * _MOST_OF_IT))
    kept: list[str] = []
    while (at := text.find(least, at)) >= 0:
        end, known = at + len(least), len(least)
        while known < len(secret) and end < len(text) and text[end] == secret[known]:
            end, known = end + 1, known + 1
        if known >= most or _AT_CUT.match(text, end):
            kept += (text[kept_to:at], HIDDEN)
            at = kept_to = end
        else:
            at += 1
    return "".join([*kept, text[kept_to:]]) if kept else text


def _parts(secret: str) -> list[str]:
    words = secret.split()
    if not words:
        return []
    scheme, *rest = words
    if not scheme.isalpha():
        return [secret, scheme, *rest]
    if scheme.lower() == "basic" and len(rest) == 1:
        return [secret, *rest, *_credentials(rest[0])]
    return [secret, *rest]


def _credentials(encoded: str) -> list[str]:
    """The content of Basic authentication: name and password, and the password alone."""
    try:
        said = base64.b64decode(encoded, validate=True).decode()
    except (Base64Error, ValueError):
        return []
    return [said, said.partition(":")[2]]


def _forms(part: str) -> set[str]:
    """A secret unchanged, and in the forms in which others quote it."""
    found = {part, quote(part, safe=""), quote_plus(part), html.escape(part), json.dumps(part)[1:-1], repr(part)[1:-1]}
    found.add(part.encode("latin-1", "replace").decode("utf-8", "replace"))  # sent as UTF-8 bytes
    found |= {quote(quote(part, safe=""), safe=""), json.dumps(part).replace("/", "\\/")[1:-1]}
    if len(part) >= _LONG:
        found |= _base64_forms(part.encode("utf-8", "surrogateescape"))
    return {form for form in found if len(form) >= _SHORTEST}


def _base64_forms(data: bytes) -> set[str]:
    """Bytes as Base64 has them alone, and within a longer text (`user:KEY`), by where in it they begin.

    What shares a character with its neighbours is left out there.
    """
    found: set[str] = set()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        found.add(encode(data).decode().rstrip("="))
        for before, shared in ((0, 0), (1, 2), (2, 3)):
            encoded = encode(bytes(before) + data).decode()
            found.add(encoded[shared : 8 * (before + len(data)) // 6])
    return found
