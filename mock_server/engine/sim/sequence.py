"""One choice of one request in the scheduler: its progress, and the tokens that it will have."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto

from mock_server.engine.author.likelihood import WeighedTokens
from mock_server.engine.base import FinishReason, GenerationParams, PositionLogprobs


class SequenceStatus(Enum):
    WAITING = auto()
    RUNNING = auto()
    FINISHED = auto()


class Sequence:
    """Only counts: no clock, no I/O. `tokens` yields the sequence's tokens in order, endlessly or to its end."""

    __slots__ = (
        "_max_tokens",
        "_min_tokens",
        "_stop_token_ids",
        "_tokens",
        "choice",
        "num_computed_tokens",
        "num_output_tokens",
        "num_prompt_tokens",
        "status",
        "weighed",
    )

    def __init__(
        self,
        num_prompt_tokens: int,
        params: GenerationParams,
        tokens: Iterator[int],
        *,
        eos_token_id: int,
        choice: int = 0,
    ) -> None:
        self.choice = choice
        self.num_prompt_tokens = num_prompt_tokens
        self.num_computed_tokens = 0
        self.num_output_tokens = 0
        self.status = SequenceStatus.WAITING
        self._tokens = tokens
        self.weighed = tokens if isinstance(tokens, WeighedTokens) and params.logprobs is not None else None
        """If log probabilities are requested: returns those of the last token."""
        self._max_tokens = params.max_tokens
        self._min_tokens = params.min_tokens
        self._stop_token_ids = params.stop_token_ids
        if not params.ignore_eos:
            self._stop_token_ids |= {eos_token_id}

    @property
    def num_prefill_tokens_left(self) -> int:
        return self.num_prompt_tokens - self.num_computed_tokens

    @property
    def is_finished(self) -> bool:
        return self.status is SequenceStatus.FINISHED

    def last_logprobs(self) -> tuple[PositionLogprobs] | None:
        """The log probabilities of the token sampled last, if requested."""
        if self.weighed is None or self.weighed.last is None:
            return None
        return (self.weighed.last,)

    def sample(self) -> tuple[int, FinishReason | None]:
        """The next token, and the finish reason if it is the last."""
        token_id = next(self._tokens)
        self.num_output_tokens += 1
        if token_id in self._stop_token_ids and self.num_output_tokens > self._min_tokens:
            return token_id, "stop"
        return token_id, "length" if self.num_output_tokens >= self._max_tokens else None
