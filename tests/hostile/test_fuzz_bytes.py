"""Bodies that barely resemble JSON, and framing that barely resembles HTTP: every answer is well-formed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fuzz_client import exchange, head
from tests.support.fuzzed_server import INSTANT, SCRIPTED, FuzzedServer, fuzzed_server, fuzzing, servers
from tests.support.hostile_strategies import (
    CHAT,
    COMPLETIONS,
    DETOKENIZE,
    JSON_TYPE,
    LOAD,
    TOKENIZE,
    Call,
    valid_bodies,
)

Report = Callable[[str, object], None]

QUIET_S = 0.1
"""Without an answer for so long, the server waits for more."""
PATHS = (CHAT, CHAT, COMPLETIONS, TOKENIZE, DETOKENIZE, LOAD)
SCRAPS = (
    b"\x00", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\xef\xbb\xbf", b"\xfe\xff",
    b"\\ud800", b"\\u0000", b"\\x",
    b'"', b"{", b"}", b"[", b"]", b",", b":", b",,", b"null", b"NaN", b"1e999", b"-", b"9" * 5_000, b"[" * 5_000,
    b"/*x*/", b"// x\n", b"\r\n", b"\x1b[2J",
    b"'", b'{"a":1}', b"\xe2\x80\xa8", b"tru", b"\\", b'\\"', b"\t", b"\x85", b"\x0c",
)  # fmt: skip
TYPES = (
    b"application/json", b"application/json; charset=utf-16", b"application/vnd.api+json", b"text/plain", b"",
    b"multipart/form-data; boundary=x",
    b"application/x-www-form-urlencoded", b"application/json\xff", b"APPLICATION/JSON", b"application/jsonp", b";",
    b"*/*", b"application/json, text/plain",
)  # fmt: skip
ENCODINGS = ("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "utf-7", "cp037")
FRAMES = (
    b"content-length: 5", b"content-length: -1", b"content-length: +5", b"content-length: 0x5",
    b"content-length: " + b"9" * 30, b"content-length: 5, 5",
    b"content-length:", b"content-length: 1\r\ncontent-length: 2", b"transfer-encoding: chunked",
    b"transfer-encoding: gzip, chunked",
    b"transfer-encoding: chunked, identity", b"transfer-encoding:\x0bchunked", b"transfer-encoding : chunked",
    b"Transfer-Encoding: CHUNKED",
    b"transfer-encoding: chunked\r\ncontent-length: 3", b"transfer-encoding: identity",
    b"expect: 100-continue\r\ncontent-length: 5", b" folded: x",
    b"upgrade: h2c\r\nconnection: upgrade", b"content-length: \xd9\xa3", b"content-length: 1_0", b"\x00: x",
    b"x: \x00", b"no colon", b": empty",
)  # fmt: skip
CHUNKS = (
    b"0\r\n\r\n", b"2\r\n{}\r\n0\r\n\r\n", b"2;x=y\r\n{}\r\n0\r\n\r\n",
    b"2;" + b"x" * 30_000 + b"\r\n{}\r\n0\r\n\r\n", b"-2\r\n{}\r\n", b"0x2\r\n{}\r\n0\r\n\r\n",
    b"2\n{}\n0\n\n", b"2\r\n{}0\r\n\r\n", b"f" * 17 + b"\r\n", b"00000000000000002\r\n{}\r\n0\r\n\r\n",
    b"2\r\n{}\r\n0\r\nx: y\r\n\r\n", b"1\r\n{\r\n" * 500,
    b"2\r\n{}\r\n0\r\n" + b"x: y\r\n" * 5_000 + b"\r\n", b"\r\n", b"zz\r\n", b" 2 \r\n{}\r\n0\r\n\r\n",
    b"7fffffffffffffff\r\n", b"0\r\ncontent-length: 5\r\n\r\n",
)  # fmt: skip
LINES = (
    b"GET / HTTP/1.1", b"GET / HTTP/1.0", b"GET / HTTP/0.9", b"GET /", b"GET / HTTP/2.0", b"PRI * HTTP/2.0",
    b"GET / HTTP/1.1 x", b"GET  / HTTP/1.1", b"",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / ICY/1.1", b"\x00" * 100, b"GET http://[::1 HTTP/1.1",
    b"GET / HTTP/1.1\n", b"G\xffT / HTTP/1.1",
)  # fmt: skip


@pytest.fixture(
    scope="module",
    params=servers(INSTANT, SCRIPTED, fast=INSTANT),
)
def fuzzed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FuzzedServer]:
    with fuzzed_server(request.param, tmp_path_factory.mktemp("fuzz")) as found:
        yield found


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """With some bytes cut out, overwritten, doubled or put in."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 20)))
        data = (
            data[:start]
            + draw(st.sampled_from((b"", data[start:end] * 2, *SCRAPS)) | st.binary(max_size=4))
            + data[end:]
        )
    return data


@st.composite
def odd_bodies(draw: st.DrawFn) -> Call:
    path = draw(st.sampled_from(PATHS))
    body = draw(st.sampled_from(valid_bodies(path)))
    match draw(st.sampled_from(["mutated", "mutated", "mutated", "truncated", "encoded", "garbage"])):
        case "mutated":
            body = draw(mutated(body))
        case "truncated":
            body = body[: draw(st.integers(0, len(body)))]
        case "encoded":
            body = body.decode().encode(draw(st.sampled_from(ENCODINGS)))
        case _:
            body = draw(st.binary(max_size=200))
    kind = draw(st.sampled_from((*TYPES[:1] * 5, *TYPES)))
    return Call("POST", path, body, ((b"content-type", kind),))


@st.composite
def odd_frames(draw: st.DrawFn) -> bytes:
    """A request that is framed oddly, or bytes that are none; another one may follow."""
    path = draw(st.sampled_from(PATHS))
    body = draw(st.sampled_from(valid_bodies(path)))
    valid = head(Call("POST", path, body, (JSON_TYPE,)), connection=b"keep-alive") + body
    match draw(st.sampled_from(["mutated", "frame", "frame", "chunks", "line", "garbage"])):
        case "mutated":
            sent = draw(mutated(valid))
        case "frame":
            sent = (
                head(Call("POST", path), connection=b"keep-alive")[:-2]
                + draw(st.sampled_from(FRAMES))
                + b"\r\n\r\n"
                + body
            )
        case "chunks":
            top = head(
                Call("POST", path, headers=(JSON_TYPE, (b"transfer-encoding", b"chunked"))), connection=b"keep-alive"
            )
            sent = top + b"".join(draw(st.lists(st.sampled_from(CHUNKS), max_size=3)))
        case "line":
            sent = (
                draw(st.sampled_from(LINES))
                + draw(st.sampled_from((b"\r\n", b"\n", b"\r")))
                + b"host: 127.0.0.1\r\n\r\n"
            )
        case _:
            sent = draw(st.binary(max_size=200))
    return sent + draw(
        st.sampled_from((b"", b"", valid, b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", b"\r\n\r\n"))
    )


def run_bodies(fuzzed: FuzzedServer, report: Report, examples: int) -> None:
    @fuzzing(examples)
    @given(st.lists(odd_bodies(), min_size=1, max_size=8))
    def fuzz(together: list[Call]) -> None:
        for answer in fuzzed.ask_all(together):
            assert answer.status in (200, 400, 404, 408, 409, 413, 415)

    fuzzed.stays_sound(fuzz, report)


def run_frames(fuzzed: FuzzedServer, report: Report, examples: int) -> None:
    @fuzzing(examples)
    @given(odd_frames())
    def fuzz(sent: bytes) -> None:
        for answer in exchange(fuzzed.process, sent, quiet_s=QUIET_S):
            assert answer.status in (200, 400, 401, 403, 404, 405, 408, 409, 413, 415, 421, 431, 501)

    fuzzed.stays_sound(fuzz, report)


def test_bodies_that_barely_resemble_json(fuzzed: FuzzedServer, record_property: Report) -> None:
    run_bodies(fuzzed, record_property, 20)


def test_frames_that_barely_resemble_http(fuzzed: FuzzedServer, record_property: Report) -> None:
    run_frames(fuzzed, record_property, 12)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_many_bodies_that_barely_resemble_json(fuzzed: FuzzedServer, record_property: Report) -> None:
    run_bodies(fuzzed, record_property, 500)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_many_frames_that_barely_resemble_http(fuzzed: FuzzedServer, record_property: Report) -> None:
    run_frames(fuzzed, record_property, 150)
