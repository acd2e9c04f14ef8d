"""Connecting to one of several addresses, step by step, and looking them up."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from sdk.deadline import SECOND_NS
from sdk.transport.lookup import Address, LookUps, literal
from sdk.transport.race import STAGGER_NS, Race, interleaved
from tests.support.full_port import FullPort

V4, V6 = socket.AF_INET, socket.AF_INET6


def v4(number: int) -> Address:
    return V4, (f"192.0.2.{number}", 80)


def v6(number: int) -> Address:
    return V6, (f"2001:db8::{number}", 80, 0, 0)


@pytest.mark.parametrize(
    ("given", "order"),
    [
        ([], []),
        ([v4(1)], [v4(1)]),
        ([v4(1), v4(2)], [v4(1), v4(2)]),
        ([v6(1), v6(2), v4(1), v4(2)], [v6(1), v4(1), v6(2), v4(2)]),
        ([v4(1), v6(1), v6(2), v6(3)], [v4(1), v6(1), v6(2), v6(3)]),
        ([v6(1), v6(2), v6(3), v4(1)], [v6(1), v4(1), v6(2), v6(3)]),
    ],
)
def test_address_families_alternate(given: list[Address], order: list[Address]) -> None:
    assert interleaved(given) == order


def test_the_next_address_is_tried_after_a_delay_or_a_failure() -> None:
    with ExitStack() as stack:
        full = [(V4, FullPort(stack).address) for _ in range(2)]
        race = Race([(V4, ("127.0.0.1", _closed_port())), *full])
        assert race.step(0) is None
        assert len(race.pending) == 1, "the first refused at once, the second is silent"
        assert race.wait_s(0) == STAGGER_NS / SECOND_NS
        assert race.step(STAGGER_NS - 1) is None
        assert len(race.pending) == 1
        assert race.step(STAGGER_NS) is None
        assert len(race.pending) == 2
        assert race.wait_s(STAGGER_NS) is None, "there are no more"
        race.close()


def test_an_address_of_the_other_family_is_tried_second() -> None:
    with ExitStack() as stack:
        full = [(V4, FullPort(stack).address) for _ in range(2)]
        try:
            listener = stack.enter_context(socket.create_server(("::1", 0), family=V6))
        except OSError:
            pytest.skip("no IPv6 here")
        race = Race([*full, (V6, listener.getsockname())])
        assert race.step(0) is None
        connected = race.step(STAGGER_NS)
        assert connected is not None
        assert connected.family == V6
        connected.close()


def test_losing_attempts_are_closed() -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        race = Race([(V4, FullPort(stack).address), (V4, listener.getsockname())])
        assert race.step(0) is None
        losers = list(race.pending.values())
        connected = race.step(STAGGER_NS)
        assert connected is not None
        assert connected.getpeername() == listener.getsockname()
        assert [loser.fileno() for loser in losers] == [-1]
        connected.close()


def test_the_most_informative_error_is_raised() -> None:
    race = Race([(V6, ("100::1", 9, 0, 0)), (V4, ("127.0.0.1", _closed_port()))])  # RFC 6666: leads nowhere
    with pytest.raises(ConnectionRefusedError):
        while race.step(10 * STAGGER_NS) is None:
            race.poll.poll(1000)


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.mark.parametrize(
    ("host", "family"),
    [("127.0.0.1", V4), ("::1", V6), ("localhost", None), ("127.1", None), ("a\0b", None), ("浙", None)],
)
def test_an_ip_address_is_not_looked_up(host: str, family: int | None) -> None:
    found = literal(host, 80)
    assert (found is None) if family is None else (found is not None and found[0][0] == family)


@pytest.mark.parametrize("host", ["a..b", "x" * 70, "no-such-host.invalid"])
def test_a_name_without_an_address_does_not_resolve(host: str) -> None:
    with pytest.raises(socket.gaierror):
        LookUps().begin(host, 80).result(30)


def test_a_duplicate_address_is_returned_once() -> None:
    found = LookUps().begin("localhost", 80).result(30)
    assert found
    assert len(found) == len(set(found))
