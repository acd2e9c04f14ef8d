"""Runs requests alone that a build of vLLM cannot batch with others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any


class BatchGate:
    """Admits requests in the order of arrival. One that must be alone waits until nothing runs, and others wait for its
    first output. After that, it runs beside them.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._running = 0
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    async def through(self, outputs: AsyncGenerator[Any, None], *, alone: bool) -> AsyncGenerator[Any, None]:
        """The same outputs, which start when it is the request's turn."""
        has_entered = False
        first = None
        try:
            async with self._turn:
                if alone:
                    await self._is_empty.wait()
                self._running += 1
                self._is_empty.clear()
                has_entered = True
                if alone:
                    first = await anext(outputs, None)
            if first is not None:
                yield first
            async for output in outputs:
                yield output
        finally:
            if has_entered:
                self._running -= 1
                if not self._running:
                    self._is_empty.set()
            await outputs.aclose()
