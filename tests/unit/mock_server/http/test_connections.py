"""Which connection makes room for a new one."""

from __future__ import annotations

import pytest

from mock_server.http.connections import Connections


class FakeClock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class FakeConnection:
    def __init__(self, unread: int = 0) -> None:
        self.is_dropped = False
        self.unread = unread

    def drop(self) -> None:
        self.is_dropped = True

    def unread_bytes(self) -> int:
        return self.unread


def added(connections: Connections, number: int) -> list[FakeConnection]:
    made = [FakeConnection() for _ in range(number)]
    assert all(connections.add(connection) for connection in made)
    return made


def dropped(made: list[FakeConnection]) -> list[int]:
    return [index for index, connection in enumerate(made) if connection.is_dropped]


def test_without_limits_nothing_is_dropped() -> None:
    connections = Connections()
    made = added(connections, 10_000)
    assert len(connections) == 10_000
    assert dropped(made) == []


def test_the_oldest_half_open_connection_is_dropped_unless_it_is_young() -> None:
    clock = FakeClock()
    connections = Connections(10, 2, now=clock)
    made = added(connections, 4)
    assert dropped(made) == []
    clock.now += 1.0
    added(connections, 1)
    assert dropped(made) == [0]
    connections.mark_busy(made[1])
    added(connections, 1)
    assert dropped(made) == [0, 2]


def test_a_head_that_trickles_in_keeps_its_age() -> None:
    clock = FakeClock()
    connections = Connections(10, 2, now=clock)
    made = added(connections, 2)
    clock.now += 1.0
    connections.mark_half_open(made[0])
    added(connections, 1)
    assert dropped(made) == [0]


def test_a_full_server_drops_the_connection_that_waited_longest_and_never_a_busy_one() -> None:
    clock = FakeClock()
    connections = Connections(3, now=clock)
    made = added(connections, 3)
    connections.mark_busy(made[0])
    connections.mark_waiting(made[2])
    connections.mark_waiting(made[1])
    new = added(connections, 1)
    assert dropped(made) == [2]
    assert dropped(new) == []
    clock.now += 1.0
    added(connections, 1)
    assert dropped(new) == [0]
    assert dropped(made) == [2]


def test_a_new_connection_is_refused_if_all_others_are_busy(caplog: pytest.LogCaptureFixture) -> None:
    connections = Connections(2)
    made = added(connections, 2)
    for connection in made:
        connections.mark_busy(connection)
    assert not connections.add(FakeConnection())
    assert not connections.add(FakeConnection())
    assert len(connections) == 2
    assert caplog.text.count("--max-connections") == 1
    connections.remove(made[0])
    added(connections, 1)


def test_connections_that_have_not_read_for_longest_are_dropped() -> None:
    connections = Connections()
    made = [FakeConnection(unread) for unread in (30, 40, 50)]
    for connection in made:
        connections.add(connection)
    assert [connections.mark_unread(connection) for connection in made] == [True, False, False]
    assert connections.bound_unread(120)
    assert dropped(made) == []
    assert connections.bound_unread(90)
    assert dropped(made) == [0]
    assert connections.bound_unread(10)
    assert dropped(made) == [0, 1]
    connections.mark_read(made[2])
    assert not connections.bound_unread(10)
    assert dropped(made) == [0, 1]


def test_incomplete_heads_above_the_limit_are_dropped_oldest_first() -> None:
    connections = Connections()
    made = added(connections, 4)
    for connection in made[:3]:
        connections.mark_head(connection, 10, most_bytes=100)
    connections.mark_head_complete(made[1])
    connections.mark_head(made[3], 80, most_bytes=100)
    assert dropped(made) == []
    connections.mark_head(made[2], 15, most_bytes=100)
    assert dropped(made) == [0]
    connections.mark_head(made[2], 101, most_bytes=100)
    assert dropped(made) == [0, 2]
    connections.mark_head(made[2], 200, most_bytes=100)
    connections.mark_head(made[3], 100, most_bytes=100)
    assert dropped(made) == [0, 2]


def test_the_answer_unread_for_longest_is_dropped_unless_its_client_has_only_paused() -> None:
    clock = FakeClock()
    connections = Connections(now=clock)
    connections.drop_longest_unread()
    made = added(connections, 3)
    for connection in made:
        connections.mark_unread(connection)
        clock.now += 4.0
    connections.mark_read(made[0])
    connections.drop_longest_unread()
    assert dropped(made) == []
    clock.now += 2.0
    connections.drop_longest_unread()
    connections.drop_longest_unread()
    assert dropped(made) == [1]
