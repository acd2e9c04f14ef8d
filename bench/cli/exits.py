"""The exit codes, and the line that explains one that is not 0."""

from __future__ import annotations

import sys

import click

from bench.shown_text import shown
from bench.terminal import say

OK, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


def fail(message: str, code: int) -> int:
    """Print what is wrong in one line on standard error; a quoted log has more lines."""
    lines = "\n".join(map(shown, message.split("\n")))
    say(f"{click.style('error:', fg='red', bold=True)} {lines}", sys.stderr)
    return code
