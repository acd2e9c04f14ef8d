"""Messages of libraries, reduced to what fits a line or two."""

from __future__ import annotations

_MAX_LENGTH = 400


def last_line(message: str) -> str:
    """The last line of an exception that contains the traceback of another process."""
    lines = [line.strip() for line in message.strip().splitlines() if line.strip()]
    return shortened(lines[-1]) if lines else "no reason given"


def shortened(text: str) -> str:
    """The first sentences, up to a line or two."""
    if len(text) <= _MAX_LENGTH:
        return text
    end = text.rfind(". ", 0, _MAX_LENGTH)
    return text[: end + 1] if end > 0 else text[: _MAX_LENGTH - 1] + "…"
