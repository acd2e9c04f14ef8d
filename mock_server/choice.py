"""One choice of a response: token deltas become text, stop strings end it, tokens are counted."""

from collections.abc import Sequence

from .engine.base import Detokenizer, FinishReason
from .stop_strings import StopStrings


class ChoiceText:
    """`completion_tokens` counts what was generated up to the end, the token that ended it included."""

    __slots__ = ("_detokenizer", "_min_tokens", "_stop", "completion_tokens", "finish_reason")

    def __init__(self, detokenizer: Detokenizer, stop_strings: Sequence[str] = (), min_tokens: int = 0) -> None:
        self._detokenizer = detokenizer
        self._stop = StopStrings(stop_strings) if stop_strings else None
        self._min_tokens = min_tokens
        self.completion_tokens = 0
        self.finish_reason: FinishReason | None = None

    def push(self, token_ids: Sequence[int], finish_reason: FinishReason | None) -> tuple[str, FinishReason | None]:
        """The text to show for an engine's delta, and why the choice has ended, if it has."""
        if self._stop is not None:
            return self._push_watching(self._stop, token_ids, finish_reason), self.finish_reason
        self.completion_tokens += len(token_ids)
        self.finish_reason = finish_reason
        # What stopped the choice is not part of its text.
        shown = token_ids[:-1] if finish_reason == "stop" else token_ids
        return self._detokenizer.push(shown), finish_reason

    def _push_watching(self, stop: StopStrings, token_ids: Sequence[int], finish_reason: FinishReason | None) -> str:
        """Token by token, so that the count is the same however the engine batches its deltas."""
        shown = ""
        for position, token_id in enumerate(token_ids, start=1):
            self.completion_tokens += 1
            is_last = position == len(token_ids)
            if is_last and finish_reason == "stop":
                continue
            text = self._detokenizer.push((token_id,))
            if self.completion_tokens <= self._min_tokens:
                shown += text
                continue
            shown += stop.push(text)
            if stop.matched is not None:
                self.finish_reason = "stop"
                return shown
        if finish_reason is not None:
            self.finish_reason = finish_reason
            shown += stop.flush()
        return shown
