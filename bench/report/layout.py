"""Fits text into a width: styled parts side by side, wrapped texts, and commands that can still be pasted. Pure."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Sequence

from click import unstyle

_LABELS = 9  # the width of a label
# These stay on one line: an option with its value, and a number with its unit.
_APART = re.compile(r"(?<=--duration) (?=\d)|(?<=--num-requests) (?=\d)|(?<=\d) (?=(?:ms|s|%)(?!\w))")
_BOUND = "\N{NO-BREAK SPACE}"


class Layout:
    """Fits texts into lines of `width` characters. All lines of a text but the first begin with `indent`."""

    def __init__(self, width: int, indent: str) -> None:
        self.width, self.indent = width, indent

    def fitted(self, parts: Sequence[str], between: str) -> str:
        """Styled parts side by side. A part that no longer fits begins a new line."""
        room = self.width - len(self.indent)
        lines: list[str] = []
        for part in filter(None, parts):
            if lines and len(unstyle(lines[-1] + between + part)) <= room:
                lines[-1] += between + part
                continue
            first, *rest = _broken(part, room)
            lines += [first, *rest]
        return ("\n" + self.indent).join(lines)

    def wrapped(self, text: str, indent: str | None = None, hanging: str = "") -> str:
        """A text without styles on as many lines as it takes; all lines but the first begin with `hanging`."""
        before = self.indent if indent is None else indent
        filled = textwrap.fill(
            _APART.sub(_BOUND, text),
            max(self.width, len(before + hanging) + 1),
            initial_indent=before,
            subsequent_indent=before + hanging,
            break_on_hyphens=False,
        )
        return filled.replace(_BOUND, " ")

    def listed(self, parts: Sequence[str], indent: str | None = None) -> str:
        """Short facts on as many lines as they take, with line breaks between facts where possible."""
        longest = (self.width - len(self.indent if indent is None else indent)) / 2
        bound = [part.replace(" ", _BOUND) if len(part) < longest else part for part in parts if part]
        return self.wrapped(" · ".join(bound), indent)

    def command(self, label: str, command: str, columns: int | None) -> str:
        """A command after its label, on one line if `columns` is None or wide enough.

        Otherwise the command continues after a backslash, so that it can still be pasted. If its longest word would
        not fit beside the label, the command begins on the next line.
        """
        before = f"{self.indent}{label}{' ' * (_LABELS - len(unstyle(label)))}"
        hanging = " " * len(unstyle(before))
        if columns is None or len(hanging) + len(command) <= columns:
            return before + command
        words = _words(command)
        if len(hanging) + max(map(len, words)) + 2 > columns:
            before, hanging = f"{self.indent}{label}\n{self.indent}", self.indent
        lines: list[str] = []
        for word in words:
            if lines and len(hanging) + len(lines[-1]) + len(word) + 3 <= columns:  # a space, and the backslash
                lines[-1] += f" {word}"
            else:
                lines.append(word)
        return before + f" \\\n{hanging}".join(lines)


def _broken(part: str, room: int) -> list[str]:
    """Break a part that is too wide: between words or, if that is not enough, anywhere, which drops its styles."""
    if len(unstyle(part)) <= room:
        return [part]
    lines: list[str] = []
    for word in part.split(" "):
        if lines and len(unstyle(f"{lines[-1]} {word}")) <= room:
            lines[-1] += f" {word}"
        elif len(unstyle(word)) <= room:
            lines.append(word)
        else:
            lines += textwrap.wrap(unstyle(word), room, break_on_hyphens=False)
    return lines


def _words(command: str) -> list[str]:
    """The words of a command, quoted for the shell; an option and its value are one word."""
    words: list[str] = []
    for word in map(shlex.quote, shlex.split(command)):
        if words and words[-1].startswith("--") and " " not in words[-1] and not word.startswith("-"):
            words[-1] += f" {word}"
        else:
            words.append(word)
    return words
