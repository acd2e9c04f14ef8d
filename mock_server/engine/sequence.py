"""One choice of one request on its way through the scheduler: how far it is, and the tokens it will say."""

from collections.abc import Iterator
from enum import Enum, auto

from .base import FinishReason, GenerationParams


class SequenceStatus(Enum):
    WAITING = auto()
    RUNNING = auto()
    FINISHED = auto()


class Sequence:
    """Counts, no clock and no I/O. `tokens` yields the sequence's tokens in order, for ever or to its end."""

    __slots__ = (
        "_eos_token_id",
        "_ignore_eos",
        "_max_tokens",
        "_min_tokens",
        "_stop_token_ids",
        "_tokens",
        "index",
        "num_computed_tokens",
        "num_output_tokens",
        "num_prompt_tokens",
        "status",
    )

    def __init__(
        self,
        num_prompt_tokens: int,
        params: GenerationParams,
        tokens: Iterator[int],
        *,
        eos_token_id: int,
        index: int = 0,
    ) -> None:
        self.index = index
        self.num_prompt_tokens = num_prompt_tokens
        self.num_computed_tokens = 0
        self.num_output_tokens = 0
        self.status = SequenceStatus.WAITING
        self._tokens = tokens
        self._max_tokens = params.max_tokens
        self._min_tokens = params.min_tokens
        self._ignore_eos = params.ignore_eos
        self._eos_token_id = eos_token_id
        self._stop_token_ids = params.stop_token_ids

    @property
    def num_prefill_tokens_left(self) -> int:
        return self.num_prompt_tokens - self.num_computed_tokens

    @property
    def is_finished(self) -> bool:
        return self.status is SequenceStatus.FINISHED

    def sample(self) -> tuple[int, FinishReason | None]:
        """The next token, and why it is the last, if it is."""
        token_id = next(self._tokens)
        self.num_output_tokens += 1
        return token_id, self._finish_reason(token_id)

    def _finish_reason(self, token_id: int) -> FinishReason | None:
        if self.num_output_tokens > self._min_tokens:
            if token_id == self._eos_token_id and not self._ignore_eos:
                return "stop"
            if token_id in self._stop_token_ids:
                return "stop"
        return "length" if self.num_output_tokens >= self._max_tokens else None
