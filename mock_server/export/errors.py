"""What can go wrong when a model is exported."""

from __future__ import annotations

from mock_server.engine.wording import WordedError


class ExportError(WordedError):
    """Nothing was exported. The message gives the reason and the remedy."""


class ExportOptionError(ExportError, ValueError):
    """Options that cannot be followed; the message names them and the remedy."""
