"""What the user sees: answers on standard output, everything else on standard error, styles on terminals only."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from typing import TextIO

from streamgauge.hidden_characters import BLANK, escaped

_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"
_WIDEST = 100
_LAYOUT = "\n\t"
_EMOJI_PARTS = "\u200d"  # joins several into one


class Terminal:
    """Standard output and standard error, by what they are."""

    def __init__(self, out: TextIO, err: TextIO, environment: Mapping[str, str]) -> None:
        for stream in (out, err):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # a model may write what the locale lacks
        self.out = out
        self.err = err
        self.is_dumb = environment.get("TERM") == "dumb"
        self.is_interactive = out.isatty()
        self._is_styled = not self.is_dumb and not environment.get("NO_COLOR")

    @property
    def width(self) -> int:
        """The number of columns of a line."""
        try:
            return min(os.get_terminal_size(self.out.fileno()).columns, _WIDEST)
        except OSError:
            return _WIDEST

    def answer(self, text: str) -> None:
        """A piece of the model's text. On a terminal, characters that would control it are escaped."""
        self.out.write(visible(text) if self.is_interactive else text)
        self.out.flush()

    def thoughts(self, text: str) -> None:
        """A piece of what the model thinks before it answers; only for people."""
        if self.is_interactive:
            self.out.write(self._dim(visible(text), self.out))
            self.out.flush()

    def line(self, text: str = "") -> None:
        """A line for the user, beside the answers."""
        self.out.write(f"{text}\n")
        self.out.flush()

    def remark(self, text: str) -> None:
        """The same, less conspicuous."""
        self.line(self._dim(text, self.out))

    def note(self, text: str) -> None:
        """A line on standard error."""
        self.err.write(f"{text}\n")
        self.err.flush()

    def passing(self, text: str) -> None:
        """A line that is only for people who watch; the next one replaces it. Empty: remove it."""
        if self.err.isatty() and not self.is_dumb:
            self.err.write(f"\r\x1b[K{self._dim(text, self.err)}" if text else "\r\x1b[K")
            self.err.flush()

    def _dim(self, text: str, stream: TextIO) -> str:
        return f"{_DIM}{text}{_PLAIN}" if self._is_styled and stream.isatty() else text


def visible(text: str) -> str:
    r"""The text with its control characters and invisible ones as escapes: a model may write `\x1b]` as any other."""
    if text.isprintable() and text.isascii():
        return text
    return "".join(character if _is_harmless(character) else escaped(character) for character in text)


def _is_harmless(character: str) -> bool:
    return character in _LAYOUT or character in _EMOJI_PARTS or (character.isprintable() and character not in BLANK)
