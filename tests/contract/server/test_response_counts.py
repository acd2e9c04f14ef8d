"""`http_requests_total` counts each response once, under labels that clients cannot multiply."""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator

import httpx
import pytest

from mock_server.settings import Cors, ServerSettings
from tests.contract.server.wire import CHAT, COMPLETIONS, QUESTION
from tests.support.serving import Serving

_SAMPLE = re.compile(r'^http_requests_total\{handler="([^"]*)",method="([^"]*)",status="([^"]*)"\} (\S+)$', re.M)
PAGE = {"origin": "https://page.example", "access-control-request-method": "POST"}
KEY = {"authorization": "Bearer key"}
Counts = Counter[tuple[str, str, int]]


@pytest.fixture(scope="module")
def http(started: Callable[[ServerSettings], Serving]) -> Iterator[httpx.Client]:
    """A server with everything around it: keys, and pages of another origin."""
    served = started(ServerSettings(api_keys=("key",), cors=Cors(origins=("https://page.example",))))
    with httpx.Client(base_url=served.root, timeout=120) as client:
        yield client


def counts(http: httpx.Client) -> Counts:
    found = _SAMPLE.findall(http.get("/metrics", headers={"connection": "close"}).text)
    return Counter({(method, handler, int(status)): int(float(count)) for handler, method, status, count in found})


def gained(http: httpx.Client, before: Counts) -> Counts:
    """Without the page that tells it."""
    found = counts(http) - before
    found.pop(("GET", "/metrics", 200), None)
    return found


CASES: list[tuple[str, str, dict[str, str], tuple[str, str, int]]] = [
    ("GET", "/nowhere", {}, ("GET", "none", 404)),
    ("POST", "/nowhere/else?a=b", {}, ("POST", "none", 404)),
    ("GET", "/", {}, ("GET", "none", 404)),
    ("GET", "/v1/chat", KEY, ("GET", "none", 404)),
    ("GET", "/v1/models/nobody", KEY, ("GET", "/v1/models/{model_id:path}", 404)),
    ("GET", CHAT, KEY, ("GET", CHAT, 405)),
    ("DELETE", "/health", {}, ("DELETE", "/health", 405)),
    ("PATCH", "/v1/models", KEY, ("PATCH", "/v1/models", 405)),
    ("OPTIONS", "/health", {}, ("OPTIONS", "/health", 405)),
    ("PROPFIND", "/health", {}, ("other", "/health", 405)),
    ("PURGE", "/nowhere", {}, ("other", "none", 404)),
    ("HEAD", "/health", {}, ("HEAD", "/health", 200)),
    ("GET", "/health/", {}, ("GET", "none", 404)),
    ("GET", "/v1/models", {}, ("GET", "/v1/models", 401)),
    ("GET", "/v1/nowhere", {}, ("GET", "none", 401)),
    ("POST", CHAT, {}, ("POST", CHAT, 401)),
    ("POST", CHAT, KEY, ("POST", CHAT, 400)),
    ("POST", "/tokenize", KEY, ("POST", "/tokenize", 400)),
    ("OPTIONS", COMPLETIONS, PAGE, ("OPTIONS", COMPLETIONS, 200)),
    ("OPTIONS", COMPLETIONS, {**PAGE, "origin": "https://other.example"}, ("OPTIONS", COMPLETIONS, 400)),
]


@pytest.mark.parametrize(("method", "path", "headers", "counted"), CASES)
def test_a_refusal_is_counted_once(
    http: httpx.Client, method: str, path: str, headers: dict[str, str], counted: tuple[str, str, int]
) -> None:
    before = counts(http)
    response = http.request(method, path, headers={"content-type": "application/json", **headers})
    assert response.status_code == counted[2]
    assert gained(http, before) == {counted: 1}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("origin", [{}, {"origin": "https://page.example"}])
def test_an_answer_is_counted_once(http: httpx.Client, stream: bool, origin: dict[str, str]) -> None:
    before = counts(http)
    body = {"messages": QUESTION, "max_tokens": 2, "stream": stream}
    assert http.post(CHAT, json=body, headers={**KEY, **origin}).status_code == 200
    assert gained(http, before) == {("POST", CHAT, 200): 1}


@pytest.mark.parametrize(
    "data", [b"nonsense\r\n\r\n", b"FOO / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nbad header\r\n\r\n"]
)
def test_what_is_not_http_is_counted(http: httpx.Client, data: bytes) -> None:
    before = counts(http)
    with socket.create_connection((http.base_url.host, http.base_url.port or 80), timeout=30) as connection:
        connection.sendall(data)
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 400 ")
    assert gained(http, before) == {("unknown", "none", 400): 1}


def test_clients_cannot_add_labels(http: httpx.Client) -> None:
    labels = {(method, handler) for method, handler, _ in counts(http)}
    for number in range(20):
        http.request("MKCOL" if number % 2 else "GET", f"/path/{number}")
    more = {(method, handler) for method, handler, _ in counts(http)} - labels
    assert more <= {("GET", "none"), ("other", "none")}
