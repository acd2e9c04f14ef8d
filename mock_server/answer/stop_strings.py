"""Finds stop strings in text that arrives in pieces. Text that may be the beginning of one is held back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

_NOTHING: frozenset[str] = frozenset()


class StopStrings:
    """The string that is complete first wins, and the longer one of two that end together, however the text is split.

    Each character is read once, however much text is held back.
    """

    __slots__ = ("_firsts", "_held", "_matched_lengths", "_strings", "matched")

    def __init__(self, strings: Sequence[str]) -> None:
        self._strings = tuple(strings)
        self._firsts = frozenset(string[0] for string in self._strings) if strings else _NOTHING
        self._matched_lengths = [0] * len(self._strings)
        self._held = ""
        self.matched: str | None = None

    def push(self, text: str) -> str:
        """The text that may be shown. If a string has matched (`matched`), that is the text before it, and the last."""
        if not self._held and self._firsts.isdisjoint(text):
            return text
        buffer = self._held + text
        for at, character in enumerate(text, start=len(self._held) + 1):
            complete = self._read(character)
            if complete is not None:
                self.matched = complete
                self._held = ""
                return buffer[: at - len(complete)]
        border = len(buffer) - max(self._matched_lengths)
        self._held = buffer[border:]
        return buffer[:border]

    def _read(self, character: str) -> str | None:
        """The longest string that this character completes."""
        complete: str | None = None
        lengths = self._matched_lengths
        for number, string in enumerate(self._strings):
            length = lengths[number]
            if length and string[length] != character:
                borders = _borders(string)
                while length and string[length] != character:
                    length = borders[length - 1]
            if string[length] == character:
                length += 1
            lengths[number] = length
            if length == len(string) and (complete is None or length > len(complete)):
                complete = string
        return complete

    def flush(self) -> str:
        """The text held back, at the end of the text."""
        held, self._held = self._held, ""
        self._matched_lengths = [0] * len(self._strings)
        return held


@lru_cache(maxsize=256)
def _borders(string: str) -> tuple[int, ...]:
    """For each prefix of a string, the length of its longest proper prefix that is also its suffix."""
    borders = [0] * len(string)
    length = 0
    for at in range(1, len(string)):
        while length and string[at] != string[length]:
            length = borders[length - 1]
        if string[at] == string[length]:
            length += 1
        borders[at] = length
    return tuple(borders)


def overlap(text: str, string: str) -> int:
    """The length of the longest end of `text` that `string` begins with, except all of `string`."""
    for length in range(min(len(string) - 1, len(text)), 0, -1):
        if text.endswith(string[:length]):
            return length
    return 0
