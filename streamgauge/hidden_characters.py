"""Characters that show nothing or cover their neighbours, for programs that print text which others wrote. Pure."""

from __future__ import annotations

# Letters, symbols and marks that are blank, or no wider than nothing (Unicode's Default_Ignorable), without the two
# that choose between text and emoji.
BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE0E), *range(0xE0100, 0xE01F0))))
)
_MOST_MARKS = 4  # in a row: scripts need a few, hundreds cover the lines above and below


def escaped(character: str) -> str:
    r"""The escape that a string literal would have: `\x1b`, `\u202e`."""
    return character.encode("unicode_escape").decode("ascii")


def without_piles(text: str) -> str:
    """The text with marks above and below a letter escaped beyond the first few."""
    if text.isascii():
        return text
    from unicodedata import category  # most texts do without

    marks, parts = 0, []
    for character in text:
        marks = marks + 1 if category(character) in ("Mn", "Me") else 0
        parts.append(character if marks <= _MOST_MARKS else escaped(character))
    return "".join(parts)
