"""One request's stream of deltas, made from the outputs that vLLM generates for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

from mock_server.engine.base import Delta, PositionLogprobs, Scheduled
from mock_server.engine.errors import EngineError
from mock_server.engine.vllm.outputs import read_deltas, read_prompt_logprobs


class VllmStream:
    """A `DeltaStream`. `on_end` is called once, however it ends."""

    def __init__(
        self,
        outputs: AsyncGenerator[Any, None],
        *,
        num_copies: int,
        translate: Callable[[Exception], EngineError],
        on_end: Callable[[], None],
    ) -> None:
        self.prompt_logprobs: Sequence[PositionLogprobs | None] | None = None
        self.first_token_at: float | None = None  # vLLM's own metrics have it
        self.generated_tokens = 0
        self._outputs = outputs
        self._num_copies = num_copies
        self._translate = translate
        self._on_end: Callable[[], None] | None = on_end

    def scheduled(self, choice: int) -> Scheduled | None:
        return None

    def unread_tokens(self) -> Mapping[int, int]:
        return {}

    def __aiter__(self) -> VllmStream:
        return self

    async def __anext__(self) -> Sequence[Delta]:
        while True:
            try:
                output = await self._outputs.__anext__()
                deltas = read_deltas(output, self._num_copies)
                if self.prompt_logprobs is None and output.prompt_logprobs:
                    self.prompt_logprobs = read_prompt_logprobs(output)
            except StopAsyncIteration:
                self._end()
                raise
            except Exception as error:
                self._end()
                raise self._translate(error) from error
            if deltas:
                self.generated_tokens += sum([len(delta.token_ids) for delta in deltas])
                return deltas

    async def aclose(self) -> None:
        await self._outputs.aclose()
        self._end()

    def _end(self) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end()
