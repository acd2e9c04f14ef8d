"""Reasons why no value could be drawn."""

from __future__ import annotations


class UndrawableError(ValueError):
    """The schema or expression is invalid, contradicts itself, or exceeds what the simulated engine supports.

    `where` is a dotted path into the instance; empty for its root.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.where: str | None = None


class NoTextError(UndrawableError):
    """No text was found that matches an expression and has the length asked for."""


class TooMuchWorkError(UndrawableError):
    """The budget is used up."""
