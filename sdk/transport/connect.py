"""Connects to an origin within the limits of a call: looks up its addresses, then races them."""

from __future__ import annotations

import socket
from time import monotonic_ns

from sdk.deadline import Deadline
from sdk.transport.base import Origin
from sdk.transport.lookup import literal, look_ups
from sdk.transport.race import Race


def connect(origin: Origin, deadline: Deadline) -> socket.socket:
    """A connected, non-blocking socket. Raises OSError, or the RequestTimeoutError of the limit that passed."""
    addresses = literal(origin.host, origin.port)
    if addresses is None:
        try:
            addresses = look_ups.begin(origin.host, origin.port).result(deadline.remaining_s())
        except TimeoutError:
            raise deadline.late_error() from None
    race = Race(addresses)
    try:
        is_late = False
        while (connected := race.step(monotonic_ns())) is None:
            if is_late:
                raise deadline.late_error()
            wait_s, is_late = next_wait(race, deadline)
            race.poll.poll(None if wait_s is None else wait_s * 1000)
            is_late = is_late and deadline.error() is not None
        return connected
    except BaseException:
        race.close()
        raise


def next_wait(race: Race, deadline: Deadline) -> tuple[float | None, bool]:
    """How long to wait for the race, and whether a limit of the call ends the wait."""
    next_s, left_s = race.wait_s(monotonic_ns()), deadline.remaining_s()
    if left_s is not None and (next_s is None or left_s <= next_s):
        return left_s, True
    return next_s, False
