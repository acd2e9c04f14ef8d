"""What is under way: the generations that a server works on, and whether it still takes new ones."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import shutting_down


class Traffic:
    """Closed for good by `close`; what is inside then may finish."""

    def __init__(self) -> None:
        self._under_way = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self.is_closed = False

    @property
    def under_way(self) -> int:
        return self._under_way

    @contextmanager
    def one(self) -> Iterator[None]:
        """Around one generation. Raises an `ApiError` (503) once closed."""
        if self.is_closed:
            raise shutting_down()
        self._under_way += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._empty.set()

    def close(self) -> None:
        self.is_closed = True

    async def wait_until_empty(self) -> None:
        await self._empty.wait()
