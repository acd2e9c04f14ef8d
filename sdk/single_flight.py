"""Shares one look-up among all the calls that need the same result at the same time."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Callable, Coroutine, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

from sdk.deadline import Deadline
from sdk.errors import SDKError, TotalTimeoutError


class _Signal(Protocol):
    def set(self) -> None: ...


SignalT = TypeVar("SignalT", bound=_Signal)


class _Flight(Generic[SignalT]):
    """A look-up under way; `landed` is set at its end.

    It is `complete` if its result holds for every call that waited. The call that leads it may be cancelled or run out
    of its own time: then one of the others leads the next.
    """

    def __init__(self, landed: SignalT) -> None:
        self.landed = landed
        self.complete = False
        self.error: SDKError | None = None

    @contextmanager
    def led(self, under_way: dict[Hashable, _Flight[SignalT]], key: Hashable) -> Iterator[None]:
        """Wraps the look-up, in the call that leads it."""
        try:
            yield
            self.complete = True
        except TotalTimeoutError:
            raise
        except SDKError as error:
            self.error, self.complete = error, True
            raise
        finally:
            del under_way[key]
            self.landed.set()

    def share(self) -> bool:
        """Whether its result holds for the calls that waited. Raises the error that it ended with."""
        if self.error is not None:
            raise copy.copy(self.error)  # each call adds its own facts to its copy
        return self.complete


class SingleFlight:
    """Shares look-ups among threads."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, _Flight[threading.Event]] = {}

    def run(self, key: Hashable, deadline: Deadline, look_up: Callable[[], object]) -> None:
        """Look up, or wait for the call that does. Raises the look-up's error or the deadline's TotalTimeoutError."""
        key = (key, os.getpid())  # the copy in a forked process never lands
        while True:
            mine = _Flight(threading.Event())
            flight = self._under_way.setdefault(key, mine)
            if flight is mine:
                with mine.led(self._under_way, key):
                    look_up()
                return
            if not flight.landed.wait(deadline.total_left_s()):
                raise deadline.late_error()
            if flight.share():
                return


class LoopSingleFlight:
    """Shares look-ups among the tasks of an event loop."""

    def __init__(self) -> None:
        self._by_loop: WeakKeyDictionary[Any, dict[Hashable, _Flight[Any]]] = WeakKeyDictionary()

    async def run(self, key: Hashable, deadline: Deadline, look_up: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """As `SingleFlight.run`; if the call that leads is cancelled, another one leads."""
        from sdk.transport.event_loop import (  # imports asyncio, which blocking programs do not need
            event,
            running_loop,
            wait,
        )

        under_way = self._by_loop.setdefault(running_loop(), {})
        while (flight := under_way.get(key)) is not None:
            if not await wait(flight.landed, deadline.total_left_s()):
                raise deadline.late_error()
            if flight.share():
                return
        mine = under_way[key] = _Flight(event())
        with mine.led(under_way, key):
            await look_up()
