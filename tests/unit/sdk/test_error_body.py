from __future__ import annotations

import json
import pickle
from email.utils import formatdate
from time import time

import pytest

from sdk.error_body import retry_after_s, status_error
from sdk.errors import (
    AuthenticationError,
    BadRequestError,
    ModelNotFoundError,
    NotFoundError,
    RateLimitError,
    ServerError,
    ServiceUnavailableError,
    StatusError,
)
from sdk.transport.base import Head

NESTED = {"error": {"message": "no such model `x`", "type": "NotFoundError", "param": "model", "code": 404}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"error": {"message": "m"}}', BadRequestError),
        (422, b'{"detail": []}', BadRequestError),
        (401, b'{"error": "Unauthorized"}', AuthenticationError),
        (404, json.dumps(NESTED).encode(), ModelNotFoundError),
        (404, b'{"detail": "Not Found"}', NotFoundError),
        (429, b"", RateLimitError),
        (500, b"<html>oops</html>", ServerError),
        (503, b"", ServiceUnavailableError),
        (418, b"", StatusError),
    ],
)
def test_a_status_has_its_class(status: int, body: bytes, kind: type[StatusError]) -> None:
    error = status_error(Head(status, {"x-request-id": "r1"}), body, model="x")
    assert type(error) is kind
    assert (error.status, error.request_id, error.body) == (status, "r1", body)
    assert f"HTTP {status}" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"message":"too long","param":"messages"}}',
        b'{"error":"too long"}',
        b'{"object":"error","message":"too long"}',
        b'{"detail":"too long"}',
        b'{"detail":[{"loc":["body","messages"],"msg":"too long"}]}',
        b'[{"error":{"message":"too long"}}]',
        b'\xef\xbb\xbf{"error":"too long"}',
        b'event: error\ndata: {"error":{"message":"too long"}}\n\n',
        b'data: {"error":"too long"}',
        b"too long",
    ],
)
def test_the_message_quotes_the_server_in_every_form(body: bytes) -> None:
    error = status_error(Head(400, {}), body)
    assert error.message.startswith("HTTP 400: ")
    assert error.message.endswith("too long")
    assert (error.server_message or "too long").endswith("too long")


def test_a_body_that_is_not_json_is_quoted_and_cut() -> None:
    error = status_error(Head(502, {}), b"<html>\n  bad   gateway " + b"x" * 5000)
    assert "<html> bad gateway xxx" in error.message
    assert len(error.message) < 300


def test_an_error_keeps_the_servers_words_and_pickles() -> None:
    error = status_error(Head(404, {"retry-after": "2"}), json.dumps(NESTED).encode(), model="x")
    error.partial, error.attempts = "so far", 2
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is ModelNotFoundError
    assert again.__dict__ == error.__dict__
    assert str(again) == str(error)
    assert (again.code, again.param, again.type, again.retry_after_s) == (404, "model", "NotFoundError", 2.0)


NOW = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("-4", 0.0),
        ("Wed, 21 Oct 2015 07:28:07 GMT", 7.0),
        ("Wednesday, 21-Oct-15 07:28:07 GMT", 7.0),  # RFC 850
        ("Wed Oct 21 07:28:07 2015", 7.0),  # asctime, which names no zone
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
        ("Wed, 41 Oct 2015 07:28:00 GMT", None),
        ("soon", None),
        ("nan", None),
        ("1e999", 1e9),
        ("-inf", 0.0),
        ("9" * 5000, 1e9),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 1e9),
        ("", None),
    ],
)
def test_retry_after_counts_from_the_date_of_the_response(value: str, seconds: float | None) -> None:
    assert retry_after_s(Head(429, {"retry-after": value, "date": NOW})) == seconds


@pytest.mark.parametrize("date", [{}, {"date": "yesterday"}])
def test_retry_after_counts_from_now_without_a_date(date: dict[str, str]) -> None:
    soon = formatdate(time() + 30, usegmt=True)
    seconds = retry_after_s(Head(429, {"retry-after": soon, **date}))
    assert seconds is not None
    assert 20 < seconds <= 30
    assert retry_after_s(Head(429, {"retry-after": NOW, **date})) == 0.0
