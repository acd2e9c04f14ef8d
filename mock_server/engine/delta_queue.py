"""The stream between an engine in this process and its one reader: deltas accumulate, and the reader takes all."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain

from mock_server.engine.base import Delta, PositionLogprobs, Scheduled
from mock_server.engine.errors import EngineError
from mock_server.engine.outbox import Outbox

_MOST_AT_ONCE = 1_024
_MOST_WITH_LOGPROBS = 16  # written in about two milliseconds
_MOST_WHOLE = 8  # choices of thousands of tokens each
_LOGPROBS_A_DELTA = 4
_MOST_UNREAD = 200_000
_MOST_UNREAD_TOGETHER = 400_000


def weight(top_logprobs: int | None) -> int:
    """How many plain deltas a waiting delta counts as. One with log probabilities takes far more memory."""
    return 1 + (top_logprobs or 0) // _LOGPROBS_A_DELTA


class DeltaQueue:
    """A `PushStream` that ends when each of `num_choices` choices has a finish reason.

    With `final_only` the reader gets each choice when it ends, in one delta if this loses nothing.
    """

    __slots__ = (
        "_error",
        "_growing",
        "_is_due",
        "_listener",
        "_most_at_once",
        "_on_close",
        "_open_choices",
        "_outbox",
        "_ready",
        "_scheduled_at",
        "_so_far",
        "_waiter",
        "_weight",
        "first_token_at",
        "prompt_logprobs",
        "queued_at",
    )

    def __init__(
        self,
        num_choices: int,
        on_close: Callable[[], None],
        *,
        final_only: bool = False,
        top_logprobs: int | None = None,
        prompt_logprobs: Sequence[PositionLogprobs | None] | None = None,
        outbox: Outbox | None = None,
    ) -> None:
        """`outbox`: the engine's, shared by its streams."""
        self.prompt_logprobs = prompt_logprobs
        self.first_token_at: float | None = None
        self.queued_at: float | None = None
        """The engine sets it, by `time.monotonic`."""
        self._scheduled_at: dict[int, float] = {}
        self._open_choices = num_choices
        self._on_close = on_close
        self._so_far: dict[int, list[Delta]] | None = {} if final_only else None
        has_logprobs = top_logprobs is not None
        self._most_at_once = _MOST_WITH_LOGPROBS if has_logprobs else _MOST_WHOLE if final_only else _MOST_AT_ONCE
        self._weight = weight(top_logprobs)
        self._growing: dict[int, list[int]] = {}
        """The tokens of the last delta, for choices whose last delta has no log probabilities."""
        self._ready: list[Delta] = []
        self._waiter: asyncio.Future[None] | None = None
        self._listener: Callable[[], None] | None = None
        self._outbox = outbox or Outbox()
        self._is_due = False
        self._error: EngineError | None = None

    def schedule(self, choice: int, at: float) -> None:
        """Engine side: the engine has started this choice."""
        self._scheduled_at[choice] = at

    def put(self, delta: Delta) -> None:
        """Engine side: adds a delta, and wakes the reader if it is waiting."""
        if self._so_far is not None:
            if delta.finish_reason is None and delta.logprobs is None:
                joined = self._growing.get(delta.choice)
                if joined is not None:  # nearly every token
                    joined += delta.token_ids
                    return
            self._join(delta)
            if delta.finish_reason is None:
                return
            self._growing.pop(delta.choice, None)
            *earlier, last = self._so_far.pop(delta.choice)
            self._ready += earlier
            delta = last._replace(finish_reason=delta.finish_reason)
        self._ready.append(delta)
        if delta.finish_reason is not None:
            self._open_choices -= 1
        if self._listener is not None:
            if not self._is_due:
                self._is_due = True
                self._outbox.add(self.tell)
        elif self._waiter is not None:
            self._wake()
        elif len(self._ready) % _MOST_AT_ONCE == 0:
            self._fall_behind()

    def _fall_behind(self) -> None:
        """Deltas accumulate while the client does not read. Beyond the bounds, the stream with the most deltas ends."""
        if len(self._ready) <= _MOST_AT_ONCE or self._error is not None:
            return
        waiting = len(self._ready) * self._weight
        behind = self._outbox.behind
        behind[self] = waiting
        if waiting > _MOST_UNREAD:
            self.give_up(_MOST_UNREAD)
        elif sum(behind.values()) > _MOST_UNREAD_TOGETHER:
            slowest = max(behind, key=behind.__getitem__)
            if isinstance(slowest, DeltaQueue):
                slowest.give_up(_MOST_UNREAD_TOGETHER)

    def give_up(self, limit: int) -> None:
        """Ends the stream with an error after the first deltas that are ready."""
        self._outbox.behind.pop(self, None)
        del self._ready[_MOST_AT_ONCE:]
        self._open_choices = 0
        self._error = EngineError(f"the client reads too slowly: more than {limit} deltas are waiting")
        asyncio.get_running_loop().call_soon(self._on_close)

    def _join(self, delta: Delta) -> None:
        """Appends to a choice's last delta, unless the two must stay separate.

        Deltas with and without log probabilities stay separate. So does a stop without a token: otherwise the token
        before it would count as the one that stopped the choice.
        """
        if self._so_far is None:
            return
        if self.first_token_at is None and delta.token_ids:
            self.first_token_at = time.monotonic()
        joined = self._so_far.setdefault(delta.choice, [])
        ends_alone = delta.finish_reason == "stop" and not delta.token_ids
        if not joined or ends_alone or (joined[-1].logprobs is None) != (delta.logprobs is None):
            token_ids = list(delta.token_ids)
            joined.append(Delta(delta.choice, token_ids, None, None if delta.logprobs is None else []))
            self._growing.pop(delta.choice, None)
            if delta.logprobs is None and token_ids:
                self._growing[delta.choice] = token_ids
        else:
            joined[-1].token_ids.extend(delta.token_ids)  # type: ignore[attr-defined]
        if delta.logprobs is not None:
            joined[-1].logprobs.extend(delta.logprobs)  # type: ignore[union-attr]

    def fail(self, error: EngineError) -> None:
        """Engine side: the reader gets all ready deltas, then the error."""
        self._error = error
        self._tell_soon()
        if self._waiter is not None:
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def scheduled(self, choice: int) -> Scheduled | None:
        at = self._scheduled_at.get(choice)
        return None if at is None or self.queued_at is None else Scheduled(self.queued_at, at)

    def listen(self, callback: Callable[[], None] | None) -> None:
        self._listener = callback
        if self._ready or self._error is not None:
            self._tell_soon()

    def _tell_soon(self) -> None:
        if self._listener is not None and not self._is_due:
            self._is_due = True
            self._outbox.add(self.tell)

    def tell(self) -> None:
        """Called by the outbox."""
        self._is_due = False
        if self._listener is None:
            return
        if self._ready:
            self._listener()
            if self._ready or self._error is not None:  # the error follows the deltas that were ready
                self._tell_soon()
        elif self._error is not None:
            self._listener()

    def take(self) -> Sequence[Delta]:
        if not self._ready and self._error is not None:
            raise self._error
        return self._batch()

    def _batch(self) -> Sequence[Delta]:
        """The ready deltas, or some of them if they are many to write at a time or a slow reader let them pile up."""
        if len(self._ready) <= self._most_at_once:
            batch, self._ready = self._ready, []
        else:
            batch = self._ready[: self._most_at_once]
            del self._ready[: self._most_at_once]
            if self in self._outbox.behind:
                if len(self._ready) > _MOST_AT_ONCE:
                    self._outbox.behind[self] = len(self._ready) * self._weight
                else:
                    del self._outbox.behind[self]
        return batch

    def unread_tokens(self) -> Counter[int]:
        unread: Counter[int] = Counter()
        for delta in chain(self._ready, *(self._so_far or {}).values()):
            unread[delta.choice] += len(delta.token_ids)
        return unread

    def __aiter__(self) -> DeltaQueue:
        return self

    async def __anext__(self) -> Sequence[Delta]:
        while not self._ready:
            if self._error is not None:
                raise self._error
            if not self._open_choices:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._batch()

    async def aclose(self) -> None:
        """Reader side: aborts the request unless it has ended."""
        self._outbox.behind.pop(self, None)
        self._ready.clear()
        if self._open_choices:
            self._open_choices = 0
            self._on_close()
