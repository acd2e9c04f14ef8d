"""One look-up for all the calls that want the same at the same time."""

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

    It is `complete` when what came of it holds for all who waited. Who leads it may be cancelled or run out of its own
    time: then another of them leads the next.
    """

    def __init__(self, landed: SignalT) -> None:
        self.landed = landed
        self.complete = False
        self.error: SDKError | None = None

    @contextmanager
    def led(self, under_way: dict[Hashable, _Flight[SignalT]], key: Hashable) -> Iterator[None]:
        """Around the look-up of who leads."""
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
        """Whether what came of it holds for who waited. Raises the error that it ended with."""
        if self.error is not None:
            raise copy.copy(self.error)  # each call writes into its own what it knows
        return self.complete


class SingleFlight:
    """Look-ups that threads share."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, _Flight[threading.Event]] = {}

    def run(self, key: Hashable, deadline: Deadline, look_up: Callable[[], object]) -> None:
        """Look up, or wait for who does. Raises what the look-up raises, or the deadline's TotalTimeoutError."""
        key = (key, os.getpid())  # a fork's copy of a flight never lands
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
    """Look-ups that the tasks of an event loop share."""

    def __init__(self) -> None:
        self._by_loop: WeakKeyDictionary[Any, dict[Hashable, _Flight[Any]]] = WeakKeyDictionary()

    async def run(self, key: Hashable, deadline: Deadline, look_up: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """The same as `SingleFlight.run`; who is cancelled while it leads leaves the look-up to another."""
        from sdk.transport.event_loop import (  # brings asyncio, which blocking programs do without
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
