"""How an exchange ends on the wire: late ends of bodies, connections that the server has closed, slow readers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from itertools import pairwise, repeat
from pathlib import Path

import pytest

from bench.load.plan import Limits, OpenLoop
from bench.outcome import Outcome
from bench.wire.base import may_reopen
from bench.workload.datasets import Prompt
from tests.support.wire import HEADERS, Peer, WireServer
from tests.unit.bench.loads import TOKENS, WHOLE, Drive, run_load, stream

MS = 1_000_000


def test_a_late_end_of_the_body_does_not_hold_the_slot(drive: Drive) -> None:
    """The server ends no body before it has seen the next request: with a wait for it, that would take a second."""
    asked = [threading.Event() for _ in range(4)]
    lock, seen = threading.Lock(), [0]

    def play(peer: Peer) -> None:
        while peer.read_request():
            with lock:
                number, seen[0] = seen[0], seen[0] + 1
            asked[number].set()
            stream(peer, WHOLE)
            if number + 1 < len(asked):
                asked[number + 1].wait(20)
            peer.end()

    with WireServer(play) as server:
        records, _ = drive(server.url, requests=4)
    assert [record.outcome for record in records] == [Outcome.OK] * 4
    for record, later in pairwise(records):
        assert record.free_ns is not None
        assert 5 * MS < record.free_ns - record.end_ns < 900 * MS
        assert later.sched_ns == record.free_ns


def test_a_connection_is_used_again_after_the_late_end_of_a_body(drive: Drive) -> None:
    """The end of each body comes when the next request does, on another connection: two take turns."""
    asked = [threading.Event() for _ in range(8)]
    lock, seen = threading.Lock(), [0]

    def play(peer: Peer) -> None:
        while peer.read_request():
            with lock:
                number, seen[0] = seen[0], seen[0] + 1
            asked[number].set()
            stream(peer, WHOLE)
            if number + 1 < len(asked):
                asked[number + 1].wait(20)
            peer.end()

    with WireServer(play) as server:
        records, _ = drive(server.url, requests=8)
        assert server.connections < 8
    assert [record.outcome for record in records] == [Outcome.OK] * 8


def with_its_end(peer: Peer) -> None:
    """Each body and its end are sent at once."""
    while peer.read_request():
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        body = b"".join(WHOLE)
        peer.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))


def test_a_connection_is_used_again_after_a_timely_end_of_the_body(drive: Drive) -> None:
    with WireServer(with_its_end) as server:
        records, _ = drive(server.url, requests=3)
        assert server.connections == 1
    assert [record.outcome for record in records] == [Outcome.OK] * 3


def test_an_end_that_comes_with_the_body_is_not_recorded() -> None:
    with WireServer(with_its_end) as server:
        records, _ = run_load("kernel", server.url, requests=3)
    assert [record.free_ns for record in records] == [None] * 3


def test_a_body_that_never_ends_costs_its_connection_and_no_more() -> None:
    """It is given up after a second, while the load goes on."""
    closed, asked = [], []

    def play(peer: Peer) -> None:
        while peer.read_request():
            asked.append(time.monotonic())
            stream(peer, WHOLE)
            if peer.number == 1:
                peer.wait_closed()
                closed.append(time.monotonic())
            else:
                peer.end()

    plan = OpenLoop(repeat(0.05), Limits(requests=30))
    with WireServer(play) as server:
        records, _ = run_load("kernel", server.url, plan=plan)
        assert server.connections < 30  # a few more open where this machine is slow to end bodies
    assert {record.outcome for record in records} == {Outcome.OK}
    assert closed[0] < asked[-1]


def test_ends_of_bodies_hold_a_bounded_number_of_connections() -> None:
    """None of them ever comes: the first connection is given up for the sake of others, long before its time."""
    closed, asked = [], []

    def play(peer: Peer) -> None:
        peer.read_request()
        asked.append(time.monotonic())
        stream(peer, WHOLE)
        peer.wait_closed()
        closed.append((time.monotonic(), peer.number))

    with WireServer(play) as server:
        records, _ = run_load("kernel", server.url, streams=16, requests=200)
        closed_at = min(at for at, number in closed if number == 1)
    assert {record.outcome for record in records} == {Outcome.OK}
    assert closed_at < max(asked)


def test_an_answer_before_the_end_of_its_request_leaves_no_connection_for_another() -> None:
    """What the server had not read of the first request would be taken for the second."""
    prompt = Prompt(3, messages=[{"role": "user", "content": "x" * (8 << 20)}])
    answer = HEADERS + b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in WHOLE) + b"0\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        begun: list[bytes] = []

        def serve() -> None:
            accepted = []
            for _ in range(2):
                connection, _ = listener.accept()
                begun.append(connection.recv(1000))
                connection.sendall(answer)
                accepted.append(connection)  # neither read on nor closed
            for connection in accepted:
                connection.close()

        server = threading.Thread(target=serve)
        server.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        records, _ = run_load("kernel", url, prompts=[prompt], requests=2)
        server.join()
    assert [record.outcome for record in records] == [Outcome.OK] * 2
    assert all(request.startswith(b"POST /v1/chat/completions") for request in begun)


def closes_before_the_second(how: Callable[[Peer], None]) -> Callable[[Peer], None]:
    """Answers one request on each connection; anything after that is not answered."""

    def play(peer: Peer) -> None:
        peer.read_request()
        stream(peer, WHOLE)
        peer.end()
        if peer.read_request():
            how(peer)

    return play


@pytest.mark.parametrize("how", [Peer.close, Peer.reset])
def test_a_kept_connection_that_turns_out_to_be_dead_is_opened_again_once(
    drive: Drive, how: Callable[[Peer], None]
) -> None:
    with WireServer(closes_before_the_second(how)) as server:
        records, driver = drive(server.url, requests=5)
        assert server.connections == 5
    assert [record.outcome for record in records] == [Outcome.OK] * 5
    assert [(record.opened, record.reopened) for record in records] == [(True, False)] + [(True, True)] * 4
    assert (driver.tally.ok, driver.tally.failed) == (5, 0)


def test_the_time_lost_by_a_dead_connection_is_recorded_and_not_part_of_ttft(drive: Drive) -> None:
    """The server is quiet for 60 ms before it closes the kept connection."""

    def hang(peer: Peer) -> None:
        threading.Event().wait(0.06)
        peer.close()

    with WireServer(closes_before_the_second(hang)) as server:
        _, record = drive(server.url, requests=2)[0]
    assert record.reopened
    assert record.send_ns is not None
    assert record.first_ns is not None
    assert record.waited_ns >= 55 * MS
    assert record.send_ns - record.sched_ns >= 55 * MS
    assert record.first_ns - record.send_ns < 50 * MS


def test_a_request_is_sent_at_most_twice(drive: Drive) -> None:
    """Every connection after the first is closed without a word."""
    requests: list[bytes] = []

    def play(peer: Peer) -> None:
        while request := peer.read_request():
            requests.append(request)
            if len(requests) > 1:
                return
            stream(peer, WHOLE)
            peer.end()

    with WireServer(play) as server:
        first, second = drive(server.url, requests=2)[0]
    assert (first.outcome, second.outcome) == (Outcome.OK, Outcome.TRUNCATED)
    assert "before any answer" in (second.error or "")
    assert second.reopened
    assert len(requests) == 3


def test_after_the_first_byte_of_an_answer_nothing_is_sent_again(drive: Drive) -> None:
    requests: list[bytes] = []

    def play(peer: Peer) -> None:
        while request := peer.read_request():
            requests.append(request)
            if len(requests) > 1:
                peer.send(b"H")
                return
            stream(peer, WHOLE)
            peer.end()

    with WireServer(play) as server:
        _, second = drive(server.url, requests=2)[0]
    assert (second.outcome, second.reopened) == (Outcome.TRUNCATED, False)
    assert len(requests) == 2


def test_a_new_connection_that_breaks_is_not_opened_again(drive: Drive) -> None:
    requests: list[bytes] = []
    with WireServer(lambda peer: requests.append(peer.read_request())) as server:
        (record,), _ = drive(server.url)
    assert (record.outcome, record.reopened, len(requests)) == (Outcome.TRUNCATED, False, 1)


def test_a_connection_that_breaks_while_the_server_works_is_a_failure() -> None:
    """It took the request, and closed after more than a second: that was no connection closed for being idle."""

    def crash(peer: Peer) -> None:
        threading.Event().wait(1.1)
        peer.close()

    with WireServer(closes_before_the_second(crash)) as server:
        _, second = run_load("kernel", server.url, requests=2)[0]
    assert (second.outcome, second.reopened) == (Outcome.TRUNCATED, False)


@pytest.mark.parametrize(
    ("reused", "has_bytes", "after_s", "may"),
    [(True, False, 0.9, True), (True, False, 1.1, False), (True, True, 0.1, False), (False, False, 0.1, False)],
)
def test_when_a_connection_may_be_opened_again(reused: bool, has_bytes: bool, after_s: float, may: bool) -> None:
    assert may_reopen(reused=reused, has_bytes=has_bytes, sent_ns=5, now_ns=5 + round(after_s * 1e9)) is may


def test_failed_requests_are_not_retried(drive: Drive) -> None:
    """Whatever is answered, each request is heard of once."""
    requests: list[bytes] = []

    def play(peer: Peer) -> None:
        while request := peer.read_request():
            requests.append(request)
            number = len(requests) % 4
            if number == 0:
                peer.answer(b'{"error":"no"}', "503 Busy")
            elif number == 1:
                stream(peer, TOKENS)
                return
            elif number == 2:
                peer.answer(b"{}")
            else:
                stream(peer, [*TOKENS, b'data: {"error":{"message":"gone"}}\n\n', b"data: [DONE]\n\n"])
                peer.end()

    with WireServer(play) as server:
        records, _ = drive(server.url, requests=8)
    assert len(requests) == len(records) == 8
    assert Outcome.OK not in {record.outcome for record in records}


def test_a_server_that_reads_slowly_does_not_count_as_a_late_send() -> None:
    """A prompt that is larger than what sockets hold: the server begins to read it after 60 ms."""
    limits = ("/proc/sys/net/ipv4/tcp_wmem", "/proc/sys/net/ipv4/tcp_rmem")
    size = 2 * sum(int(Path(limit).read_text().split()[2]) for limit in limits)
    prompt = Prompt(3, messages=[{"role": "user", "content": "x" * size}])
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                threading.Event().wait(0.06)
                buffer, left = memoryview(bytearray(1 << 20)), size
                while left > 0:  # what the headers take more is answered early
                    left -= connection.recv_into(buffer)
                connection.sendall(
                    HEADERS + b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in WHOLE) + b"0\r\n\r\n"
                )
                while connection.recv_into(buffer):
                    pass

        server = threading.Thread(target=serve)
        server.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        (record,), _ = run_load("kernel", url, prompts=[prompt])
        server.join()
    assert record.outcome is Outcome.OK
    assert record.send_ns is not None
    assert 50 * MS <= record.waited_ns < record.send_ns - record.sched_ns
