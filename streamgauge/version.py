"""Which release this is."""

from __future__ import annotations

# the only place: pyproject.toml reads it from here
__version__ = "0.1.0"


def version_line() -> str:
    """What `--version` prints."""
    return f"streamgauge {__version__}"
