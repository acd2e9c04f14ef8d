"""The words of servers that do not answer: errors, pages and texts under a good status."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.answer.server_message import error_of, stray_text, text_of, unfit_answer
from bench.outcome import Outcome
from bench.target import Head

PAGE = b"""<!DOCTYPE html>
<html><head><title> Sign &amp; in </title><style>a { b }</style></head><body>please</body></html>"""


def head(status: int = 200, **headers: str) -> Head:
    return Head(status, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error":{"message":"quota exceeded","code":"quota"}}', "quota exceeded"),
        (b'{"error":{"message":"full","code":503}}', "full (503)"),
        (b'{"error":"full"}', "full"),
        (b'{"object":"error","message":"full"}', "full"),
        (b'{"detail":[{"loc":["body","n"],"msg":"too large"}]}', "body.n: too large"),
        (PAGE, "a web page, 'Sign & in'"),
        (b"<html><body><script>x()</script><p>502 Bad\nGateway</p></body></html>", "a web page, '502 Bad Gateway'"),
        (b"<html><body>502 Bad Gateway<script>x()", "a web page, '502 Bad Gateway'"),
        (b"<html><title><title>Sign in</title>", "a web page, 'Sign in'"),
        (b"<html></html>", "a web page without text"),
        (b"upstream\n connect error", "upstream connect error"),
        (b"", "(no body)"),
        (b"\xff\xfe", "��"),
        (b"[" * 100_000, "[" * 200 + "…"),
    ],
)
def test_a_body_in_one_line(body: bytes, words: str) -> None:
    assert text_of(body) == words


@pytest.mark.parametrize(
    ("given", "body", "outcome", "words"),
    [
        (head(), b'{"error":{"message":"quota exceeded"}}', Outcome.STREAM_ERROR, "body is an error: quota exceeded"),
        (head(), b'{"error":{"message":"no"},"choices":[]}', Outcome.STREAM_ERROR, "body is an error: no"),
        (head(), b"", Outcome.PROTOCOL, "HTTP 200 without a body: the server sent nothing"),
        (head(204), b"", Outcome.PROTOCOL, "HTTP 204 without a body"),
        (head(content_type="text/html"), PAGE, Outcome.PROTOCOL, "(text/html) is not an answer: a web page, 'Sign"),
        (head(), b'{"message":{"content":"a"}}', Outcome.PROTOCOL, "the body is not an answer: {"),
        (head(), b'{"choices":[{}]}', Outcome.PROTOCOL, "a whole answer instead of a stream; use --no-stream"),
        (
            head(301, location="https://h/v1/models"),
            b"",
            Outcome.PROTOCOL,
            "--base-url https://h/v1 measures that address",
        ),
        (
            head(307, location="/v1/chat/completions/"),
            b"",
            Outcome.PROTOCOL,
            "redirects to /v1/chat/completions/; give",
        ),
        (
            head(302, location="https://sso/?next=%2Fv1"),
            PAGE,
            Outcome.PROTOCOL,
            "redirects to https://sso/?next=%2Fv1;",
        ),
        (head(302), b"", Outcome.PROTOCOL, "redirects to an address that it does not name"),
    ],
)
def test_the_message_names_what_arrived_instead_of_an_answer(
    given: Head, body: bytes, outcome: Outcome, words: str
) -> None:
    found, said = unfit_answer(given, body, streamed=True)
    assert found is outcome
    assert words in said


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"choices":[{}],"message":"fine"}', None),
        (b'{"choices":[{}],"error":null}', None),
        (b'{"choices":[{}],"error":{"message":"cut"}}', "cut"),
        (b'{"message":"gone"}', "gone"),
        (b'{"message":{"content":"a"}}', None),
        (b"[1]", None),
        (b"no", None),
    ],
)
def test_only_error_objects_are_errors(body: bytes, error: str | None) -> None:
    assert error_of(body) == error


EVENT = b'data: {"choices":[]}\n\n'


@pytest.mark.parametrize(
    ("end", "is_whole", "error", "stray"),
    [
        (b'{"error":{"message":"quota"}}', True, "quota", "quota"),
        (EVENT + b'{"error":{"message":"quota"}}\n\ndata: [DONE]\n\n', True, "quota", "quota"),
        (EVENT + b'{\n  "error": {\n    "message": "quota"\n  }\n}\n', True, "quota", "quota"),
        (EVENT + b"Internal Server Error", True, None, "Internal Server Error"),
        (b'es":[]}\n\n' + EVENT, False, None, ""),
        (b'es":[]}\n\n{"error":"late"}', False, "late", "late"),
        (b": ping\n\nevent: x\nid: 1\nretry: 5\n" + EVENT, True, None, ""),
        (EVENT + b'data: {"cho', True, None, ""),
        (b"", True, None, ""),
    ],
)
def test_text_outside_the_events_of_a_stream_is_found(
    end: bytes, is_whole: bool, error: str | None, stray: str
) -> None:
    assert stray_text(end, is_whole=is_whole) == (error, stray)


@given(st.text(min_size=1).filter(lambda text: text == text.strip()), st.integers(0, 3), st.booleans())
def test_an_error_is_found_anywhere_at_the_end(message: str, events: int, pretty: bool) -> None:
    error = json.dumps({"error": {"message": message}}, indent=2 if pretty else None).encode()
    found, _ = stray_text(EVENT * events + error + b"\n", is_whole=True)
    assert found == message


@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_can_be_described(body: bytes, streamed: bool) -> None:
    assert "\n" not in text_of(body)
    assert unfit_answer(head(), body, streamed=streamed)[1]
    stray_text(body, is_whole=streamed)
