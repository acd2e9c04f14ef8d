"""Floods from many clients: small headers, small chunks, pipelined requests, answers that are slow to write."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.hostile.conftest import Watch
from tests.support.raw_clients import REQUEST, answer, ask, connect, connections, dropped, send, status, statuses
from tests.support.serving import ServerProcess, server_process

TOP = b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n"
CHUNKED = (
    b"POST /v1/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n"
    b"content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
)


@pytest.mark.parametrize("end", [b"", b"\r\n"], ids=["unfinished", "complete"])
def test_heads_of_small_headers_take_neither_memory_nor_time(server: ServerProcess, watch: Watch, end: bytes) -> None:
    with watch(server), connections(server, 250, TOP + b"a:b\r\n" * 12_000 + end) as opened:
        answers = [answer(connection) for connection in opened]
    assert {status(one) for one in answers} <= {0, 431}  # a client that is still sending may see a reset
    assert status(ask(server, TOP + b"a:b\r\n" * 127 + b"\r\n")) == 431
    assert status(ask(server, TOP + b"a:b\r\n" * 126 + b"\r\n")) == 200


def test_the_memory_of_all_unfinished_heads_is_limited(server: ServerProcess, watch: Watch) -> None:
    with watch(server), connections(server, 1_000, TOP + b"a: " + b"x" * 60_000) as opened:
        assert status(ask(server)) == 200
        gone = dropped(opened)
        assert 400 < len(gone) < 600
        assert len(opened) - 1 not in gone


def test_pipelined_requests_on_many_connections_do_not_delay_other_clients(server: ServerProcess, watch: Watch) -> None:
    with watch(server), connections(server, 50) as opened:
        threads = [threading.Thread(target=send, args=(one, REQUEST * 20_000)) for one in opened]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def test_bodies_in_chunks_of_one_byte_do_not_delay_other_clients(server: ServerProcess, watch: Watch) -> None:
    with watch(server), connections(server, 10, CHUNKED) as opened:
        threads = [threading.Thread(target=send, args=(one, b"1\r\n \r\n" * 300_000)) for one in opened]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize(("path", "clients"), [("/openapi.json", 20), ("/metrics", 200)])
def test_answers_that_are_slow_to_write_do_not_delay_other_clients(
    server: ServerProcess, watch: Watch, path: str, clients: int
) -> None:
    assert status(ask(server, f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())) == 200
    request = f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode()
    with watch(server), connections(server, clients, request) as opened:
        assert set(statuses(opened)) == {200}


def test_a_long_list_of_forwarders_takes_no_time(server: ServerProcess, watch: Watch) -> None:
    top = TOP + b"x-forwarded-for: " + b"127.0.0.1," * 6_000
    with watch(server), connections(server, 300, top) as opened:
        assert status(ask(server)) == 200  # all others have been accepted
        for connection in opened:
            connection.sendall(b"127.0.0.1\r\nconnection: close\r\n\r\n")
        assert set(statuses(opened)) == {200}


@pytest.mark.parametrize(
    ("trailer", "expected"),
    [(b"content-type: application/json", 400), (b"host: other.example", 200), (b"origin: https://other.example", 200)],
)
def test_trailers_are_not_taken_for_headers(server: ServerProcess, trailer: bytes, expected: int) -> None:
    top = CHUNKED if expected == 200 else CHUNKED.replace(b"content-type: application/json\r\n", b"")
    body = b'{"prompt": "a", "max_tokens": 1}'
    request = top + b"%x\r\n%s\r\n0\r\n%s\r\n\r\n" % (len(body), body, trailer)
    with connect(server) as connection:
        connection.sendall(request)
        assert status(connection.recv(1_000)) == expected


def test_a_key_in_a_trailer_is_ignored() -> None:
    with server_process("--api-key", "key", "--log-interval", "0") as server, connect(server) as connection:
        body = b'{"prompt": "a", "max_tokens": 1}'
        connection.sendall(CHUNKED + b"%x\r\n%s\r\n0\r\nauthorization: Bearer key\r\n\r\n" % (len(body), body))
        assert status(connection.recv(1_000)) == 401


def test_clients_cannot_flood_the_log(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log, server_process("--log-interval", "0", log=log) as server:
        for _ in range(100):
            assert status(ask(server, b"\x00\xff\r\n\r\n")) == 400
            with connect(server) as connection:
                connection.sendall(TOP + b"connection: upgrade\r\nupgrade: h2c\r\n\r\n")
                assert status(connection.recv(1_000)) == 200
    assert 1 <= len((tmp_path / "log").read_text().splitlines()) < 10
