"""A server that refuses is left alone for a while; one that is silent is waited for, and then given up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import pairwise, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.load.backoff import FIRST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_RETRY_AFTER_S, Backoff
from bench.load.outage import Outage
from bench.load.plan import ClosedLoop, Limits, OpenLoop
from bench.outcome import Outcome
from bench.records.record import Record
from bench.target import Timeouts
from tests.support.wire import Peer, WireServer
from tests.unit.bench.answer.test_events import chat, usage_only
from tests.unit.bench.loads import TOKENS, WHOLE, Drive, answering, frame, run_load, stream

S = 1_000_000_000


@given(st.integers(0, 10_000), st.integers(1, 80))
def test_pauses_double_up_to_a_second_and_half_of_each_is_left_to_chance(slot: int, refusals: int) -> None:
    backoff = Backoff(slot)
    for number in range(refusals):
        most = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**number)
        assert most / 2 <= backoff.pause_s(None) <= most
    backoff.end()
    assert backoff.pause_s(None) <= FIRST_PAUSE_S


def test_slots_that_were_refused_together_do_not_return_together() -> None:
    assert len({Backoff(slot).pause_s(None) for slot in range(64)}) > 60


@pytest.mark.parametrize(
    ("asked", "given"),
    [(0.0, None), (0.2, 0.2), (3.0, 3.0), (60.0, LONGEST_RETRY_AFTER_S), (1e9, LONGEST_RETRY_AFTER_S)],
)
def test_a_pause_that_the_server_requests_is_kept_up_to_a_limit(asked: float, given: float | None) -> None:
    pause = Backoff(0).pause_s(asked)
    assert pause == given if given is not None else pause <= FIRST_PAUSE_S


def test_an_outage_is_measured_by_time_and_ends_with_an_answer() -> None:
    outage = Outage(10.0)
    assert [outage.lasts_too_long(at * S) for at in (1, 2, 10)] == [False, False, False]
    outage.end()
    assert not outage.lasts_too_long(12 * S)
    assert not outage.lasts_too_long(21 * S)
    assert outage.lasts_too_long(22 * S)


def refusing(refusals: int, status: str = "429 Slow", headers: str = "") -> Callable[[Peer], None]:
    """So many requests are refused, the others answered."""
    lock, seen = threading.Lock(), [0]

    def play(peer: Peer) -> None:
        while peer.read_request():
            with lock:
                seen[0] += 1
                is_refused = seen[0] <= refusals
            if is_refused:
                peer.answer(b'{"error":"no"}', status, "Content-Type: application/json" + headers)
            else:
                stream(peer, WHOLE)
                peer.end()

    return play


STATUSES = ["429 Slow", "503 Busy", "400 Bad", "500 Oops"]


def pauses(records: list[Record]) -> list[float]:
    return [((record.free_ns or 0) - record.end_ns) / S for record in records]


@pytest.mark.parametrize("status", STATUSES)
def test_after_a_refusal_the_slot_pauses_and_each_request_counts_once(drive: Drive, status: str) -> None:
    with WireServer(refusing(3, status)) as server:
        records, _ = drive(server.url, requests=5)
    assert [record.outcome is Outcome.OK for record in records] == [False] * 3 + [True] * 2
    for record, later in pairwise(records):
        assert later.sched_ns == (record.free_ns or record.end_ns)
    for number, pause in enumerate(pauses(records[:3])):
        assert pause >= FIRST_PAUSE_S * 2**number / 2
    assert all((record.send_ns or 0) >= record.sched_ns for record in records)


@pytest.mark.parametrize("status", STATUSES)
def test_a_pause_begins_when_the_refusal_has_arrived(status: str) -> None:
    """The other wire reads its clock after it has read the body, which a busy machine delays."""
    with WireServer(refusing(3, status)) as server:
        records, _ = run_load("kernel", server.url, requests=4)
    for number, pause in enumerate(pauses(records[:3])):
        assert FIRST_PAUSE_S * 2**number / 2 <= pause <= FIRST_PAUSE_S * 2**number


def test_retry_after_is_honoured(drive: Drive) -> None:
    with WireServer(refusing(1, headers="\r\nRetry-After: 1")) as server:
        refused, record = drive(server.url, requests=2)[0]
    assert refused.retry_after_s == 1.0
    assert 1.0 <= (record.sched_ns - refused.end_ns) / S < 2.0


def test_a_pause_ends_with_the_plan(drive: Drive) -> None:
    """The server asks for five seconds; the plan ends in a tenth of one, or with its last request."""
    with WireServer(refusing(1000, headers="\r\nRetry-After: 5")) as server:
        began = time.monotonic()
        timed, _ = drive(server.url, streams=2, plan=ClosedLoop(2, Limits(duration_s=0.1)))
        counted, _ = drive(server.url, streams=2, requests=2)
        assert time.monotonic() - began < 4
    assert len(timed) == len(counted) == 2


def test_no_pause_follows_a_failure_with_some_tokens(drive: Drive) -> None:
    with WireServer(answering(*TOKENS)) as server:
        records, _ = drive(server.url, requests=3)
    assert {record.outcome for record in records} == {Outcome.TRUNCATED}
    assert all((record.free_ns or record.end_ns) - record.end_ns < FIRST_PAUSE_S / 2 * S for record in records)


def test_no_pause_follows_one_of_our_time_limits(drive: Drive) -> None:
    def play(peer: Peer) -> None:
        peer.read_request()
        peer.wait_closed()

    with WireServer(play) as server:
        records, _ = drive(server.url, requests=3, timeouts=Timeouts(first_byte=0.03))
    assert {record.outcome for record in records} == {Outcome.TIMEOUT_FIRST_BYTE}
    assert all((record.free_ns or record.end_ns) - record.end_ns < FIRST_PAUSE_S / 2 * S for record in records)


def test_refusals_do_not_change_the_schedule_of_an_open_loop(drive: Drive) -> None:
    with WireServer(refusing(1000, headers="\r\nRetry-After: 5")) as server:
        records, _ = drive(server.url, plan=OpenLoop(repeat(0.005), Limits(requests=20)))
    assert [record.outcome for record in records] == [Outcome.HTTP_429] * 20
    records.sort(key=lambda record: record.request)
    assert [later.sched_ns - record.sched_ns for record, later in pairwise(records)] == [5_000_000] * 19


def gone() -> str:
    """An address where nobody listens."""
    with WireServer(answering()) as server:
        return server.url


def test_a_closed_loop_stops_when_no_request_is_answered_for_the_limit(drive: Drive) -> None:
    began = time.monotonic()
    records, driver = drive(gone(), streams=2, requests=100_000, give_up_after_s=0.3)
    assert 0.3 <= time.monotonic() - began < 5
    assert {record.outcome for record in records} == {Outcome.CONNECT}
    assert len(records) < 40  # slots rest in between
    assert driver.gave_up is not None
    assert driver.gave_up.startswith(
        "stopped early: no request was answered for 0.3 s (nothing answers at http://127.0.0.1:"
    )
    assert records[0].send_ns is None


def test_an_open_loop_stops_by_time_and_not_by_number_of_requests(drive: Drive) -> None:
    records, driver = drive(gone(), plan=OpenLoop(repeat(0.002), Limits(requests=100_000)), give_up_after_s=0.2)
    assert len(records) > 20
    assert driver.gave_up is not None


def test_a_load_continues_when_its_server_returns(drive: Drive) -> None:
    """Ten connections are closed without a word, as by a port forward whose server restarts."""
    lock, seen = threading.Lock(), [0]

    def play(peer: Peer) -> None:
        while peer.read_request():
            with lock:
                seen[0] += 1
                is_down = 5 <= seen[0] < 15
            if is_down:
                return
            stream(peer, WHOLE)
            peer.end()

    plan = OpenLoop(repeat(0.004), Limits(requests=60))
    with WireServer(play) as server:
        records, driver = drive(server.url, plan=plan, give_up_after_s=5.0)
    assert driver.gave_up is None
    assert len(records) == 60
    ok = [record for record in records if record.outcome is Outcome.OK]
    assert len(ok) >= 48


def test_a_load_stops_if_the_server_closes_each_connection_without_an_answer(drive: Drive) -> None:
    def play(peer: Peer) -> None:
        peer.read_request()

    with WireServer(play) as server:
        records, driver = drive(server.url, streams=2, requests=100_000, give_up_after_s=0.2)
    assert {record.outcome for record in records} == {Outcome.TRUNCATED}
    assert "before any answer" in (driver.gave_up or "")


def test_a_load_continues_while_some_streams_receive_tokens() -> None:
    """One stream has a token every 20 ms; all other connections are closed at once."""
    lock, seen = threading.Lock(), [0]
    over = threading.Event()

    def play(peer: Peer) -> None:
        peer.read_request()
        with lock:
            seen[0] += 1
            is_first = seen[0] == 1
        if not is_first:
            if seen[0] == 60:
                over.set()
            return
        stream(peer, TOKENS)
        while not over.wait(0.02):
            peer.chunk(frame(chat(content="c")))
        for one in (frame(chat(content="", finish="stop")), frame(usage_only(3)), frame(b"[DONE]")):
            peer.chunk(one)
        peer.end()

    plan = OpenLoop(repeat(0.01), Limits(requests=60))
    with WireServer(play) as server:
        records, driver = run_load("kernel", server.url, plan=plan, give_up_after_s=0.1)
    assert driver.gave_up is None
    assert len(records) == 60


def test_a_load_stops_when_the_embedded_server_has_ended(drive: Drive) -> None:
    records, driver = drive(gone(), requests=1000, give_up_after_s=60.0, obituary=lambda: "the server ended (exit 1)")
    assert driver.gave_up == "stopped early: the server ended (exit 1)"
    assert len(records) == 1


SHORT = [*TOKENS, frame(chat(finish="stop")), frame(usage_only(2)), frame(b"[DONE]")]


def test_a_load_stops_early_if_no_answer_has_the_requested_length(drive: Drive) -> None:
    with WireServer(answering(*SHORT)) as server:
        records, driver = drive(server.url, streams=2, requests=1000, exact_length=True)
    assert 20 <= len(records) <= 24
    assert driver.gave_up == "stopped early: each of the first 20 answers had another length than requested"


def test_a_load_continues_if_one_answer_has_the_requested_length(drive: Drive) -> None:
    lock, seen = threading.Lock(), [0]

    def play(peer: Peer) -> None:
        while peer.read_request():
            with lock:
                seen[0] += 1
                frames = WHOLE if seen[0] == 10 else SHORT
            stream(peer, frames)
            peer.end()

    with WireServer(play) as server:
        records, driver = drive(server.url, requests=60, exact_length=True)
    assert len(records) == 60
    assert driver.gave_up is None
