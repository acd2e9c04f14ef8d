"""A server that gives the bench more to do than it sends: no socket and no text keeps it from what else there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.bench_process import Ran, run_bench
from tests.support.endless import after
from tests.support.gateway import events, reply, with_metrics
from tests.support.wire import HEADERS, Peer, WireServer

MOST_MB = 150
GOOD = 10  # two first requests and the warm-up
KEY = "sk-hostile/Key+0123456789"
_READ = 64 * 1024
_COUNTER = b"vllm:request_success_total"


def bench(folder: Path, play: Callable[[Peer], None], *options: str) -> Ran:
    with WireServer(play) as server:
        ran = run_bench(folder, "--base-url", server.url, *options)
    assert ran.megabytes < MOST_MB
    assert "Traceback" not in ran.text
    return ran


def _chunk_of(size: int) -> bytes:
    """A token as an HTTP chunk of so many bytes in all."""
    begin, end = b'data: {"choices":[{"index":0,"delta":{"content":"', b'"}}]}\n\n'
    length = size - len(b"3a\r\n\r\n")
    return b"%x\r\n%b%b%b\r\n" % (length, begin, b"a" * (length - len(begin + end)), end)


def test_reads_that_are_always_full_leave_time_for_the_limits(tmp_path: Path) -> None:
    """Each read ends where a chunk does, so that all chunks are taken by their look, as fast as the server can send."""
    piece = _chunk_of(64)
    assert len(piece) == 64

    def send(peer: Peer) -> None:
        room = -len(HEADERS + b"X: \r\n") % 64
        peer.send(HEADERS[:-2] + b"X: " + b"a" * room + b"\r\n\r\n")
        block = piece * (64 * _READ // len(piece))
        while True:
            peer.send(block)

    ran = bench(tmp_path, after(GOOD, send), "--concurrency", "8", "--duration", "1", "--drain-timeout", "1")
    assert ran.code == 1
    assert "the answer did not end: " in " ".join(ran.text.split())


@pytest.mark.parametrize(
    "text",
    [
        _COUNTER + b"{" + b"w" * 2_000_000 + b"} 1\n",
        _COUNTER + b'{a="' + rb"\"" * 1_000_000 + b'"} 1\n',
        _COUNTER + b" 9007199254740992\n",
        (_COUNTER + b" 9007199254740992\n") * 3000,
    ],
    ids=["a label without a value", "a label of quotes", "the largest", "a sum that no JSON holds"],
)
def test_counters_are_read_in_time_that_grows_with_their_size(text: bytes, tmp_path: Path) -> None:
    ran = bench(tmp_path, with_metrics(reply(text)), "--concurrency", "2", "--num-requests", "4")
    assert ran.code == 0


LISTS = b"[" + b"[]," * 300_000 + b"[]]"  # a megabyte of JSON, and 25 MB of objects


@pytest.mark.parametrize("streamed", [True, False], ids=["errors", "answers"])
def test_what_streams_have_said_is_not_held_as_objects(streamed: bool, tmp_path: Path) -> None:
    """Each of them says it at once, and the streams stay open behind an error."""

    def send(peer: Peer) -> None:
        if not streamed:
            peer.send(reply(b'{"choices":[{"message":{"content":%b},"finish_reason":"stop"}]}' % LISTS))
            return
        peer.send(HEADERS)
        peer.chunk(b'data: {"error":%b}\n\n' % LISTS)
        peer.wait_closed()

    ran = bench(
        tmp_path,
        after(26, send),
        *("--concurrency", "24", "--duration", "2", "--drain-timeout", "1"),
        *(() if streamed else ("--no-stream",)),
    )
    assert ran.code in (0, 1)


@pytest.mark.slow
def test_a_megabyte_that_looks_like_the_key_costs_no_second(tmp_path: Path) -> None:
    """Each would take seconds to look through, and nothing else is read meanwhile."""
    reason = b"sk-hostile/Key+0" * 60_000
    last = events(b'{"choices":[{"delta":{"content":"a"},"finish_reason":"%b"}]}' % reason)
    ran = bench(
        tmp_path,
        after(GOOD, lambda peer: peer.send(last)),
        *("--concurrency", "8", "--num-requests", "80", "--api-key", KEY),
    )
    assert ran.code == 0
    (records,) = (tmp_path / "runs").glob("*/requests.jsonl")
    kept = records.read_text()
    assert "sk-hostile" not in kept  # nor what is left of it where the text was cut
    assert '"finish_reason":"<hidden>' in kept
