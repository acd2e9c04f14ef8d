"""Servers that do not do as they are asked, measured with `python -m bench` as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.records.result import Result
from tests.support.serving import ROOT
from tests.support.wire import HEADERS, Peer, WireServer

PLAIN = {key: value for key, value in os.environ.items() if not key.startswith("OPENAI_")}


def bench(tmp_path: Path, url: str, *arguments: str) -> tuple[subprocess.CompletedProcess[str], Result]:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bench", "--base-url", url, "--concurrency", "4", "--num-requests", "60"),
            *(*arguments, "--result-dir", str(tmp_path / "runs"), "--json", str(tmp_path / "result.json")),
        ],
        cwd=ROOT,
        env=PLAIN,
        capture_output=True,
        text=True,
        timeout=50,
    )
    return done, msgspec.json.decode((tmp_path / "result.json").read_bytes(), type=Result)


def event(content: str, finish: str | None = None) -> bytes:
    chunk = {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}]}
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"


def usage(tokens: int) -> bytes:
    counts = {"prompt_tokens": 3, "completion_tokens": tokens}
    return b"data: " + msgspec.json.encode({"choices": [], "usage": counts}) + b"\n\ndata: [DONE]\n\n"


def serving(answer: Callable[[Peer, dict[str, object]], bool]) -> Callable[[Peer], None]:
    """A server with one model; `answer` returns whether it goes on with the connection."""

    def play(peer: Peer) -> None:
        while request := peer.read_request():
            head, _, body = request.partition(b"\r\n\r\n")
            if b"/models" in head:
                peer.answer(b'{"data":[{"id":"m"}]}')
            elif head.startswith(b"GET"):
                peer.answer(b"{}", "404 Not Found")
            elif not answer(peer, msgspec.json.decode(body)):
                return

    return play


def of_its_own_length(peer: Peer, asked: dict[str, object]) -> bool:
    """Twenty tokens, whatever was asked for."""
    peer.send(HEADERS)
    for _ in range(19):
        peer.chunk(event("a "))
    peer.chunk(event("end", "stop"))
    peer.chunk(usage(20))
    peer.end()
    return True


def test_a_server_that_pays_no_heed_to_lengths_is_measured_as_it_answers(tmp_path: Path) -> None:
    with WireServer(serving(of_its_own_length)) as server:
        done, result = bench(tmp_path, server.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert (result.counts.ok, result.counts.failed, result.counts.output_tokens) == (60, 0, 60 * 20)
    assert not result.load.fixed_length
    assert "at most 128 tokens out" in done.stdout
    assert "server · does not keep the length asked for · keeps connections" in done.stdout
    assert "(asked for 16 tokens, it sent 20, finish reason 'stop')" in " ".join(done.stdout.split())


def test_a_length_that_was_asked_for_is_doubted_before_the_load_and_given_up_soon(tmp_path: Path) -> None:
    with WireServer(serving(of_its_own_length)) as server:
        done, result = bench(tmp_path, server.url, "--output-len", "64")
    assert done.returncode == 1
    (warning,) = done.stderr.splitlines()
    assert warning.startswith("warning: the server does not keep the requested length (asked for 16 tokens, it sent 20")
    assert warning.endswith("count as length_mismatch; use --no-ignore-eos to let the model end them")
    assert result.counts.sent < 30
    assert "stopped early: each of the first 20 answers had another length" in done.stdout
    with WireServer(serving(of_its_own_length)) as server:
        done, result = bench(tmp_path, server.url, "--output-len", "64", "--no-ignore-eos")
    assert (done.returncode, done.stderr) == (0, "")
    assert result.counts.ok == 60


def closing(peer: Peer, asked: dict[str, object]) -> bool:
    """As long as asked; then the connection is closed without a word of that."""
    tokens = asked["max_tokens"]
    assert isinstance(tokens, int)
    peer.send(HEADERS)
    for _ in range(tokens - 1):
        peer.chunk(event("a "))
    peer.chunk(event("end", "length"))
    peer.chunk(usage(tokens))
    peer.end()
    return False


def test_a_server_that_closes_after_each_answer_loses_none(tmp_path: Path) -> None:
    with WireServer(serving(closing)) as server:
        done, result = bench(tmp_path, server.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert (result.counts.ok, result.counts.failed) == (60, 0)
    assert result.negotiated.keeps_connections is False
    assert "server · answers as long as asked · closes the connection after each answer" in done.stdout
    assert any("opened a connection, which took" in note for note in result.notes)
