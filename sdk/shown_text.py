"""Makes a server's text safe to show: characters that steer a terminal, forge a line or hide become visible. Pure.

`SDKError.message`, `str(error)` and `repr(error)` pass through here. The attributes that hold a server's own words
(`server_message`, `code`, `type`, `param`, `request_id`, `body`) are unchanged: call `shown` before you print one.
"""

from __future__ import annotations

from streamgauge.hidden_characters import BLANK, escaped, without_piles

HIDDEN = "<hidden>"
"""Replaces a key."""
MAX_MESSAGE = 4000
"""The longest message, in characters."""
MAX_QUOTED = 1000
"""The longest quote of a server within a message, in characters."""
MAX_FACT = 300
"""The longest id, model name or address beside a message, in characters."""

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # controls, invisible formats, half characters, line separators


def shown(text: str, limit: int = MAX_MESSAGE) -> str:
    r"""The text on one line, with unsafe characters as escapes, cut after `limit` characters.

    Visible text does not change, backslashes included, so that the function may be applied twice.

    >>> shown("a\x1b[2J")
    'a\\x1b[2J'
    """
    text = text[: limit + 1]
    if not text.isprintable() or not BLANK.isdisjoint(text):
        text = "".join(map(_visible, text))
    text = without_piles(text)
    return text if len(text) <= limit else text[:limit] + "…"


def _visible(character: str) -> str:
    from unicodedata import category  # few texts need it

    if character in BLANK or category(character) in _UNSAFE:
        return escaped(character)
    return character
