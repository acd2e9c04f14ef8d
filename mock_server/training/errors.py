"""What can go wrong when a model is fine-tuned."""

from __future__ import annotations

from mock_server.engine.wording import WordedError


class TrainingError(WordedError):
    """A run cannot start or go on. The message gives the reason, what is kept, and the remedy."""


class TrainingOptionError(TrainingError, ValueError):
    """Options that cannot be followed; the message names them and the remedy."""
