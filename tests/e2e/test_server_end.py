"""The end of the server, as a process that gets signals: what is under way may finish, nothing new begins."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.certificates import certificate_files, client_context
from tests.support.serving import ServerProcess, server_process

PACED = ("--engine", "scripted", "--script", "ttft_ms=1,itl_ms=20")
TOKENS = 150  # three seconds
ASKED = {"prompt": "Once", "max_tokens": TOKENS, "ignore_eos": True}


class Client:
    """A connection of its own for each request."""

    def __init__(self, server: ServerProcess, context: ssl.SSLContext | None) -> None:
        self._address = urlsplit(server.url)
        self._context = context

    def connect(self) -> http.client.HTTPConnection:
        host, port = str(self._address.hostname), self._address.port
        if self._context is not None:
            return http.client.HTTPSConnection(host, port, timeout=60, context=self._context)
        return http.client.HTTPConnection(host, port, timeout=60)

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        with closing(self.connect()) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def post(self, connection: http.client.HTTPConnection, **fields: Any) -> None:
        body = json.dumps({**ASKED, **fields})
        connection.request("POST", "/v1/completions", body, headers={"content-type": "application/json"})

    @contextmanager
    def posted(self, **fields: Any) -> Iterator[http.client.HTTPConnection]:
        with closing(self.connect()) as connection:
            self.post(connection, **fields)
            yield connection

    def wait_until_it_ends(self) -> None:
        while self.get("/ready")[0] == 200:
            pass


@pytest.fixture(params=["http", "https"])
def tls(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[list[str], ssl.SSLContext | None]:
    """Options of the server, and what its clients need."""
    if request.param == "http":
        return [], None
    certificate, key = certificate_files(tmp_path)
    return ["--ssl-certfile", str(certificate), "--ssl-keyfile", str(key)], client_context()


def test_what_is_under_way_finishes_and_what_is_new_is_sent_away(
    tls: tuple[list[str], ssl.SSLContext | None],
) -> None:
    options, context = tls
    with server_process(*PACED, "--shutdown-timeout", "60", *options) as server:
        client = Client(server, context)
        with (
            client.posted(stream=True) as streamed,
            client.posted() as whole,
            closing(client.connect()) as kept,
            closing(client.connect()) as fresh,
        ):
            events = streamed.getresponse()
            assert events.read(6) == b"data: "
            kept.request("GET", "/ready")
            assert kept.getresponse().read()
            while client.get("/load")[1]["server_load"] < 2:
                pass
            server.process.send_signal(signal.SIGTERM)
            client.wait_until_it_ends()
            for connection in (kept, fresh):
                client.post(connection, stream=connection is kept)
                refusal = connection.getresponse()
                assert (refusal.status, refusal.getheader("retry-after")) == (503, "1")
                assert json.loads(refusal.read())["error"]["code"] == "shutting_down"
            *tokens, done, rest = events.read().decode().split("\n\n")
            assert (done, rest) == ("data: [DONE]", "")
            assert len(tokens) == TOKENS
            assert json.loads(tokens[-1].removeprefix("data: "))["choices"][0]["finish_reason"] == "length"
            answer = json.loads(whole.getresponse().read())
            assert answer["usage"]["completion_tokens"] == TOKENS
        assert server.process.wait(30) == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGINT)],
)
def test_a_second_signal_means_at_once(first: signal.Signals, second: signal.Signals) -> None:
    with server_process(*PACED, "--shutdown-timeout", "600") as server:
        client = Client(server, None)
        with client.posted(stream=True, max_tokens=30_000) as streamed:
            events = streamed.getresponse()
            assert events.read(6) == b"data: "
            server.process.send_signal(first)
            client.wait_until_it_ends()
            assert server.process.poll() is None
            with client.posted() as refused:
                of_new = json.loads(refused.getresponse().read())["error"]
            server.process.send_signal(second)
            *_, error, done, rest = events.read().decode().split("\n\n")
            of_cut = json.loads(error.removeprefix("data: "))["error"]
            assert of_cut["message"] == "The server is shutting down and has ended this request"
            assert of_new["message"] == "The server is shutting down and accepts no new requests"
            assert of_cut | {"message": ""} == of_new | {"message": ""}
            assert of_cut["code"] == "shutting_down"
            assert (done, rest) == ("data: [DONE]", "")
        assert server.process.wait(30) == 0


def test_a_whole_answer_that_outlasts_its_time_is_a_503() -> None:
    with server_process(*PACED, "--shutdown-timeout", "0.2") as server:
        client = Client(server, None)
        with client.posted(max_tokens=30_000) as whole:
            while not client.get("/load")[1]["server_load"]:
                pass
            server.process.send_signal(signal.SIGTERM)
            refusal = whole.getresponse()
            assert (refusal.status, refusal.getheader("retry-after")) == (503, "1")
            assert json.loads(refusal.read())["error"]["code"] == "shutting_down"
        assert server.process.wait(30) == 0


JSON_HEAD = b"host: localhost\r\ncontent-type: application/json\r\n"
HALF_SENT = {
    "nothing": b"",
    "a head": b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\n",
    "a head after a request": b"GET /ping HTTP/1.1\r\nhost: localhost\r\n\r\nPOST /v1/completions HTTP/1.1\r\n",
    "a body": b"POST /v1/completions HTTP/1.1\r\n" + JSON_HEAD + b"content-length: 100\r\n\r\n{",
    "a chunked body": b"POST /tokenize HTTP/1.1\r\n" + JSON_HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\n{",
}


@pytest.mark.parametrize("sent", HALF_SENT.values(), ids=HALF_SENT)
def test_half_sent_requests_do_not_delay_the_shutdown(
    tls: tuple[list[str], ssl.SSLContext | None], sent: bytes, tmp_path: Path
) -> None:
    options, context = tls
    log = tmp_path / "log"
    with log.open("wb") as stderr, server_process("--shutdown-timeout", "60", *options, log=stderr) as server:
        connections = [Client(server, context).connect() for _ in range(5)]
        for connection in connections:
            connection.connect()
            connection.send(sent)
        assert Client(server, context).get("/ready")[0] == 200  # by now it has seen what was sent before
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
        for connection in connections:
            if b"{" in sent:
                response = http.client.HTTPResponse(connection.sock)
                response.begin()
                assert response.status == 503
                assert json.loads(response.read())["error"]["code"] == "shutting_down"
            connection.close()
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("reads", [False, True], ids=["does not read", "does not close"])
def test_a_client_that_stays_connected_does_not_delay_the_shutdown_beyond_its_timeout(
    tls: tuple[list[str], ssl.SSLContext | None], reads: bool, tmp_path: Path
) -> None:
    options, context = tls
    log = tmp_path / "log"
    stream = {"prompt": "Once", "max_tokens": 10 if reads else 30_000, "ignore_eos": True, "stream": True}
    with (
        log.open("wb") as stderr,
        server_process("--profile", "instant", "--shutdown-timeout", "0.3", *options, log=stderr) as server,
        closing(Client(server, context).connect()) as connection,
        closing(Client(server, context).connect()) as idle,
    ):
        connection.connect()
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.request("POST", "/v1/completions", json.dumps(stream), {"content-type": "application/json"})
        idle.request("GET", "/ready")
        assert idle.getresponse().read()
        response = connection.getresponse()
        assert response.read(6) == b"data: "
        if reads:
            response.read()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(5) == 0
    assert "Traceback" not in log.read_text()
    assert "Cancel" not in log.read_text()


def test_nothing_under_way_is_nothing_to_wait_for() -> None:
    with server_process("--shutdown-timeout", "600") as server, closing(Client(server, None).connect()) as idle:
        idle.request("GET", "/ready")
        assert idle.getresponse().read()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
