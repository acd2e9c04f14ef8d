"""Pages of other origins, names that resolve here by DNS rebinding, empty keys: the server refuses them all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.raw_clients import ask, connect, send, status
from tests.support.serving import ROOT, ServerProcess, server_process

ROUTES = ("/health", "/ready", "/ping", "/load", "/metrics", "/version", "/v1/models", "/openapi.json", "/nowhere")
POSTS = (
    ("/v1/completions", b'{"prompt": "a", "max_tokens": 1}'),
    ("/v1/chat/completions", b'{"messages": [{"role": "user", "content": "a"}], "max_tokens": 1}'),
    ("/tokenize", b'{"prompt": "a"}'),
    ("/detokenize", b'{"tokens": [300]}'),
    ("/v1/load_lora_adapter", b'{"lora_name": "x", "lora_path": "/x", "load_inplace": true}'),
    ("/v1/unload_lora_adapter", b'{"lora_name": "x"}'),
)
JSON = "content-type: application/json"


@pytest.fixture(scope="module")
def local() -> Iterator[ServerProcess]:
    options = ("--runtime-lora", "--allowed-hosts", "llm.example", "--allowed-origins", "https://page.example")
    with server_process(*options, "--log-interval", "0") as found:
        yield found


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join((f"GET {path} HTTP/1.1", *headers, "", "")).encode()


def post(path: str, body: bytes, *headers: str, host: str | None = "127.0.0.1") -> bytes:
    hosts = [] if host is None else [f"host: {host}"]
    head = (f"POST {path} HTTP/1.1", *hosts, *headers, f"content-length: {len(body)}", "", "")
    return "\r\n".join(head).encode() + body


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.0.0.1:8000", "127.0.0.2", "127.255.255.254:1", "localhost", "LocalHost:80", "localhost.",
        "localhost.:8000", "a.localhost", "[::1]", "[::1]:8000", "[::ffff:127.0.0.1]", "llm.example",
        "LLM.example.:443"
    ],
)  # fmt: skip
def test_loopback_names_and_allowed_ones_are_names_of_the_server(local: ServerProcess, host: str) -> None:
    assert status(ask(local, get("/health", f"host: {host}"))) == 200


@pytest.mark.parametrize(
    "host",
    [
        "attacker.example", "attacker.example:8000", "localhost.attacker.example", "127.0.0.1.attacker.example",
        "attacker.example#127.0.0.1", "127.0.0.1@attacker.example", "localhost:80@attacker.example", "", " ", ":8000",
        "0.0.0.0", "[::]", "10.0.0.1", "169.254.169.254", "[fe80::1]", "host.docker.internal", "llm.example.attacker",
        "localhost,attacker.example", "local\u212aost", "\xff", "%6cocalhost", "127.1", "2130706433", "0x7f.0.0.1",
    ],
)  # fmt: skip
def test_any_other_name_is_refused_on_every_route(local: ServerProcess, host: str) -> None:
    for path in ROUTES:
        response = ask(local, get(path, f"host: {host}"))
        assert status(response) == 403
        assert b"host_not_allowed" in response
        assert b"--allowed-hosts" in response
    for path, body in POSTS:
        assert status(ask(local, post(path, body, JSON, host=host))) == 403
    assert status(ask(local, get("/health", f"host: {host}").replace(b"GET", b"OPTIONS"))) == 403


def test_two_host_headers_are_refused_and_none_is_accepted(local: ServerProcess) -> None:
    assert status(ask(local, get("/health", "host: localhost", "host: attacker.example"))) == 400
    assert status(ask(local, get("/health", "host: attacker.example", "host: localhost"))) == 400
    with connect(local) as connection:
        connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        assert status(connection.recv(1_000)) == 200


def test_beyond_loopback_any_name_is_accepted_unless_names_are_given() -> None:
    with server_process("--host", "0.0.0.0", "--log-interval", "0") as server:
        assert status(ask(server, get("/health", "host: any.example"))) == 200
    with server_process("--host", "0.0.0.0", "--allowed-hosts", "one.example") as server:
        assert status(ask(server, get("/health", "host: any.example"))) == 403
        assert status(ask(server, get("/health", "host: one.example"))) == 200


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("content-type: text/plain",),
        ("content-type: text/plain;charset=UTF-8",),
        ("content-type: application/x-www-form-urlencoded",),
        ("content-type: multipart/form-data; boundary=a",),
        ("content-type:",),
        ("content-type: text/plain; a=application/json",),
        ("content-type: text/plain; application/json",),
        ("content-type: text/plain, application/json",),
        ("content-type: application/json, text/plain",),
        ("content-type: text/plain, a/b+json",),
        ("content-type: +json",),
        ("content-type: text/plain", JSON),
        (JSON, "content-type: text/plain"),
    ],
)
def test_a_type_that_is_not_json_is_refused(local: ServerProcess, headers: tuple[str, ...]) -> None:
    for path, body in POSTS:
        response = ask(local, post(path, body, *headers))
        assert status(response) == 400
        assert b"application/json" in response


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "application/ld+json"])
def test_every_json_media_type_is_accepted(local: ServerProcess, kind: str) -> None:
    assert status(ask(local, post(*POSTS[0], f"content-type: {kind}"))) == 200


@pytest.mark.parametrize(
    "headers",
    [
        ("origin: https://other.example",),
        ("origin: null",),
        ("origin:",),
        ("origin: http://localhost:3000",),
        ("origin: http://127.0.0.1:3000",),
        ("origin: file://",),
        ("origin: tauri://localhost",),
        ("origin: vscode-webview://127.0.0.1",),
        ("origin: chrome-extension://127.0.0.1",),
        ("origin: https://page.example.attacker",),
        ("origin: https://page.example:444",),
        ("origin: https://page.example", "origin: https://other.example"),
        ("sec-fetch-site: cross-site",),
        ("sec-fetch-site: same-site",),
    ],
)
def test_changing_requests_from_pages_of_other_origins_are_refused(
    local: ServerProcess, headers: tuple[str, ...]
) -> None:
    for path, body in POSTS:
        response = ask(local, post(path, body, JSON, *headers))
        assert status(response) == 403
        assert b"origin_not_allowed" in response
        assert status(ask(local, post(path, body, *headers))) == 403
    assert status(ask(local, get("/v1/models", "host: localhost", *headers))) == 200


@pytest.mark.parametrize(
    "headers",
    [
        ("origin: https://page.example", "sec-fetch-site: cross-site"),
        ("origin: http://127.0.0.1",),
        ("sec-fetch-site: same-origin",),
        ("sec-fetch-site: none",),
        (),
    ],
)
def test_requests_from_allowed_pages_own_pages_and_programs_are_served(
    local: ServerProcess, headers: tuple[str, ...]
) -> None:
    assert status(ask(local, post(*POSTS[0], JSON, *headers))) == 200


def test_a_refusal_can_be_read_by_a_page_that_is_allowed(local: ServerProcess) -> None:
    response = ask(local, post("/v1/completions", b"{}", "content-type: text/plain", "origin: https://page.example"))
    assert status(response) == 400
    assert b"access-control-allow-origin: https://page.example" in response


def test_adapters_are_loaded_only_with_runtime_lora(server: ServerProcess) -> None:
    for path, body in POSTS[-2:]:
        response = ask(server, post(path, body, JSON))
        assert status(response) == 403
        assert b"--runtime-lora" in response


def test_no_route_redirects_to_the_host_in_the_request(server: ServerProcess) -> None:
    for path in (*ROUTES, "/tokenize", "/v1/completions"):
        for asked in (f"{path}/", f"/{path}", f"{path}//", f"/%2fattacker.example{path}"):
            response = ask(server, get(asked, "host: localhost"))
            assert status(response) in (404, 405)
            assert b"location:" not in response.lower()


def test_under_a_prefix_nothing_redirects_either() -> None:
    with server_process("--root-path", "/llm", "--allowed-hosts", "*", "--log-interval", "0") as server:
        for path in ("/llm/version/", "/version/", "/llm", "/llm/", "//llm/version"):
            response = ask(server, get(path, "host: attacker.example"))
            assert status(response) == 404
            assert b"attacker.example" not in response


@pytest.mark.parametrize("authorization", ["Bearer", "Bearer ", "bearer  ", "", "Bearer key2", "Basic key", "key"])
def test_a_wrong_or_empty_authorization_is_a_401(authorization: str) -> None:
    with server_process("--api-key", "key", "--log-interval", "0") as server:
        for path, body in POSTS:
            assert status(ask(server, post(path, body, JSON, f"authorization: {authorization}"))) == 401


@pytest.mark.parametrize("given", ["option", "space", "variable", "blank variable", "file", "blank file", "config"])
def test_an_empty_key_is_refused_at_the_start(given: str, tmp_path: Path) -> None:
    args, env = [], {}
    match given:
        case "option":
            args = ["--api-key", ""]
        case "space":
            args = ["--api-key", " \t"]
        case "variable" | "blank variable":
            env = {"STREAMGAUGE_API_KEY": "" if given == "variable" else " \n"}
        case "file" | "blank file":
            (tmp_path / "keys").write_text("" if given == "file" else "\n \n")
            args = ["--api-key-file", str(tmp_path / "keys")]
        case _:
            (tmp_path / "config.yaml").write_text('api-key: [""]\n')
            args = ["--config", str(tmp_path / "config.yaml")]
    ended = subprocess.run(
        [sys.executable, "-m", "mock_server", "--port", "0", *args],
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "empty" in ended.stderr or "contains no key" in ended.stderr


def test_text_from_clients_is_escaped_in_the_log(tmp_path: Path) -> None:
    key, hostile = "sk-very-secret", "\x1b[2Jforged\x9b"
    with (
        (tmp_path / "log").open("wb") as log,
        server_process("--api-key", key, "--verbose", "--log-interval", "0", log=log) as server,
    ):
        for path, body in POSTS:
            sent = body.replace(b'"a"', b'"\\u001b[2Jforged\\u009b\\n2026-01-01 INFO forged"')
            for secret in (key, f"{key}{hostile}"):
                request = post(path, sent, JSON, f"authorization: Bearer {secret}", f"x-request-id: {hostile}")
                assert key.encode() not in ask(server, request)
        with connect(server) as connection:
            send(connection, b"\x1b[2J\x00\xff forged\r\n\r\n")
            assert status(connection.recv(1_000)) == 400
        send_head = get(f"/{hostile}", "host: localhost")
        assert status(ask(server, send_head)) in (400, 404)
        assert key.encode() not in ask(server, get("/metrics", "host: localhost"))
    text = (tmp_path / "log").read_text()
    assert text
    assert key not in text
    assert all(line.isprintable() for line in text.splitlines())
    assert not any(line.startswith("2026-01-01") for line in text.splitlines())
