"""Messages that name settings: the command line spells these as options, a Python program as keyword arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting in a message by its Python name, with the value that it has or should have. As a string, it is an
    option of the command line.
    """

    name: str
    value: object = None
    typed: str | None = None
    """The value as people type it on a command line, if that is not its `str`."""

    def __str__(self) -> str:
        flag = f"--{self.name.replace('_', '-')}"
        if self.value is None:
            return flag
        shown = str(self.value).lower() if isinstance(self.value, bool) else str(self.value)
        return f"{flag} {self.typed or shown}"


Part = str | Setting
"""A piece of a message."""


class WordedError(Exception):
    """An error whose message consists of `parts`. Its `str` is for the command line; another front end uses
    `spelled`.
    """

    def __init__(self, *parts: Part) -> None:
        super().__init__("".join(map(str, parts)))
        self.parts = parts

    @property
    def settings(self) -> frozenset[str]:
        """The names of the settings in the message."""
        return frozenset(part.name for part in self.parts if isinstance(part, Setting))

    def spelled(self, spell: Callable[[Setting], str]) -> str:
        """The message with the settings in other words."""
        return "".join(part if isinstance(part, str) else spell(part) for part in self.parts)
