"""A server that sends without end, to the bench: the run ends by itself, in little memory, with a class of failure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.bench_process import Ran, run_bench
from tests.support.endless import BOMBS, ENDLESS, WHOLE, after, bomb, drip, endless
from tests.support.gateway import answer, reply, with_metrics
from tests.support.wire import HEADERS, Peer, WireServer

MOST_MB = 150
LOAD = ("--concurrency", "8", "--duration", "2", "--drain-timeout", "2")
GOOD = 10  # two first requests and the warm-up


def bench(folder: Path, play: Callable[[Peer], None], *options: str) -> Ran:
    with WireServer(play) as server:
        ran = run_bench(folder, "--base-url", server.url, *options)
    assert ran.megabytes < MOST_MB
    assert "Traceback" not in ran.text, ran.text
    return ran


def result_of(folder: Path) -> dict[str, object]:
    (path,) = (folder / "runs").glob("*/result.json")
    found: dict[str, object] = json.loads(path.read_bytes())
    return found


def options_for(name: str) -> tuple[str, ...]:
    return ("--no-stream",) if ENDLESS[name][0].startswith(WHOLE) else ()


@pytest.mark.parametrize("name", ENDLESS)
def test_the_first_request_ends_soon(name: str, tmp_path: Path) -> None:
    ran = bench(tmp_path, endless(name), *LOAD, *options_for(name))
    assert ran.code == 1
    assert "the first request to http://127.0.0.1:" in ran.text
    assert "failed, so nothing was measured: " in ran.text
    assert ran.text.count("\n") == 1


@pytest.mark.parametrize("good", [0, pytest.param(GOOD, marks=pytest.mark.slow)], ids=["first", "load"])
def test_tokens_that_come_one_by_one_are_counted_too(good: int, tmp_path: Path) -> None:
    """Chunks that look like the one before are not parsed, and have to be counted all the same."""

    def send(peer: Peer) -> None:
        peer.send(HEADERS)
        while True:
            peer.chunk(b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n')

    ran = bench(tmp_path, after(good, send), "--concurrency", "2", "--duration", "1")
    assert ran.code == 1
    assert re.search(
        r"the answer did not end: [\d,]+ token events where at most (16|128) tokens", " ".join(ran.text.split())
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ENDLESS)
def test_a_load_ends_with_its_duration(name: str, tmp_path: Path) -> None:
    ran = bench(tmp_path, endless(name, good=GOOD), *LOAD, *options_for(name))
    assert ran.code == 1
    counts = result_of(tmp_path)["counts"]
    assert isinstance(counts, dict)
    assert (counts["ok"], counts["cancelled"]) == (0, 0)
    (failures,) = counts["failures"]
    assert failures["outcome"] in ("length_mismatch", "protocol", "http_5xx", "timeout_total")


@pytest.mark.slow
def test_what_was_measured_before_is_kept(tmp_path: Path) -> None:
    ran = bench(tmp_path, endless("tokens, each a chunk", good=GOOD + 20), *LOAD)
    assert ran.code == 1
    counts = result_of(tmp_path)["counts"]
    assert isinstance(counts, dict)
    assert counts["ok"] == 20
    assert [failure["outcome"] for failure in counts["failures"]] == ["length_mismatch"]
    assert "the answer did not end: " in ran.text


def test_more_tokens_than_asked_for_are_no_endless_answer(tmp_path: Path) -> None:
    def long(request: bytes) -> bytes:
        return answer(b'"max_tokens":2000')

    ran = bench(tmp_path, after(0, lambda peer: peer.send(long(b""))), "--concurrency", "1", "--num-requests", "3")
    assert ran.code == 0
    assert "asked for 16 tokens, it sent 2000" in " ".join(ran.text.split())


@pytest.mark.parametrize("name", BOMBS)
def test_an_event_that_costs_its_reader_ends_one_answer_alone(name: str, tmp_path: Path) -> None:
    ran = bench(tmp_path, bomb(name), "--concurrency", "2", "--num-requests", "2")
    assert ran.code in (0, 1)


@pytest.mark.slow
@pytest.mark.parametrize("play", [drip, lambda peer: peer.wait_closed()], ids=["a byte at a time", "nothing"])
def test_answers_that_bring_nothing_are_given_up_after_the_load(play: Callable[[Peer], None], tmp_path: Path) -> None:
    ran = bench(tmp_path, after(GOOD, play), "--concurrency", "8", "--duration", "1", "--drain-timeout", "1")
    assert ran.code == 1
    counts = result_of(tmp_path)["counts"]
    assert isinstance(counts, dict)
    (failures,) = counts["failures"]
    assert (failures["outcome"], failures["count"]) == ("timeout_total", 8)
    assert "no answer received anything for 1 s after the load (--drain-timeout)" in " ".join(ran.text.split())


@pytest.mark.parametrize("body", [b"a" * 60_000, b'{"id":"m"},' * 5000], ids=["letters", "models"])
def test_a_list_of_models_without_end(body: bytes, tmp_path: Path) -> None:
    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + b'{"data":[')
        while True:
            peer.send(body)

    ran = bench(tmp_path, play, *LOAD)
    assert ran.code in (1, 2)
    assert "the answer is over 2,097,152 bytes" in ran.text


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 200 OK\r\n\r\n" + b"# a\n" * 1_000_000,
        reply(b"vllm:generation_tokens_total 1e999\n"),
        reply(b"vllm:generation_tokens_total 1e300\n"),
        reply(b"vllm:generation_tokens_total -5\n"),
    ],
    ids=["without end", "infinite", "huge", "negative"],
)
def test_counters_of_no_use_cost_only_their_check(first: bytes, tmp_path: Path) -> None:
    ran = bench(tmp_path, with_metrics(first), "--concurrency", "2", "--num-requests", "4")
    assert ran.code == 0
