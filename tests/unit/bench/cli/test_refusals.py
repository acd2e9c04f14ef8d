"""Servers that refuse: their words, their address and what to try reach the person, before a load and after it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.cli.main import main
from tests.support.gateway import CHAT, COMPLETIONS, NOT_FOUND, Route, answer, gateway, reply, reply_json
from tests.support.wire import WireServer

MODELS = "GET /v1/models"
PAGE = reply(b"<html><title>Sign in</title></html>", headers="Content-Type: text/html")
QUOTA = reply_json({"error": {"message": "quota exceeded"}})
REDIRECT = b"HTTP/1.1 308 Permanent Redirect\r\nLocation: https://other.test/v1/models\r\nContent-Length: 0\r\n\r\n"
UNKNOWN_KEY = reply_json({"error": {"message": "unknown key"}}, "401 Unauthorized")
NO_TEMPLATE = reply_json({"message": "the model has no chat template"}, "400 Bad Request")
BARE_ERROR = reply(b'{"error": {"message": "quota exceeded"}}\n', headers="Content-Type: text/event-stream")
ANSWER = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}
WHOLE = reply_json(ANSWER)
FAILED_ANSWER = reply_json(ANSWER | {"error": {"message": "out of memory"}})
MOVED_ANSWER = WHOLE.replace(b"200 OK", b"302 Found\r\nLocation: /elsewhere")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.mark.parametrize(
    ("routes", "arguments", "code", "words"),
    [
        # no list of models
        ({MODELS: QUOTA}, (), 2, ["/v1/models has no list of models", "quota exceeded", "--model"]),
        ({MODELS: REDIRECT}, (), 2, ["HTTP 308", "https://other.test/v1/models; --base-url https://other.test/v1"]),
        (
            {MODELS: NOT_FOUND},
            (),
            2,
            ["/v1/models has no list", "HTTP 404: Not Found", "name the model with --model, or check the address"],
        ),
        ({MODELS: PAGE}, (), 2, ["HTTP 200, but the body (text/html) is not a list of models: a web page, 'Sign in'"]),
        ({MODELS: reply(b"")}, (), 2, ["HTTP 200 without a body"]),
        (
            {MODELS: UNKNOWN_KEY},
            (),
            2,
            ["/v1/models requires an API key, and none was given", "unknown key", "--header"],
        ),
        ({MODELS: UNKNOWN_KEY}, ("--api-key", "k"), 2, ["does not accept the API key", "unknown key"]),
        ({MODELS: reply_json({"message": "loading"}, "503 Busy")}, (), 1, ["HTTP 503: loading", "try again later"]),
        # the first request
        ({CHAT: QUOTA}, (), 1, ["/v1/chat/completions failed", "HTTP 200, but the body is an error: quota exceeded"]),
        ({CHAT: BARE_ERROR}, (), 1, ["error in the stream, sent without `data:`: quota exceeded"]),
        ({CHAT: QUOTA}, ("--no-stream",), 1, ["HTTP 200, but the body is an error: quota exceeded"]),
        ({CHAT: REDIRECT}, (), 1, ["HTTP 308: the server redirects to https://other.test/v1/models"]),
        ({CHAT: REDIRECT}, ("--no-stream",), 1, ["HTTP 308: the server redirects to https://other.test/v1/models"]),
        ({CHAT: MOVED_ANSWER}, ("--no-stream",), 1, ["HTTP 302: the server redirects to /elsewhere"]),
        ({CHAT: FAILED_ANSWER}, ("--no-stream",), 1, ["HTTP 200, but the body is an error: out of memory"]),
        ({CHAT: PAGE}, (), 1, ["(text/html) is not an answer: a web page, 'Sign in'"]),
        ({CHAT: reply(b"")}, ("--no-stream",), 1, ["HTTP 200 without a body"]),
        ({CHAT: WHOLE}, (), 1, ["with a whole answer instead of a stream; use --no-stream to measure those"]),
        ({CHAT: UNKNOWN_KEY}, (), 2, ["/v1/chat/completions requires an API key", "unknown key"]),
        ({}, (), 2, ["HTTP 404: Not Found", "/v1/completions does not exist either: check the path in --base-url"]),
        ({COMPLETIONS: answer}, (), 2, ["HTTP 404", "/v1/completions exists: try --endpoint completions"]),
        ({CHAT: answer}, ("--endpoint", "completions"), 2, ["/v1/chat/completions exists: try --endpoint chat"]),
        (
            {CHAT: reply(b"", "405 Method Not Allowed"), COMPLETIONS: WHOLE},
            (),
            2,
            ["HTTP 405", "/v1/completions exists: try --endpoint completions"],
        ),
        ({CHAT: NO_TEMPLATE, COMPLETIONS: answer}, (), 2, ["no chat template", "try --endpoint completions"]),
        ({}, ("--endpoint", "/v9/completions"), 2, ["/v9/completions failed", "check the path /v1/v9/completions"]),
        (
            {CHAT: answer},
            ("--endpoint", "/v9/completions"),
            2,
            ["/v1/chat/completions exists: try --base-url http://"],
        ),
        ({CHAT: reply_json({"error": "model m is gone"}, "404 No")}, (), 2, ["model m is gone; check --model"]),
        ({CHAT: reply(b"<html>Bad</html>", "502 Bad")}, (), 1, ["HTTP 502: a web page, 'Bad'"]),
    ],
)
def test_before_the_load(
    routes: dict[str, Route],
    arguments: tuple[str, ...],
    code: int,
    words: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with WireServer(gateway(routes)) as server:
        assert run("--base-url", server.url, *arguments) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    for part in words:
        assert part in said.err


def test_an_address_without_tls_is_suggested_if_https_was_requested(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with WireServer(gateway({})) as server:  # it waits for the end of a request line that never comes
        tls = server.url.replace("http:", "https:")
        for arguments in ((), ("--model", "m")):
            run("--base-url", tls, "--connect-timeout", "100ms", *arguments)
            assert f"does it speak plain http? Try --base-url {server.url}\n" in capsys.readouterr().err
    with WireServer(lambda peer: peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        run("--base-url", server.url.replace("http:", "https:"))
        assert f"does it speak plain http? Try --base-url {server.url}\n" in capsys.readouterr().err


def test_after_the_load_the_first_example_of_each_class_says_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = iter([answer] * 3 + [lambda _: QUOTA, lambda _: UNKNOWN_KEY] * 10)
    with WireServer(gateway({CHAT: lambda request: next(later)(request)})) as server:
        file = tmp_path / "result.json"
        kept = ("--result-dir", str(tmp_path), "--json", str(file))
        load = ("--concurrency", "1", "--num-requests", "5", "--output-len", "2")
        assert run("--base-url", server.url, *load, *kept) == 1
    text = " ".join(capsys.readouterr().out.split())
    url = f"(POST {server.url}/chat/completions)"
    assert f"HTTP 200, but the body is an error: quota exceeded {url} try: look at the server's log" in text
    assert f"HTTP 401: unknown key {url} try: give the key with --api-key" in text
    failures = {found["outcome"]: found for found in json.loads(file.read_bytes())["counts"]["failures"]}
    assert failures["http_4xx"]["remedy"].startswith("give the key with --api-key")


@pytest.mark.parametrize("path", ["/v1/v1", "/api", "/V1"])
def test_a_path_without_an_api_is_answered_with_the_usual_path(capsys: pytest.CaptureFixture[str], path: str) -> None:
    with WireServer(gateway({})) as server:
        root = server.url.removesuffix("/v1")
        assert run("--base-url", root + path) == 2
    assert f"(most servers have their API at {root}/v1)" in capsys.readouterr().err
