"""Makes text that a server wrote safe to show: what could steer a terminal, forge a line or hide becomes visible. Pure.

`SDKError.message`, `str(error)` and `repr(error)` pass through here. The attributes that hold a server's own words
(`server_message`, `code`, `type`, `param`, `request_id`, `body`) are as they came: whoever prints one calls `shown`.
"""

from __future__ import annotations

from streamgauge.hidden_characters import BLANK, escaped, without_piles

HIDDEN = "<hidden>"
"""What stands for a key."""
MAX_MESSAGE = 4000
"""Characters of a whole message."""
MAX_SAID = 1000
"""Characters of a server's own words within a message."""
MAX_FACT = 300
"""Characters of an id, a model name or an address beside a message."""

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # controls, invisible formats, half characters, line separators


def shown(text: str, limit: int = MAX_MESSAGE) -> str:
    r"""The text on one line, with unsafe characters written as escapes, cut behind `limit` characters.

    Text that can be seen stays as it is, backslashes included, so that what was shown may be shown again.

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
