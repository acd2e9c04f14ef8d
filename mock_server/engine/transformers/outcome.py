"""What a step of the batch tells the event loop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from mock_server.engine.base import Delta, PositionLogprobs
from mock_server.engine.errors import EngineError
from mock_server.engine.transformers.row import BatchRequest


class Started(NamedTuple):
    """When a row's prompt was begun, by `time.monotonic`."""

    request: BatchRequest
    choice: int
    at: float


@dataclass(slots=True)
class Outcome:
    """What one step has brought, in this order."""

    started: list[Started] = field(default_factory=list)
    weighed: list[tuple[BatchRequest, list[PositionLogprobs | None]]] = field(default_factory=list)
    """The log probabilities of whole prompts."""
    gained: list[tuple[BatchRequest, Delta]] = field(default_factory=list)
    failed: list[tuple[BatchRequest, EngineError]] = field(default_factory=list)
