"""Requests that arrive slowly, never end, or are too large are refused in time, whatever else the client sends."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from mock_server.engine.sim.profiles import find_profile
from mock_server.settings import ServerSettings
from tests.contract.server.wire import COMPLETIONS, wait_until_idle
from tests.support.serving import Serving, serving, simulated_engine

READ_TIMEOUT_S = 0.4
MAX_BODY, MAX_HEAD = 20_000, 4_000
BODY = json.dumps({"prompt": "a", "max_tokens": 2}).encode()
HEAD = f"POST {COMPLETIONS} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n".encode()
LONG_STREAM = {"prompt": "a", "max_tokens": 30_000, "ignore_eos": True, "stream": True}
SOON_S = 10  # far above any limit here, far below the server's own


@pytest.fixture(scope="module")
def served() -> Iterator[Serving]:
    settings = ServerSettings(read_timeout_s=READ_TIMEOUT_S, max_body_bytes=MAX_BODY, max_head_bytes=MAX_HEAD)
    with serving(simulated_engine(), settings) as found:
        yield found


@pytest.fixture(scope="module")
def http(served: Serving) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.root, timeout=20, headers={"connection": "close"}) as client:
        yield client


def connect(served: Serving) -> socket.socket:
    host, _, port = served.root.removeprefix("http://").partition(":")
    connection = socket.create_connection((host, int(port)), timeout=SOON_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def read_all(connection: socket.socket) -> bytes:
    """Until the server closes."""
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def refusal(answer: bytes) -> tuple[int, dict[str, Any]]:
    """Status and error of a response that closes its connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert b"connection: close" in lines
    assert b"content-type: application/json" in lines
    assert b"content-length: %d" % len(body) in lines
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return int(head.split()[1]), error


def with_length(body: bytes, length: int | None = None) -> bytes:
    return HEAD + b"content-length: %d\r\n\r\n" % (len(body) if length is None else length) + body


@pytest.mark.parametrize(
    ("sent", "part"),
    [
        (b"P", "head"),
        (b"GET /health HTTP/1.1\r\n", "head"),
        (HEAD, "head"),
        (with_length(BODY[:-1], len(BODY)), "body"),
        (with_length(b"", len(BODY)), "body"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\n{\"pro", "body"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n", "body"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("after_another", [False, True], ids=["alone", "after another"])
def test_a_half_sent_request_gets_a_408(served: Serving, sent: bytes, part: str, after_another: bool) -> None:
    with closing(connect(served)) as connection:
        if after_another:
            connection.sendall(b"GET /ping HTTP/1.1\r\nhost: x\r\n\r\n")
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        connection.sendall(sent)
        status, error = refusal(read_all(connection))
    assert (status, error["code"]) == (408, "request_timeout")
    assert part in error["message"]
    assert "0.4 seconds (--read-timeout)" in error["message"]


@pytest.mark.parametrize("sent", [HEAD, with_length(BODY)], ids=["head", "body"])
def test_a_request_that_trickles_in_gets_a_408(served: Serving, sent: bytes) -> None:
    with closing(connect(served)) as connection:
        if sent is not HEAD:
            connection.sendall(sent[: -len(BODY)])
            sent = BODY
        began = time.monotonic()
        connection.settimeout(0.03)
        for byte in sent:
            connection.sendall(bytes([byte]))
            try:
                first = connection.recv(1 << 16)
                break
            except TimeoutError:
                pass
        else:
            raise AssertionError("it was all taken")
        connection.settimeout(SOON_S)
        assert refusal(first + read_all(connection))[0] == 408
    assert time.monotonic() - began < SOON_S


def test_a_long_body_that_arrives_steadily_is_read_to_the_end(served: Serving) -> None:
    body = json.dumps({"prompt": "a", "max_tokens": 2, "user": "x" * 9_000}).encode()
    with closing(connect(served)) as connection:
        connection.sendall(HEAD + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body))
        for start in range(0, len(body), 1_000):
            connection.sendall(body[start : start + 1_000])
            time.sleep(0.1)  # ten times the limit's least speed, and twice the limit in all
        assert read_all(connection).startswith(b"HTTP/1.1 200")


def test_a_silent_connection_is_closed_without_a_response(served: Serving) -> None:
    with closing(connect(served)) as connection:
        assert read_all(connection) == b""


@pytest.mark.parametrize("before", [b"", b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"])
def test_blank_lines_do_not_keep_a_connection_open(served: Serving, before: bytes) -> None:
    with closing(connect(served)) as connection:
        if before:
            connection.sendall(before)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        connection.sendall(b"\r\n\r\n")
        assert read_all(connection) == b""


@pytest.mark.parametrize("line", [b"CONNECT a:1 HTTP/1.1", b"GET /\xff HTTP/1.1", b"GET http://[ HTTP/1.1"])
def test_a_first_request_that_cannot_be_read_gets_a_400_and_leaves_no_traceback(
    served: Serving, caplog: pytest.LogCaptureFixture, line: bytes
) -> None:
    with closing(connect(served)) as connection:
        connection.sendall(line + b"\r\nhost: x\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 400")
    with closing(connect(served)) as connection:  # by whose answer the end of the first has been handled
        connection.sendall(with_length(BODY))
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize(
    "sent",
    [b"GARBAGE\r\n\r\n", HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n", HEAD + b"content-length: -1\r\n\r\n"],
)
def test_data_that_is_not_http_gets_an_error_in_json(served: Serving, sent: bytes) -> None:
    with closing(connect(served)) as connection:
        connection.sendall(sent)
        status, error = refusal(read_all(connection))
    assert (status, error["code"]) == (400, "invalid_http")


def test_a_limit_of_zero_means_no_limit(served: Serving) -> None:
    with (
        serving(simulated_engine(), ServerSettings(read_timeout_s=0)) as patient,
        closing(connect(patient)) as connection,
    ):
        connection.sendall(with_length(BODY[:-1], len(BODY)))
        connection.settimeout(2 * READ_TIMEOUT_S)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(SOON_S)
        connection.sendall(BODY[-1:])
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /health HTTP/1.1\r\nhost: x\r\na: " + b"b" * 40_000_000 + b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * 1_000 + b"\r\n",
        b"GET /health?" + b"q" * MAX_HEAD + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nhost: x\r\n" + b"n" * MAX_HEAD + b": b\r\n\r\n",
        b"G" * 3 * MAX_HEAD,
    ],
    ids=["one of 40 MB", "many", "a long address", "a long name", "no end of a method"],
)
def test_a_head_above_the_limit_gets_a_431_even_when_all_of_it_is_sent(served: Serving, head: bytes) -> None:
    with closing(connect(served)) as connection:
        connection.sendall(head)
        answer = read_all(connection)
    if head.startswith(b"GGG"):
        assert answer.split()[1] in (b"400", b"431")
    else:
        status, error = refusal(answer)
        assert (status, error["code"]) == (431, "headers_too_large")
        limit = "128 headers" if b"a: b\r\na: b" in head else f"{MAX_HEAD} bytes (--max-header-size)"
        assert limit in error["message"]


@pytest.mark.parametrize("target", [b"http://127.0.0.1/docs", b"/health", b"a:1"])
def test_a_request_for_a_tunnel_gets_one_answer(served: Serving, target: bytes) -> None:
    with closing(connect(served)) as connection:
        head = b"CONNECT " + target + b" HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n"
        connection.sendall(head + b"{}GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        answers = read_all(connection)
    assert answers.count(b"HTTP/1.1 ") == answers.count(b"HTTP/1.1 4") == 1


def test_a_head_above_both_limits_is_refused_once(served: Serving, caplog: pytest.LogCaptureFixture) -> None:
    with closing(connect(served)) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"b: " + b"b" * MAX_HEAD)
        assert read_all(connection).count(b"HTTP/1.1 431") == 1
    assert "Traceback" not in caplog.text


def test_a_head_within_the_limit_is_read_however_it_is_cut(served: Serving) -> None:
    head = b"GET /ping HTTP/1.1\r\nhost: x\r\nconnection: close\r\na: "
    head += b"b" * (MAX_HEAD - len(head) - 4) + b"\r\n\r\n"
    assert len(head) == MAX_HEAD
    for cut in (len(head), 1_000):
        with closing(connect(served)) as connection:
            for start in range(0, len(head), cut):
                connection.sendall(head[start : start + cut])
            assert read_all(connection).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("expects", [b"", b"expect: 100-continue\r\n"], ids=["", "expect"])
@pytest.mark.parametrize("length", [MAX_BODY + 1, 99_999_999, 99_999_999_999])
def test_a_length_above_the_limit_gets_a_413_before_the_body_is_asked_for(
    served: Serving, length: int, expects: bytes
) -> None:
    with closing(connect(served)) as connection:
        connection.sendall(HEAD + expects + b"content-length: %d\r\n\r\n" % length)
        began = time.monotonic()
        status, error = refusal(read_all(connection))
    assert (status, error["code"]) == (413, "request_too_large")
    assert f"{MAX_BODY} bytes (--max-body-size)" in error["message"]
    assert time.monotonic() - began < SOON_S


def test_a_client_that_sends_a_body_above_the_limit_can_read_the_413(served: Serving) -> None:
    with closing(connect(served)) as connection:
        connection.sendall(with_length(b"x" * 5_000_000))
        assert refusal(read_all(connection))[0] == 413


def test_a_body_within_the_limit_is_asked_for(served: Serving) -> None:
    with closing(connect(served)) as connection:
        connection.sendall(
            HEAD + b"expect: 100-continue\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(BODY)
        )
        assert connection.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        assert read_all(connection).startswith(b"HTTP/1.1 200")


def test_a_chunked_body_is_counted_while_it_comes(served: Serving) -> None:
    with closing(connect(served)) as connection:
        connection.sendall(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        for _ in range(MAX_BODY // 1_000 + 1):
            connection.sendall(b"3e8\r\n" + b"x" * 1_000 + b"\r\n")
        assert refusal(read_all(connection))[0] == 413


@pytest.mark.parametrize(
    "endless",
    [b"0\r\n" + b"a: b\r\n" * 10_000, b"0\r\na: " + b"b" * 60_000, b"1;" + b"x" * 60_000],
    ids=["", "one", "chunk"],
)
def test_endless_extensions_and_trailers_of_a_chunked_body_end_the_connection(
    served: Serving, http: httpx.Client, endless: bytes
) -> None:
    with closing(connect(served)) as connection:
        connection.sendall(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        try:
            for _ in range(20):
                connection.sendall(endless)
            assert read_all(connection) == b""
        except ConnectionError:
            pass
    while http.get("/load").json() != {"server_load": 0}:
        pass


def test_refusals_are_counted(served: Serving, http: httpx.Client) -> None:
    def counted(labels: str) -> float:
        lines = [line for line in http.get("/metrics").text.splitlines() if labels in line]
        return sum(float(line.split()[-1]) for line in lines)

    labels = {status: f'status="{status}"' for status in (408, 413, 431)}
    before = {status: counted(text) for status, text in labels.items()}
    for sent in (
        HEAD,
        with_length(BODY[:-1], len(BODY)),
        with_length(b"", MAX_BODY + 1),
        HEAD + b"a: " + b"b" * MAX_HEAD,
    ):
        with closing(connect(served)) as connection:
            connection.sendall(sent)
            read_all(connection)
    assert {status: counted(text) - before[status] for status, text in labels.items()} == {408: 2, 413: 1, 431: 1}


class TestConnectionsWithSeveralRequests:
    def test_a_half_sent_request_does_not_break_into_the_answer_before_it(self, served: Serving) -> None:
        answered = {**LONG_STREAM, "max_tokens": 4_000}  # takes longer than the limit
        with closing(connect(served)) as connection:
            connection.sendall(with_length(json.dumps(answered).encode()) + b"GET /hea")
            answer = read_all(connection)
        stream, _, late = answer.partition(b"\r\n0\r\n\r\n")  # an id in the head may end in 0, too
        assert stream.count(b"data: ") == 4_001
        assert b"[DONE]" in stream
        assert refusal(late)[0] == 408

    @pytest.mark.parametrize("stream", [True, False])
    @pytest.mark.parametrize(
        "bad", [b"GARBAGE\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n", HEAD + b"x: " + b"a" * MAX_HEAD]
    )
    def test_a_bad_request_does_not_break_into_the_answers_before_it(
        self, served: Serving, bad: bytes, stream: bool
    ) -> None:
        answered = with_length(json.dumps({"prompt": "a", "max_tokens": 100, "stream": stream}).encode())
        with closing(connect(served)) as connection:
            connection.sendall(answered * 2 + bad)
            answer = read_all(connection)
        assert answer.count(b"HTTP/1.1 200") == 2
        assert answer.count(b"HTTP/1.1") == 2
        assert answer.endswith(b"0\r\n\r\n" if stream else b"}")

    def test_a_bad_body_does_not_break_into_the_answer_before_it(self, served: Serving) -> None:
        answered = with_length(json.dumps({"prompt": "a", "max_tokens": 100}).encode())
        with closing(connect(served)) as connection:
            connection.sendall(answered + HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n")
            assert read_all(connection).count(b"HTTP/1.1") == 1

    @pytest.mark.parametrize("how", ["close", "reset"])
    def test_a_disconnect_ends_all_of_them_without_an_error(self, how: str, caplog: pytest.LogCaptureFixture) -> None:
        with (
            serving(simulated_engine(find_profile("demo"))) as served,
            httpx.Client(base_url=served.root, timeout=20) as http,
        ):
            for _ in range(5):
                with closing(connect(served)) as connection:
                    connection.sendall(with_length(json.dumps(LONG_STREAM).encode()) * 3)
                    assert connection.recv(1 << 16)
                    if how == "reset":
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            wait_until_idle(http)
            metrics = http.get("/metrics").text
        assert 'finished_reason="abort",model_name="sim-chat"} 5.0' in metrics
        assert 'finished_reason="error",model_name="sim-chat"} 0.0' in metrics
        assert not [record for record in caplog.records if record.levelname == "ERROR"]
