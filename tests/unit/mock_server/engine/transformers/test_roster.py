from __future__ import annotations

from mock_server.engine.transformers.alignment import Room, extent_for
from mock_server.engine.transformers.roster import Roster
from mock_server.engine.transformers.row import BatchRequest, Row
from mock_server.engine.transformers.sampling import Sampling

PLENTY = Room(rows=3, cells=1_000_000)


def request(
    length: int = 4, num_rows: int = 1, max_tokens: int = 3, stop_ids: frozenset[int] = frozenset()
) -> BatchRequest:
    return BatchRequest(range(length), Sampling(temperature=0.0, stop_ids=stop_ids), "1", max_tokens, num_rows)


def started(roster: Roster, *requests: BatchRequest) -> list[Row]:
    for each in requests:
        roster.add(each)
    while (row := roster.take_next()) is not None:
        roster.running.append(row)
    return list(roster.running)


def test_rows_start_in_the_order_of_arrival_while_there_is_room() -> None:
    roster = Roster(PLENTY)
    requests = [request() for _ in range(4)]
    assert [row.request for row in started(roster, *requests)] == requests[:3]
    assert roster.take_next() is None
    roster.remove(0)
    assert roster.take_next() is not None


def test_the_last_row_takes_the_place_of_one_that_leaves() -> None:
    roster = Roster(PLENTY)
    first, second, third = started(roster, request(), request(), request())
    roster.remove(0)
    assert roster.running == [third, second]
    roster.remove(1)
    assert roster.running == [third]
    assert first not in roster.running


def test_rows_of_one_request_begin_together() -> None:
    roster = Roster(Room(rows=2, cells=1_000_000))
    roster.add(request(num_rows=3))
    roster.add(request())
    first = roster.take_next()
    assert first is not None
    roster.running.append(first)
    begun = []
    for row in roster.siblings(first):
        roster.running.append(row)
        begun.append(row.choice)
    assert begun == [1]  # there is no room for the third


def test_a_row_of_another_request_does_not_begin_with_this_one() -> None:
    roster = Roster(PLENTY)
    roster.add(request())
    roster.add(request())
    first = roster.take_next()
    assert first is not None
    assert list(roster.siblings(first)) == []


def test_rows_of_cancelled_requests_are_forgotten_wherever_they_are() -> None:
    roster = Roster(Room(rows=2, cells=1_000_000))
    requests = [request() for _ in range(4)]
    started(roster, *requests)
    for each in (requests[0], requests[1], requests[2]):
        each.is_cancelled = True
    places = roster.drop_cancelled()
    assert places == [1, 0]
    for place in places:
        roster.remove(place)
    rest = roster.take_next()
    assert rest is not None
    assert rest.request is requests[3]
    assert roster.is_empty


def test_the_row_that_came_last_leaves_when_the_cache_cannot_grow_and_continues_first() -> None:
    roster = Roster(Room(rows=2, cells=extent_for(2, 128).cells))
    one, two = started(roster, request(100), request(100))
    assert roster.last_come() is None
    for _ in range(29):
        one.gain(7, None)
    assert roster.last_come() is two
    roster.remove(roster.running.index(two))
    roster.put_back(two)
    roster.add(request(1))
    assert roster.take_next() is None  # the one that was put back is in front, and has no room
    roster.remove(0)
    assert roster.take_next() is two


def test_a_row_alone_stays() -> None:
    roster = Roster(Room(rows=2, cells=1))
    started(roster, request(1_000))
    assert len(roster.running) == 1
    assert roster.last_come() is None


def test_a_row_ends_with_its_last_token_or_with_one_that_stops_it() -> None:
    row = Row(request(max_tokens=3, stop_ids=frozenset({9})), 0)
    assert [row.gain(token_id, None).finish_reason for token_id in (1, 2, 9)] == [None, None, "stop"]
    row = Row(request(max_tokens=2), 1)
    assert [tuple(row.gain(5, None)) for _ in range(2)] == [(1, (5,), None, None), (1, (5,), "length", None)]
    assert (row.ids, row.num_generated) == ([0, 1, 2, 3, 5, 5], 2)
