"""Bodies that never end: their memory is limited, and other clients are served meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.hostile.conftest import Watch
from tests.support.hostile_check import ADDRESS_SPACE
from tests.support.raw_clients import answer, ask, connections, half_body, status
from tests.support.serving import ServerProcess, server_process

SIZE = 31_000_000


@pytest.fixture(scope="module")
def few_descriptors() -> Iterator[ServerProcess]:
    with server_process("--log-interval", "0", ulimit="-n 256") as found:
        yield found


@pytest.mark.parametrize("path", ["/v1/completions", "/tokenize"])
def test_four_hundred_half_sent_bodies_do_not_lock_others_out(
    few_descriptors: ServerProcess, watch: Watch, path: str
) -> None:
    with watch(few_descriptors), connections(few_descriptors, 400, half_body(1_000, b'{"prompt": "', path)):
        for _ in range(5):
            assert status(ask(few_descriptors)) == 200


def test_unfinished_large_bodies_take_bounded_memory(server: ServerProcess, watch: Watch) -> None:
    start = b'{"prompt": "' + b"a" * (SIZE - 100)
    with watch(server), connections(server, 20, half_body(SIZE, start)) as opened:
        refused = opened[-1]
        response = answer(refused)
        assert status(response) == 503
        assert b"bodies_full" in response
        assert b"retry-after: 1" in response
        small = b'{"prompt": "a", "max_tokens": 1}'
        assert status(ask(server, half_body(len(small), small))) == 200


def test_bodies_under_way_count_as_requests() -> None:
    with (
        server_process("--max-requests", "3", "--log-interval", "0") as server,
        connections(server, 3, half_body(1_000, b"{")),
    ):
        small = b'{"prompt": "a", "max_tokens": 1}'
        for path in ("/v1/completions", "/tokenize"):
            response = ask(server, half_body(len(small), small, path))
            while status(response) == 200:  # those half-sent have not all arrived yet
                response = ask(server, half_body(len(small), small, path))
            assert status(response) == 429
        assert status(ask(server)) == 200


@pytest.mark.slow
def test_answers_that_nobody_reads_do_not_keep_others_out() -> None:
    unread = b'{"prompt": "a", "n": 64, "max_tokens": 5000, "ignore_eos": true, "stream": true}'
    small = b'{"prompt": "a", "max_tokens": 1}'
    with (
        server_process("--profile", "instant", "--max-requests", "2", "--log-interval", "0") as server,
        connections(server, 2, half_body(len(unread), unread)),
    ):
        ended_at = time.monotonic() + 60
        while (found := status(ask(server, half_body(len(small), small)))) == 429 and time.monotonic() < ended_at:
            time.sleep(0.2)
        assert found == 200


@pytest.mark.slow
def test_answers_that_nobody_reads_take_bounded_memory(watch: Watch) -> None:
    body = b'{"prompt": "a", "n": 8, "max_tokens": 30000, "ignore_eos": true, "stream": true}'
    with (
        server_process("--profile", "instant", "--log-interval", "0", ulimit=ADDRESS_SPACE) as server,
        watch(server),
        connections(server, 20, half_body(len(body), body)),
    ):
        ended_at = time.monotonic() + 8
        while time.monotonic() < ended_at:
            assert status(ask(server)) == 200
