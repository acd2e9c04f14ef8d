"""Work whose length depends on a client: tried briefly on the event loop, and moved to a thread if it takes long.

Either way it is bounded. The loop gets a turn after each trial, so that many clients together cannot block it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mock_server.engine.author.drawing.budget import Budget
from mock_server.engine.author.drawing.problems import TooMuchWorkError

_T = TypeVar("_T")

_STEPS_OF_A_TRIAL = 1_500
_STEPS_UNNOTICED = 100


class Worker:
    """One for each engine and event loop. Long work runs one piece at a time."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._threads: ThreadPoolExecutor | None = None

    async def run(self, work: Callable[[Budget], _T], num_answers: int = 1) -> _T:
        """`work` is restarted in a thread if it raises `TooMuchWorkError` here."""
        async with self._turn:
            trial = Budget(_STEPS_OF_A_TRIAL, is_trial=True)
            try:
                return work(trial)
            except TooMuchWorkError:
                pass
            finally:
                if trial.steps_spent > _STEPS_UNNOTICED:
                    await asyncio.sleep(0)
        return await self.run_in_thread(lambda: work(Budget.for_answers(num_answers)))

    async def run_in_thread(self, work: Callable[[], _T]) -> _T:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, thread_name_prefix="engine-worker")
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def stop(self) -> None:
        """Stops without waiting for running work, which ends soon."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None
