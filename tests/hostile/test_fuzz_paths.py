"""Odd paths, queries, methods and headers: every answer is well-formed, on known and unknown routes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fuzz_client import exchange, head
from tests.support.fuzzed_server import BASE, DEMO, FuzzedServer, fuzzed_server, fuzzing, servers
from tests.support.hostile_strategies import GENERATING, JSON_TYPE, LOAD, READ, UNLOAD, Call, valid_bodies

Report = Callable[[str, object], None]

PATHS = (
    *sorted({*GENERATING, *READ, LOAD, UNLOAD, "/tokenize", "/detokenize"}),
    "/",
    "/v1",
    "/docs",
    "/favicon.ico",
    "*",
)
METHODS = (
    "GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND", "PRI", "QUERY",
    "get", "Post",
    "M-SEARCH", "PURGE", "SOURCE", "G", "G" * 300, "GÉT", "",
)  # fmt: skip
SUFFIXES = (
    "", "/", "//", "/.", "/..", "/%2e%2e", "/%2e%2e/health", "%00", "%0d%0aX-Injected:%201", "?", "?a=%00", "?a=%ff",
    "?" + "a=1&" * 2_000,
    "#x", "%", "%zz", "%c0%ae", "%E2%80%AE", ";x=1", "\\", "/é", "/\u202e", "/sim-chat", "/%F0%9F%98%80",
    "/" + "a" * 20_000, "/..%2f",
    "/\x01", "/\x7f", "\t", "/a b", "/{model_id:path}", "/%u0041", "/" + "%41" * 5_000, "/" * 3_000,
)  # fmt: skip
PREFIXES = (
    "",
    "",
    "",
    "/",
    "//",
    "/.",
    "/v1/..",
    "/%2e",
    "/llm",
    "/llm/llm",
    "http://127.0.0.1",
    "http://other.example",
    "https://x:y@z:0",
    "127.0.0.1:80",
    "*",
)
NAMES = (
    b"authorization", b"content-type", b"content-encoding", b"x-request-id", b"accept", b"accept-encoding",
    b"origin", b"cookie",
    b"expect", b"te", b"trailer", b"upgrade", b"range", b"if-none-match", b"x-forwarded-for", b"x-forwarded-proto",
    b"forwarded",
    b"access-control-request-method", b"access-control-request-headers", b"connection", b"x-" + b"y" * 5_000, b"x y",
    b"", b"x\x00",
)  # fmt: skip
VALUES = (
    b"", b" ", b"Bearer", b"Bearer ", b"Bearer \xff", b"Bearer key-of-the-fuz", b"Bearer " + b"k" * 20_000,
    b"Basic Og==", b"bearer x y",
    b"text/plain", b"application/json; charset=utf-16", b"application/json;" + b"a=b;" * 2_000,
    b"application/x-www-form-urlencoded",
    b"gzip", b"gzip, identity", b"identity", b"*", b"q=1e999", b"bytes=0-", b"100-continue", b"999-x", b"websocket",
    b"h2c", b"keep-alive, close",
    b"\x01", b"\x00", b"a\rb", b"a\tb", b"\x1b[2J", b"\xe2\x80\xae", "é".encode(), b"x" * 129, b"../../x", b"%0d%0a",
    b"null", b"https://page.example",
    b"https://other.example", b"for=\"[::1]\"", b"POST", b"${jndi:ldap://x}", b"{{7*7}}", b"," * 5_000,
)  # fmt: skip


@pytest.fixture(scope="module", params=servers(DEMO, BASE, fast=BASE))
def fuzzed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FuzzedServer]:
    with fuzzed_server(request.param, tmp_path_factory.mktemp("fuzz")) as found:
        yield found


@st.composite
def odd_calls(draw: st.DrawFn) -> Call:
    path = draw(st.sampled_from(PATHS))
    target = draw(st.sampled_from(PREFIXES)) + path + draw(st.sampled_from(SUFFIXES) | st.text(max_size=5))
    method = draw(st.sampled_from(METHODS[:4]) | st.sampled_from(METHODS))
    body = b""
    if method != "GET" and draw(st.booleans()):
        body = draw(st.sampled_from(valid_bodies(path) if path in GENERATING else [b"{}"]))
    headers = draw(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=3))
    return Call(method, target, body, tuple(draw(st.permutations([JSON_TYPE, *headers]))))


def run(fuzzed: FuzzedServer, report: Report, examples: int) -> None:
    @fuzzing(examples)
    @given(odd_calls(), st.booleans())
    def fuzz(call: Call, has_key: bool) -> None:
        sent = head(call, fuzzed.key if has_key else "") + call.body
        answers = exchange(fuzzed.process, sent, quiet_s=2, methods=(call.method,))
        assert answers, "no answer"
        assert all(b"x-injected" not in answer.headers for answer in answers)

    fuzzed.stays_sound(fuzz, report)


def test_odd_targets_methods_and_headers(fuzzed: FuzzedServer, record_property: Report) -> None:
    run(fuzzed, record_property, 100)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_many_odd_targets_methods_and_headers(fuzzed: FuzzedServer, record_property: Report) -> None:
    run(fuzzed, record_property, 3_000)
