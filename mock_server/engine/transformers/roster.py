"""Which rows run and which wait. Rows wait in the order of arrival. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from mock_server.engine.transformers.alignment import Room
from mock_server.engine.transformers.row import BatchRequest, Row


class Roster:
    """`running` has the rows in the order of the cache. A row that waits may have run before, and then has tokens."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._waiting: deque[Row] = deque()
        self.running: list[Row] = []

    @property
    def is_empty(self) -> bool:
        return not self._waiting and not self.running

    def add(self, request: BatchRequest) -> None:
        self._waiting += request.rows()

    def take_next(self) -> Row | None:
        """The row whose prompt is next to be computed; None if none waits or there is no room."""
        if not self._waiting or not self.has_room(len(self._waiting[0].ids)):
            return None
        return self._waiting.popleft()

    def has_room(self, length: int) -> bool:
        """Whether a row of `length` tokens can join and grow by one."""
        return self._room.takes(len(self.running) + 1, max(self.longest, length) + 1)

    def siblings(self, row: Row) -> Iterator[Row]:
        """Takes the rows that begin with the same prompt as `row`, for as long as there is room for another one."""
        while self._waiting and self._is_fresh(self._waiting[0], row.request) and self.has_room(len(row.ids)):
            yield self._waiting.popleft()

    @staticmethod
    def _is_fresh(row: Row, request: BatchRequest) -> bool:
        return row.request is request and not row.num_generated

    @property
    def longest(self) -> int:
        """The number of tokens of the longest running row."""
        return max([len(row.ids) for row in self.running], default=0)

    def last_come(self) -> Row | None:
        """The row that has to leave before the next step because the cache cannot grow; None if all can stay."""
        if self._room.takes(len(self.running), self.longest + 1):
            return None
        return max(self.running, key=lambda row: row.number)

    def put_back(self, row: Row) -> None:
        """A row that has left the batch and continues as soon as there is room."""
        self._waiting.appendleft(row)

    def drop_cancelled(self) -> list[int]:
        """Forgets the rows of cancelled requests. Returns the places of those that ran, the last one first."""
        self._waiting = deque([row for row in self._waiting if not row.request.is_cancelled])
        return [place for place in reversed(range(len(self.running))) if self.running[place].request.is_cancelled]

    def remove(self, place: int) -> None:
        """The last row takes the place, as it does in the cache."""
        last = self.running.pop()
        if place < len(self.running):
            self.running[place] = last
