"""The driver on real sockets: what it stamps, and into which class each ending goes."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from itertools import pairwise
from time import monotonic_ns
from typing import Any

import pytest

from bench.load.driver import Driver
from bench.load.plan import Limits, OpenLoop
from bench.outcome import Outcome
from bench.records.moments import MomentLog
from bench.records.record import Record
from bench.target import Target, Timeouts, read_address
from bench.wire import make_wire
from bench.workload.body import BodyForm, Features
from bench.workload.datasets import Prompt, PromptList
from tests.support.wire import Peer, WireServer
from tests.unit.bench.answer.test_events import chat, usage_only
from tests.unit.bench.loads import TOKENS, WHOLE, Drive, answering, frame, run_load, stream


def test_the_stamps_of_a_stream_are_in_order(drive: Drive) -> None:
    with WireServer(answering(*WHOLE)) as server:
        before = monotonic_ns()
        records, driver = drive(server.url)
        after = monotonic_ns()
    (record,) = records
    assert record.outcome is Outcome.OK
    assert record.send_ns is not None
    assert record.head_ns is not None
    stamps = [before, record.sched_ns, record.send_ns, record.head_ns, record.end_ns, after]
    assert stamps == sorted(stamps)
    assert record.first_ns is not None
    assert record.last_ns is not None
    assert record.head_ns <= record.first_ns == record.visible_ns <= record.last_ns <= record.end_ns
    assert (record.events, record.event_tokens, record.first_tokens, record.empty) == (3, "one", 1, 1)
    assert (record.prompt_tokens, record.completion_tokens, record.status, record.opened) == (9, 3, 200, True)
    assert (record.finish_reason, record.request_id, record.asked_tokens) == ("stop", "t-0", 3)
    assert (driver.tally.ok, driver.tally.failed, len(driver.tally.under_way), driver.tally.tokens) == (
        1,
        0,
        0,
        3,
    )


def test_the_request_has_the_body_of_the_form(drive: Drive) -> None:
    seen: list[bytes] = []

    def play(peer: Peer) -> None:
        seen.append(peer.read_request())
        stream(peer, WHOLE)
        peer.end()

    with WireServer(play) as server:
        drive(server.url)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert b"Authorization: Bearer k" in head
    assert b"X-Request-Id: t-0" in head
    assert json.loads(body)["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}


def test_connections_are_reused_and_no_more_are_open_than_streams(drive: Drive) -> None:
    with WireServer(answering(*WHOLE)) as server:
        records, _ = drive(server.url, streams=3, requests=30)
        assert server.connections == 3
    assert sum(record.opened for record in records) == 3
    assert sorted(record.request for record in records) == list(range(30))


def test_the_next_request_of_a_slot_is_due_when_the_previous_one_ended(drive: Drive) -> None:
    with WireServer(answering(*WHOLE)) as server:
        records, _ = drive(server.url, requests=3)
    assert [record.sched_ns for record in records[1:]] == [record.free_ns or record.end_ns for record in records[:-1]]


def respond(status: str, body: bytes, headers: str = "Content-Type: application/json") -> Callable[[Peer], None]:
    def play(peer: Peer) -> None:
        peer.read_request()
        peer.answer(body, status, headers)

    return play


def broken_off(how: Callable[[Peer], None], *frames: bytes) -> Callable[[Peer], None]:
    def play(peer: Peer) -> None:
        peer.read_request()
        stream(peer, list(frames))
        how(peer)

    return play


ERROR_EVENT = frame(b'{"error":{"message":"engine died","code":500}}')
SHORT = [*TOKENS, frame(chat(finish="length")), frame(usage_only(2)), frame(b"[DONE]")]
ENDINGS: dict[str, tuple[Callable[[Peer], None], Outcome, str]] = {
    "503": (respond("503 Busy", b'{"error":{"message":"full"}}'), Outcome.HTTP_5XX, "HTTP 503: full"),
    "429": (
        respond("429 Slow", b'{"error":"slow"}', "Content-Type: application/json\r\nRetry-After: 3"),
        Outcome.HTTP_429,
        "HTTP 429: slow",
    ),
    "404": (respond("404 No", b'{"detail":"Not Found"}'), Outcome.HTTP_4XX, "HTTP 404: Not Found"),
    "HTML with a 502": (respond("502 Bad", b"<h1>Bad</h1>", "Content-Type: text/html"), Outcome.HTTP_5XX, "HTTP 502"),
    "JSON where a stream was due": (
        respond("200 OK", b"{}"),
        Outcome.PROTOCOL,
        "(application/json) is not an answer: {}",
    ),
    "compressed": (
        respond("200 OK", b"\x1f\x8b\x08", "Content-Type: text/event-stream\r\nContent-Encoding: gzip"),
        Outcome.PROTOCOL,
        "encoded as 'gzip'",
    ),
    "no HTTP": (broken_off(lambda peer: None), Outcome.TRUNCATED, "closed the connection"),
    "cut without an end": (broken_off(lambda peer: None, *TOKENS), Outcome.TRUNCATED, "after 2 chunks"),
    "reset": (broken_off(Peer.reset, *TOKENS), Outcome.TRUNCATED, ""),
    "ended without finish or DONE": (answering(*TOKENS), Outcome.TRUNCATED, "without a finish reason or [DONE]"),
    "DONE without finish": (answering(*TOKENS, frame(b"[DONE]")), Outcome.TRUNCATED, "[DONE] but no finish reason"),
    "error event": (answering(*TOKENS, ERROR_EVENT, frame(b"[DONE]")), Outcome.STREAM_ERROR, "engine died"),
    "error by type": (answering(b"event: error\ndata: gone\n\n"), Outcome.STREAM_ERROR, "gone"),
    "broken JSON": (answering(*TOKENS, frame(b'{"choices":[{')), Outcome.PROTOCOL, "event 3 of the stream is not a"),
    "another length": (answering(*SHORT), Outcome.LENGTH_MISMATCH, "2 tokens where 3 were requested"),
    "no blank line at the end": (answering(*WHOLE[:-1], b"data: [DONE]"), Outcome.OK, ""),
    "comments": (answering(b": ping\n\n", *WHOLE), Outcome.OK, ""),
    "no DONE": (answering(*WHOLE[:-1]), Outcome.OK, ""),
    "all in one write": (answering(b"".join(WHOLE)), Outcome.OK, ""),
}


@pytest.mark.parametrize(("play", "outcome", "words"), ENDINGS.values(), ids=ENDINGS)
def test_each_way_to_end_has_its_class(
    drive: Drive, play: Callable[[Peer], None], outcome: Outcome, words: str
) -> None:
    with WireServer(play) as server:
        (record,), driver = drive(server.url, exact_length=True)
    assert record.outcome is outcome
    assert words in (record.error or "")
    assert (record.error is None) == (outcome is Outcome.OK)
    assert (driver.tally.ok, driver.tally.failed) == ((1, 0) if outcome is Outcome.OK else (0, 1))


def test_retry_after_is_recorded(drive: Drive) -> None:
    with WireServer(ENDINGS["429"][0]) as server:
        (record,), _ = drive(server.url)
    assert record.retry_after_s == 3.0


def silent_after(*frames: bytes) -> Callable[[Peer], None]:
    def play(peer: Peer) -> None:
        peer.read_request()
        if frames:
            stream(peer, list(frames))
        peer.wait_closed()

    return play


TIMEOUTS: dict[str, tuple[Callable[[Peer], None], Timeouts, Outcome]] = {
    "first byte": (silent_after(), Timeouts(first_byte=0.05), Outcome.TIMEOUT_FIRST_BYTE),
    "stall": (silent_after(*TOKENS), Timeouts(stall=0.05), Outcome.TIMEOUT_STALL),
    "total": (silent_after(*TOKENS), Timeouts(total=0.1), Outcome.TIMEOUT_TOTAL),
}


@pytest.mark.parametrize(("play", "timeouts", "outcome"), TIMEOUTS.values(), ids=TIMEOUTS)
def test_each_time_limit_has_its_class(
    drive: Drive, play: Callable[[Peer], None], timeouts: Timeouts, outcome: Outcome
) -> None:
    with WireServer(play) as server:
        (record,), _ = drive(server.url, timeouts=timeouts)
    assert record.outcome is outcome
    assert record.events == (0 if outcome is Outcome.TIMEOUT_FIRST_BYTE else 2)


def test_tls_to_a_server_without_it_is_a_tls_failure() -> None:
    with WireServer(lambda peer: peer.send(b"who is there?\n")) as server:
        (record,), _ = run_load("plain", server.url.replace("http:", "https:"))
    assert record.outcome is Outcome.TLS


def test_a_cancelled_request_is_recorded_with_its_tokens(drive: Drive) -> None:
    with WireServer(silent_after(*TOKENS)) as server:
        records, driver = drive(server.url, streams=2, requests=2, interrupt=Driver.cancel)
        for peer in server.peers:
            assert peer.is_closed_by_client()
    assert [record.outcome for record in records] == [Outcome.CANCELLED] * 2
    assert max(record.events for record in records) >= 1
    assert (driver.tally.ok, driver.tally.failed, len(driver.tally.under_way)) == (0, 0, 0)


def test_a_fault_of_the_bench_itself_ends_the_run(drive: Drive) -> None:
    def broken(_: Record) -> None:
        raise LookupError("a fault")

    with WireServer(answering(*WHOLE)) as server, pytest.raises(LookupError, match="a fault"):
        drive(server.url, streams=2, requests=50, keep=broken)


ANSWER = b'{"choices":[{"message":{"content":"ab"},"finish_reason":"stop"}],"usage":{"completion_tokens":3}}'
WHOLE_ENDINGS: dict[str, tuple[bytes, Outcome, str]] = {
    "whole": (ANSWER, Outcome.OK, ""),
    "no JSON": (b"<html>", Outcome.PROTOCOL, "is not an answer: a web page"),
    "no finish reason": (b'{"choices":[{"message":{"content":"ab"}}]}', Outcome.TRUNCATED, "no finish reason"),
    "nothing in it": (
        b'{"choices":[{"text":"","finish_reason":"stop"}]}',
        Outcome.LENGTH_MISMATCH,
        "no token",
    ),
    "another length": (ANSWER.replace(b"3", b"2"), Outcome.LENGTH_MISMATCH, "2 tokens where 3 were requested"),
    "aborted": (ANSWER.replace(b"stop", b"abort"), Outcome.STREAM_ERROR, "'abort'"),
}


@pytest.mark.parametrize(("body", "outcome", "words"), WHOLE_ENDINGS.values(), ids=WHOLE_ENDINGS)
def test_each_answer_in_one_piece_has_its_class(drive: Drive, body: bytes, outcome: Outcome, words: str) -> None:
    with WireServer(respond("200 OK", body)) as server:
        (record,), _ = drive(server.url, exact_length=True, streamed=False)
    assert record.outcome is outcome
    assert words in (record.error or "")
    assert (record.events, record.first_ns, record.streamed) == (0, None, False)
    assert record.head_ns is not None
    assert record.send_ns is not None
    assert record.send_ns <= record.head_ns <= record.end_ns


def test_an_open_loop_sends_on_schedule_whether_or_not_earlier_requests_have_ended(drive: Drive) -> None:
    """The server answers nothing until all ten requests are there."""
    arrived = threading.Barrier(10, timeout=20)

    def play(peer: Peer) -> None:
        peer.read_request()
        arrived.wait()
        stream(peer, WHOLE)
        peer.end()

    with WireServer(play) as server:
        records, _ = drive(server.url, plan=OpenLoop(iter([0.01] * 10), Limits(requests=10)))
    records.sort(key=lambda record: record.request)
    assert [record.outcome for record in records] == [Outcome.OK] * 10
    assert [later.sched_ns - record.sched_ns for record, later in pairwise(records)] == [10_000_000] * 9
    assert all((record.send_ns or 0) >= record.sched_ns for record in records)
    assert sorted(record.slot for record in records) == list(range(10))


def test_at_its_limit_an_open_loop_queues_requests_and_records_the_wait(drive: Drive) -> None:
    with WireServer(answering(*WHOLE)) as server:
        records, _ = drive(server.url, plan=OpenLoop(iter([0.0] * 6), Limits(requests=6), most=2))
        assert server.connections == 2
    assert {record.outcome for record in records} == {Outcome.OK}
    assert len({record.sched_ns for record in records}) == 1
    assert {record.slot for record in records} == {0, 1}
    records.sort(key=lambda record: record.request)
    assert [record.queued_ns > 0 for record in records] == [False] * 2 + [True] * 4
    ends = [record.free_ns or record.end_ns for record in records]
    assert all(record.sched_ns + record.queued_ns in ends for record in records[2:])


def test_an_open_loop_can_be_cancelled(drive: Drive) -> None:
    plan = OpenLoop(iter([0.0, 3600.0, 1.0]), Limits())

    def interrupt(driver: Driver) -> None:
        plan.stop(monotonic_ns())
        driver.cancel()

    with WireServer(silent_after(*TOKENS)) as server:
        records, _ = drive(server.url, plan=plan, interrupt=interrupt)
    assert [record.outcome for record in records] == [Outcome.CANCELLED] * 2


def test_warm_up_requests_are_short_and_not_part_of_the_load() -> None:
    bodies: list[dict[str, Any]] = []

    def play(peer: Peer) -> None:
        while request := peer.read_request():
            bodies.append(json.loads(request.partition(b"\r\n\r\n")[2]))
            stream(peer, WHOLE)
            peer.end()

    kept: list[Record] = []

    async def main(url: str) -> list[Record]:
        address = read_address(url)
        target, wire = Target(address, api_key=None, timeouts=Timeouts()), make_wire(address.api.origin, 2)
        prompts = [Prompt(500, messages=[{"role": "user", "content": "hi"}])]
        workload = PromptList(prompts, name="one", seed=1, nonce=None)
        form = BodyForm("chat", "m", Features(), {})
        driver = Driver(target, wire, form, workload, kept.append, MomentLog(), run_id="t", exact_length=True)
        try:
            return await driver.warm_up(5, 2)
        finally:
            await wire.aclose()
            await target.aclose()

    with WireServer(play) as server:
        assert asyncio.run(main(server.url)) == []
    assert {body["max_tokens"] for body in bodies} == {16}
    assert [record.phase for record in kept] == ["warmup"] * 5
    assert len({record.request for record in kept}) == 5
    assert all(record.request < 0 for record in kept)
