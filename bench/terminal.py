"""What a terminal is to be sent: colours, and escapes that move the cursor. By the environment's usual variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TextIO

import click

_PLAIN_TERMINALS = ("dumb", "unknown")


def wants_colour(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether text for `stream` is to be coloured.

    NO_COLOR goes first (no-color.org), then FORCE_COLOR and CLICOLOR_FORCE, then CLICOLOR=0, then what the stream is.
    """
    if environment.get("NO_COLOR"):
        return False
    if any(environment.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return environment.get("CLICOLOR") != "0" and can_move_cursor(stream, environment)


def can_move_cursor(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether `stream` is a terminal on which lines can be painted again."""
    return stream.isatty() and environment.get("TERM", "").lower() not in _PLAIN_TERMINALS


def say(text: str, stream: TextIO, *, end: bool = True) -> None:
    """Print a text with its styles, or without them where colours are not wanted."""
    click.echo(text, file=stream, nl=end, color=wants_colour(stream, os.environ))


def columns_of(stream: TextIO) -> int | None:
    """How wide the terminal is, None for what is not a terminal or does not say."""
    if not stream.isatty():
        return None
    if (given := os.environ.get("COLUMNS", "")).isdecimal() and len(given) < 10 and int(given) > 0:
        return int(given)
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None
