"""Makes text that a server wrote safe to show: what could steer a terminal, forge a line or hide becomes visible. Pure.

`SDKError.message`, `str(error)` and `repr(error)` pass through here. The attributes that hold a server's own words
(`server_message`, `code`, `type`, `param`, `request_id`, `body`) are as they came: whoever prints one calls `shown`.
"""

from __future__ import annotations

HIDDEN = "<hidden>"
"""What stands for a key."""
MAX_MESSAGE = 4000
"""Characters of a whole message."""
MAX_SAID = 1000
"""Characters of a server's own words within a message."""
MAX_FACT = 300
"""Characters of an id, a model name or an address beside a message."""

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # controls, invisible formats, half characters, line separators
# Letters and marks that show nothing, without the two that choose between text and emoji.
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE0E), *range(0xE0100, 0xE01F0))))
)
_MOST_MARKS = 4  # in a row: scripts need a few, hundreds cover the lines above and below


def shown(text: str, limit: int = MAX_MESSAGE) -> str:
    r"""The text on one line, with unsafe characters written as escapes, cut behind `limit` characters.

    Text that can be seen stays as it is, backslashes included, so that what was shown may be shown again.

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
    from unicodedata import category  # few texts need it

    if character in _BLANK or category(character) in _UNSAFE:
        return character.encode("unicode_escape").decode("ascii")
    return character


def _without_piles(text: str) -> str:
    """Marks above and below a letter beyond a few are escaped."""
    from unicodedata import category

    marks, parts = 0, []
    for character in text:
        marks = marks + 1 if category(character) in ("Mn", "Me") else 0
        parts.append(character if marks <= _MOST_MARKS else character.encode("unicode_escape").decode("ascii"))
    return "".join(parts)
