"""A gateway that wants a header of its own: every request has it, and its value stays out of all that is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.gateway import CHAT, answer, gateway, reply_json
from tests.support.serving import ROOT
from tests.support.wire import WireServer

PLAIN = {key: value for key, value in os.environ.items() if not key.startswith("OPENAI_")}


def bench(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments, "--result-dir", str(tmp_path / "runs")],
        cwd=ROOT,
        env=PLAIN | environment,
        capture_output=True,
        text=True,
        timeout=50,
    )


def everything(tmp_path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in (tmp_path / "runs").rglob("*") if file.is_file())


def test_each_request_has_the_header_and_nothing_that_is_kept_has_its_value(tmp_path: Path) -> None:
    seen: list[bytes] = []
    quotes = iter([False] * 4 + [True] * 100)  # the load fails, quoting the key

    def chat(request: bytes) -> bytes:
        if next(quotes):
            return reply_json({"error": {"message": "the key top-secret-1 is used up"}}, "403 Forbidden")
        return answer(request)

    tokens = reply_json({"count": 1, "tokens": [0]})
    routes = {CHAT: chat, "POST /tokenize": tokens, "GET /metrics": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}
    with WireServer(gateway(routes, seen)) as server:
        done = bench(
            tmp_path,
            *("--base-url", server.url, "--concurrency", "2", "--num-requests", "4", "--input-len", "8"),
            *("--header", "X-Api-Key=top-secret-1", "accept: */*", "--format", "markdown"),
        )
    assert done.returncode == 1
    assert {request.partition(b" HTTP")[0] for request in seen} == {
        b"GET /v1/models",
        b"POST /tokenize",
        b"GET /metrics",
        CHAT.encode(),
    }
    assert all(b"\r\nX-Api-Key: top-secret-1\r\n" in request for request in seen)
    chats = [request for request in seen if request.startswith(CHAT.encode())]
    assert all(request.count(b"ccept: ") == 1 and b"accept: */*" in request for request in chats)
    kept = everything(tmp_path)
    assert b"HTTP 403: the key <hidden> is used up" in kept
    assert b'"headers": [\n      "X-Api-Key",\n      "accept"\n    ]' in kept
    assert "the key \\<hidden\\> is used up" in done.stdout
    assert "--header 'X-Api-Key=<hidden>' --header 'accept=<hidden>'" in done.stdout
    assert b"top-secret-1" not in kept + done.stdout.encode() + done.stderr.encode()


def test_a_gateway_that_quotes_the_key_before_the_load_is_not_repeated(tmp_path: Path) -> None:
    refusal = reply_json({"error": {"message": "no such key: top-secret-1"}}, "401 Unauthorized")
    for routes in ({"GET /v1/models": refusal}, {CHAT: refusal}):
        with WireServer(gateway(routes)) as server:
            done = bench(tmp_path, "--base-url", server.url, "--api-key", "top-secret-1")
        assert done.returncode == 2
        assert "no such key: <hidden>" in done.stderr
        assert "top-secret-1" not in done.stderr + done.stdout


def test_a_file_of_options_is_recorded_without_its_secrets(tmp_path: Path) -> None:
    file = tmp_path / "bench.yaml"
    with WireServer(gateway({CHAT: answer})) as server:
        file.write_text(
            f"base-url: {server.url}\nconcurrency: 2\nnum-requests: 4\n"
            "api-key: top-secret-1\nheader: {X-B: top-secret-2}\n"
        )
        done = bench(tmp_path, "--config", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"again    python -m bench --config {file} " in done.stdout
    kept = everything(tmp_path)
    assert b'"api-key": "<hidden>"' in kept
    assert b"top-secret" not in kept + done.stdout.encode()


def test_the_embedded_server_is_sent_the_key_that_was_given_and_no_other(tmp_path: Path) -> None:
    load = ("--server-args", "--api-key top-secret-1", "--concurrency", "2", "--num-requests", "4", "--output-len", "2")
    refused = bench(tmp_path, *load, OPENAI_API_KEY="top-secret-1")
    assert refused.returncode == 1
    assert "requires an API key, and none was given" in refused.stderr
    done = bench(tmp_path, *load, "--api-key", "top-secret-1", OPENAI_API_KEY="other")
    assert (done.returncode, done.stderr) == (0, "")
    assert "top-secret-1" not in done.stdout
    assert b"top-secret-1" not in everything(tmp_path)
