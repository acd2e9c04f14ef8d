"""How long a slot waits after the server refused its request. Pure."""

from __future__ import annotations

from random import Random

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0
# A server may request more, but a run is short.
LONGEST_RETRY_AFTER_S = 10.0


class Backoff:
    """The pauses of one slot after refused requests. Each pause is twice as long as the previous one, up to a limit.

    A pause is randomly shortened by up to half, so that slots that were refused together do not return together. If the
    server requests a longer pause (Retry-After), the slot waits that long, up to a limit.
    """

    __slots__ = ("_draw", "_refusals")

    def __init__(self, slot: int) -> None:
        self._draw = Random(f"rest/{slot}")
        self._refusals = 0

    def end(self) -> None:
        """A request was not refused: the next pause is short again."""
        self._refusals = 0

    def pause_s(self, retry_after_s: float | None) -> float:
        """A request was refused. Returns how long to wait."""
        self._refusals += 1
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._refusals - 1, 30))
        pause_s *= self._draw.uniform(0.5, 1.0)
        return max(pause_s, min(retry_after_s or 0.0, LONGEST_RETRY_AFTER_S))
