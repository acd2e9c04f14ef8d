"""Which release this is."""

from __future__ import annotations


def version() -> str:
    """As installed; a checkout that was never installed does not know."""
    from importlib import metadata

    try:
        return metadata.version("streamgauge")
    except metadata.PackageNotFoundError:
        return "unknown"


def version_line() -> str:
    """What `--version` prints."""
    return f"streamgauge {version()}"
