"""Makes a server's text safe to show: characters that steer a terminal, forge a line or hide become visible. Pure.

`SDKError.message`, `str(error)` and `repr(error)` pass through here. The attributes that hold a server's own words
(`server_message`, `code`, `type`, `param`, `request_id`, `body`) are unchanged: call `shown` before you print one.
"""

from __future__ import annotations

HIDDEN = "<hidden>"
"""Replaces a key."""
MAX_MESSAGE = 4000
"""The longest message, in characters."""
MAX_QUOTED = 1000
"""The longest quote of a server within a message, in characters."""
MAX_FACT = 300
"""The longest id, model name or address beside a message, in characters."""

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # controls, invisible formats, half characters, line separators
# Letters and marks that show nothing, except the two that choose between text and emoji.
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE0E), *range(0xE0100, 0xE01F0))))
)
_MOST_MARKS = 4  # in a row: scripts need a few, but hundreds cover the lines above and below


def shown(text: str, limit: int = MAX_MESSAGE) -> str:
    r"""The text on one line, with unsafe characters as escapes, cut after `limit` characters.

    Visible text does not change, backslashes included, so that the function may be applied twice.

    >>> shown("a\x1b[2J")
    'a\\x1b[2J'
    """
    text = text[: limit + 1]
    if not text.isprintable() or not _BLANK.isdisjoint(text):
        text = "".join(map(_escaped, text))
    if not text.isascii():
        text = _without_piles(text)
    return text if len(text) <= limit else text[:limit] + "…"


def _escaped(character: str) -> str:
    from unicodedata import category  # rarely needed

    if character in _BLANK or category(character) in _UNSAFE:
        return character.encode("unicode_escape").decode("ascii")
    return character


def _without_piles(text: str) -> str:
    """Escape the marks above and below a letter, beyond a few."""
    from unicodedata import category

    marks, parts = 0, []
    for character in text:
        marks = marks + 1 if category(character) in ("Mn", "Me") else 0
        parts.append(character if marks <= _MOST_MARKS else character.encode("unicode_escape").decode("ascii"))
    return "".join(parts)
