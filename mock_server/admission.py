"""Admission: how many requests and choices a server handles at the same time, and whether it accepts new ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mock_server.errors import shutting_down, too_many_choices, too_many_requests

_LARGE_SHARE = 32
"""If there are too many choices, answers that have grown to this share of the limit are refused; others continue."""


class ChoicesShare:
    """The number of choices in progress that one request counts as, until the end of its `with`."""

    __slots__ = ("_admission", "count")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.count = 0

    def __enter__(self) -> ChoicesShare:
        return self

    def __exit__(self, *_: object) -> None:
        self._admission.resize(self, 0)

    def resize(self, count: int) -> None:
        """Call before the answer has begun. Raises an `ApiError` (429) if there are too many choices."""
        self._admission.resize(self, count)

    def grow(self, count: int) -> None:
        """Call if an answer takes more memory than expected. Raises an `ApiError` (429)."""
        if count:
            self._admission.grow(self, count)


class Admission:
    """Admits up to `max_requests` requests at the same time, and up to `max_choices` of all their choices; 0: no limit.

    After `close` it admits no more; requests in progress may finish.
    """

    def __init__(
        self, max_requests: int = 0, max_choices: int = 0, *, on_refusal: Callable[[], None] = lambda: None
    ) -> None:
        """`on_refusal` is called if a request is refused because of a limit. It may end another request."""
        self._on_refusal = on_refusal
        self._max_requests = max_requests
        self._max_choices = max_choices
        self._choices = 0
        self._under_way = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self._being_read: set[asyncio.Timeout] = set()
        self.is_closed = False
        self.is_cut_off = False
        """Whether requests in progress are being cut off."""

    @property
    def under_way(self) -> int:
        return self._under_way

    @contextmanager
    def one(self) -> Iterator[None]:
        """Use around one request. Raises an `ApiError`: 503 after `close`, 429 if there are too many requests."""
        if self.is_closed:
            raise shutting_down()
        if self._max_requests and self._under_way >= self._max_requests:
            self._on_refusal()
            raise too_many_requests(self._max_requests)
        self._under_way += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._empty.set()

    def choices(self, count: int) -> ChoicesShare:
        """Use around the work on `count` choices. Raises an `ApiError` (429) if there are too many."""
        share = ChoicesShare(self)
        self.resize(share, count)
        return share

    def resize(self, share: ChoicesShare, count: int) -> None:
        """Raises an `ApiError` (429) and leaves the share unchanged if there would be too many choices."""
        others = self._choices - share.count
        if self._max_choices and count and others and others + count > self._max_choices:
            self._on_refusal()
            raise too_many_choices(self._max_choices)
        self._choices = others + count
        share.count = count

    def grow(self, share: ChoicesShare, count: int) -> None:
        """Raises an `ApiError` (429) for a large share if there are too many choices.

        That share no longer counts, so that others of its size may continue.
        """
        is_large = share.count + count > self._max_choices // _LARGE_SHARE
        is_full = self._choices > share.count and self._choices + count > self._max_choices
        if self._max_choices and is_large and is_full:
            self.resize(share, 0)
            raise too_many_choices(self._max_choices)
        share.count += count
        self._choices += count

    def begin_reading(self, limit: asyncio.Timeout) -> None:
        """Registers the time limit of a body, which expires when the server stops admitting requests."""
        self._being_read.add(limit)
        if self.is_closed:
            limit.reschedule(0)

    def end_reading(self, limit: asyncio.Timeout) -> None:
        self._being_read.discard(limit)

    def close(self) -> None:
        self.is_closed = True
        for limit in self._being_read:
            if not limit.expired():
                limit.reschedule(0)

    def cut_off(self) -> None:
        """Call before the engine is stopped with requests in progress: their failures are due to the shutdown."""
        self.is_cut_off = True

    async def wait_until_empty(self) -> None:
        await self._empty.wait()
