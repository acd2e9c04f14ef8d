"""Connections that never become requests, and heads without end: other clients are served meanwhile."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.conftest import Watch
from tests.support.certificates import certificate_files, client_context
from tests.support.hostile_check import ADDRESS_SPACE
from tests.support.raw_clients import (
    HALF_HEAD,
    REQUEST,
    answer,
    ask,
    connect,
    connections,
    dropped,
    half_body,
    send,
    status,
)
from tests.support.serving import ServerProcess, server_process

MOST, MOST_HALF_OPEN = 40, 10


@pytest.fixture(scope="module", params=["", "key"], ids=["no key", "key"])
def guarded(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    keys = ["--api-key", request.param] if request.param else []
    with server_process(*keys, "--log-interval", "0", "--read-timeout", "2", ulimit=ADDRESS_SPACE) as found:
        yield found


@pytest.fixture
def small(tmp_path: Path) -> Iterator[ServerProcess]:
    limits = ("--max-connections", str(MOST), "--max-half-open", str(MOST_HALF_OPEN))
    with (tmp_path / "log").open("wb") as log, server_process(*limits, "--log-interval", "0", log=log) as found:
        yield found


@pytest.mark.parametrize(
    "first", [b"", b"G", HALF_HEAD, b"\r\n"], ids=["nothing", "a byte", "half a head", "a blank line"]
)
def test_two_thousand_half_open_connections_do_not_delay_other_clients(
    server: ServerProcess, watch: Watch, first: bytes
) -> None:
    with watch(server), connections(server, 2_000, first):
        assert status(ask(server)) == 200


@pytest.mark.parametrize(
    "piece",
    [b"x" * 65_536, b"a:b\r\n" * 10_000, b"y" * 100 + b":\r\n", b"x-a: b\r\n c\r\n" * 5_000],
    ids=["one header", "tiny headers", "short headers", "folded headers"],
)
def test_a_head_that_never_ends_is_refused(guarded: ServerProcess, watch: Watch, piece: bytes) -> None:
    with watch(guarded), connect(guarded) as connection:
        threading.Thread(target=send, args=(connection, HALF_HEAD + piece * (30_000_000 // len(piece)))).start()
        assert status(answer(connection)) in (400, 431)


def test_a_head_that_arrives_byte_by_byte_times_out(guarded: ServerProcess, watch: Watch) -> None:
    with watch(guarded), connect(guarded) as connection:
        connection.sendall(HALF_HEAD)
        connection.settimeout(0.2)
        received = b""
        for _ in range(60):
            try:
                connection.sendall(b"x")
                received += connection.recv(1000)
            except TimeoutError:
                continue
            except OSError:
                break
            if received:
                break
        assert status(received) == 408


@pytest.mark.parametrize(
    "body",
    [b"1;" + b"x" * 200_000, b"0" * 200_000, b"1\r\na\r\n0\r\n" + b"t: v\r\n" * 40_000],
    ids=["extension", "size", "trailer"],
)
def test_framing_of_a_chunked_body_without_end_is_cut_off(guarded: ServerProcess, watch: Watch, body: bytes) -> None:
    head = b"POST /v1/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n"
    with watch(guarded), connect(guarded) as connection:
        send(connection, head + body)
        assert status(answer(connection)) in (0, 400, 401)


def test_thousands_of_pipelined_requests_are_cut_short(server: ServerProcess, watch: Watch) -> None:
    with watch(server), connect(server) as connection:
        threading.Thread(target=send, args=(connection, REQUEST * 50_000)).start()
        answers = answer(connection)
    assert 1 <= answers.count(b"HTTP/1.1 200") <= 20_000


def test_reset_connections_leave_nothing_behind(server: ServerProcess, watch: Watch) -> None:
    with watch(server):
        for _ in range(500):
            with connect(server) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                send(connection, REQUEST)
    open_files = len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))
    assert open_files < 100


def test_the_oldest_half_open_connection_makes_room(small: ServerProcess) -> None:
    with connections(small, MOST_HALF_OPEN, HALF_HEAD) as old:
        threading.Event().wait(1.2)
        with connections(small, MOST_HALF_OPEN - 2, HALF_HEAD) as new:
            assert status(ask(small)) == 200
            assert dropped(new) == []
            assert dropped(old) == list(range(MOST_HALF_OPEN - 1))


def test_no_connection_is_dropped_in_a_burst(small: ServerProcess) -> None:
    with connections(small, MOST - 2) as burst:
        for connection in burst:
            connection.sendall(REQUEST)
        assert {status(connection.recv(1000)) for connection in burst} == {200}


def test_idle_connections_make_room(small: ServerProcess, tmp_path: Path) -> None:
    with connections(small, MOST, REQUEST) as idle:
        assert {status(connection.recv(1000)) for connection in idle} == {200}
        with connections(small, 5, REQUEST) as new:
            assert {status(connection.recv(1000)) for connection in new} == {200}
        assert dropped(idle) == [0, 1, 2, 3, 4]
    assert "--max-connections" in (tmp_path / "log").read_text()


def test_a_server_whose_connections_are_all_busy_answers_503(small: ServerProcess) -> None:
    body = json.dumps({"prompt": "a", "max_tokens": 30_000, "ignore_eos": True, "stream": True}).encode()
    with connections(small, MOST, half_body(len(body), body)) as busy:
        assert {status(connection.recv(1000)) for connection in busy} == {200}
        refused = ask(small)
        assert status(refused) == 503
        assert b"retry-after: 1" in refused
        assert b"connections_full" in refused
        assert dropped(busy) == []


def test_handshakes_that_never_end_do_not_delay_other_clients(tmp_path: Path) -> None:
    certificate, key = certificate_files(tmp_path)
    limits = ("--max-connections", str(MOST), "--max-half-open", str(MOST_HALF_OPEN), "--read-timeout", "2")
    with (
        server_process("--ssl-certfile", str(certificate), "--ssl-keyfile", str(key), *limits) as server,
        connections(server, 3 * MOST, b"\x16\x03\x01\x02\x00") as opened,
    ):
        with client_context().wrap_socket(connect(server), server_hostname="127.0.0.1") as secure:
            secure.sendall(REQUEST)
            assert status(secure.recv(1000)) == 200
        assert len(dropped(opened)) >= 2 * MOST
        assert answer(opened[-1]) == b""


def test_tls_serves_a_request_sent_right_after_the_handshake(tmp_path: Path) -> None:
    certificate, key = certificate_files(tmp_path)
    with server_process("--ssl-certfile", str(certificate), "--ssl-keyfile", str(key)) as server:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = client_context()
            context.minimum_version = context.maximum_version = version
            for _ in range(20):
                incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                end = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
                with connect(server) as connection:
                    while True:
                        try:
                            end.do_handshake()
                            break
                        except ssl.SSLWantReadError:
                            connection.sendall(outgoing.read())
                            incoming.write(connection.recv(1 << 16))
                    end.write(REQUEST)
                    connection.sendall(outgoing.read())  # with the handshake's last flight
                    received = b""
                    while b"\r\n\r\n" not in received:
                        incoming.write(connection.recv(1 << 16))
                        try:
                            received += end.read(1 << 16)
                        except ssl.SSLWantReadError:
                            continue
                    assert status(received) == 200


def test_a_unix_socket_has_the_same_limits(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    opened: list[socket.socket] = []
    with server_process("--uds", str(path), "--max-connections", str(MOST)), contextlib.ExitStack() as closing:
        for _ in range(2 * MOST + 1):
            opened.append(closing.enter_context(socket.socket(socket.AF_UNIX)))
            opened[-1].connect(str(path))
        opened[-1].sendall(REQUEST)
        assert status(opened[-1].recv(1000)) == 200
        assert len(dropped(opened)) >= MOST
