"""Makes text from outside safe for the log: a client must not forge lines or control the reader's terminal."""

from __future__ import annotations

from streamgauge.hidden_characters import escaped


def printable(text: str) -> str:
    """Escapes line ends, control characters, and characters that reverse text or are invisible."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else escaped(character) for character in text)


def printable_lines(text: str) -> str:
    """The same for text of several lines."""
    return "\n".join(map(printable, text.splitlines()))
