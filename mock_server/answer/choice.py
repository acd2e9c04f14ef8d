"""One choice of a response: turns token deltas into text, ends it at stop strings, and counts its tokens."""

from __future__ import annotations

from collections.abc import Sequence

from mock_server.answer.stop_strings import StopStrings
from mock_server.engine.base import Detokenizer, FinishReason


class ChoiceText:
    """`completion_tokens` counts the tokens up to the end, including the token that ended the choice.

    With `watch_offsets`, `offsets` holds where the text of each token of the last push begins, in characters from the
    beginning of the choice (`first_offset`). Tokens after a stop string have no offset.
    """

    __slots__ = (
        "_detokenizer",
        "_min_tokens",
        "_num_characters",
        "_one_by_one",
        "_stop",
        "completion_tokens",
        "finish_reason",
        "offsets",
    )

    def __init__(
        self,
        detokenizer: Detokenizer,
        stop_strings: Sequence[str] = (),
        min_tokens: int = 0,
        *,
        watch_offsets: bool = False,
        first_offset: int = 0,
    ) -> None:
        self._detokenizer = detokenizer
        self._stop = StopStrings(stop_strings)
        self._one_by_one = bool(stop_strings) or watch_offsets
        self._min_tokens = min_tokens
        self._num_characters = first_offset
        self.offsets: list[int] = []
        self.completion_tokens = 0
        self.finish_reason: FinishReason | None = None

    def push(self, token_ids: Sequence[int], finish_reason: FinishReason | None) -> tuple[str, FinishReason | None]:
        """Returns the text to show for an engine's delta, and the finish reason if the choice has ended."""
        if self._one_by_one:
            return self._push_one_by_one(token_ids, finish_reason), self.finish_reason
        self.completion_tokens += len(token_ids)
        self.finish_reason = finish_reason
        # The token that stopped the choice is not part of its text.
        shown = token_ids[:-1] if finish_reason == "stop" else token_ids
        return self._detokenizer.push(shown), finish_reason

    def _push_one_by_one(self, token_ids: Sequence[int], finish_reason: FinishReason | None) -> str:
        """Handles each token separately, so that counts and offsets do not depend on how the engine batches deltas."""
        shown = ""
        self.offsets = []
        for position, token_id in enumerate(token_ids, start=1):
            self.completion_tokens += 1
            self.offsets.append(self._num_characters)
            if position == len(token_ids) and finish_reason == "stop":
                continue
            text = self._detokenizer.push((token_id,))
            self._num_characters += len(text)
            if self.completion_tokens <= self._min_tokens:
                shown += text
                continue
            shown += self._stop.push(text)
            if self._stop.matched is not None:
                self.finish_reason = "stop"
                return shown
        if finish_reason is not None:
            self.finish_reason = finish_reason
            shown += self._stop.flush()
        return shown
