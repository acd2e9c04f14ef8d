"""The text and tokens that one choice of a response gained at one moment."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mock_server.answer.logprobs import Logprobs
from mock_server.engine.base import FinishReason


class ChoiceDelta(msgspec.Struct, gc=False):
    """A msgspec struct, because one is made for each token: it costs little more than a tuple, and a named tuple costs
    three times as much.

    `gc=False`: a delta is never part of a reference cycle.
    """

    index: int
    """The choice's."""
    text: str
    finish_reason: FinishReason | None
    """Why the choice has ended, if it has."""
    completion_tokens: int
    """Of the whole request so far."""
    logprobs: Logprobs | None
    """If the request asks for them."""
    token_ids: Sequence[int]
