"""Decides whether a terminal gets colours and cursor movements, by the usual environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TextIO

import click

_PLAIN_TERMINALS = ("dumb", "unknown")


def wants_colour(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether text for `stream` should be coloured.

    In order of precedence: NO_COLOR (no-color.org), FORCE_COLOR and CLICOLOR_FORCE, CLICOLOR=0, the kind of stream.
    """
    if environment.get("NO_COLOR"):
        return False
    if any(environment.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return environment.get("CLICOLOR") != "0" and can_move_cursor(stream, environment)


def can_move_cursor(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether `stream` is a terminal that can redraw lines."""
    return stream.isatty() and environment.get("TERM", "").lower() not in _PLAIN_TERMINALS


def say(text: str, stream: TextIO, *, end: bool = True) -> None:
    """Print a text with its styles, or without them if colours are off."""
    click.echo(text, file=stream, nl=end, color=wants_colour(stream, os.environ))


def columns_of(stream: TextIO) -> int | None:
    """The width of the terminal, None if the stream is not one or its width is unknown."""
    if not stream.isatty():
        return None
    if (given := os.environ.get("COLUMNS", "")).isdecimal() and len(given) < 10 and int(given) > 0:
        return int(given)
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None
