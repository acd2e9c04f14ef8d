"""Sends requests as literal bytes, and checks that each response follows the rules for all responses."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from dataclasses import dataclass
from typing import Any, NoReturn

from tests.support.hostile_strategies import Call
from tests.support.serving import ROOT, Serving

ANSWER_LIMIT_S = 30.0
_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[bytes, bytes]
    body: bytes


def address(server: Serving) -> tuple[str, int]:
    host, _, port = server.root.removeprefix("http://").partition(":")
    return host, int(port)


def head(call: Call, key: str = "", *, connection: bytes = b"close") -> bytes:
    lines = [b"%b %b HTTP/1.1" % (call.method.encode("latin-1"), call.target.encode("utf-8", "surrogatepass"))]
    lines += [b"host: 127.0.0.1", b"connection: " + connection]
    lines += [b"%b: %b" % header for header in call.headers]
    if key:
        lines.append(b"authorization: Bearer " + key.encode())
    if call.body:
        lines.append(b"content-length: %d" % len(call.body))
    return b"\r\n".join([*lines, b"", b""])


def ask(server: Serving, call: Call, key: str = "") -> Answer:
    """One request on a connection of its own, and its answer, checked."""
    try:
        answers = exchange(server, head(call, key) + call.body, quiet_s=ANSWER_LIMIT_S, methods=(call.method,))
        assert len(answers) == 1, f"{len(answers)} answers"
    except AssertionError as error:
        error.add_note(f"{call.method} {call.target} {call.body[:500]!r} … {call.body[-500:]!r}")
        raise
    return answers[0]


def exchange(server: Serving, sent: bytes, *, quiet_s: float, methods: tuple[str, ...] = ()) -> list[Answer]:
    """The answers to some bytes, checked: as many as come before the server closes or is quiet for so long.

    `methods`: of the requests among the bytes, since a HEAD has an answer without a body.
    """
    with socket.create_connection(address(server), timeout=ANSWER_LIMIT_S) as connection:
        with contextlib.suppress(ConnectionError):  # the server has refused before it has read all
            connection.sendall(sent)
        return read_answers(connection, quiet_s, methods)


def read_answers(connection: socket.socket, quiet_s: float, methods: tuple[str, ...] = ()) -> list[Answer]:
    connection.settimeout(quiet_s)
    received = bytearray()
    with contextlib.suppress(ConnectionError, TimeoutError):
        while data := connection.recv(1 << 16):
            received += data
    answers, rest = [], bytes(received)
    while rest:
        method = methods[len(answers)] if len(answers) < len(methods) else "GET"
        answer, rest = _first(rest, has_body=method != "HEAD")
        check(answer)
        answers.append(answer)
    return answers


def _first(data: bytes, *, has_body: bool) -> tuple[Answer, bytes]:
    top, end, rest = data.partition(b"\r\n\r\n")
    assert end, f"the head of an answer is cut off: {data[:300]!r}"
    line, *fields = top.split(b"\r\n")
    found = re.fullmatch(rb"HTTP/1\.1 (\d{3}) [ -~]*", line)
    assert found, line
    headers = {}
    for field in fields:
        name, colon, value = field.partition(b":")
        assert colon, field
        assert re.fullmatch(rb"[!-~]+", name), field
        assert not _CONTROLS.search(value), field
        headers[name.lower()] = value.strip()
    if int(found[1]) == 100:
        return _first(rest, has_body=has_body)
    if not has_body and int(found[1]) not in (400, 431):  # those may be said before the method is known
        body = b""
    elif b"content-length" in headers:
        length = int(headers[b"content-length"])
        body, rest = rest[:length], rest[length:]
        assert len(body) == length, "an answer is cut off"
    elif headers.get(b"transfer-encoding") == b"chunked":
        body, rest = _unchunked(rest)
    else:
        body, rest = rest, b""
    return Answer(int(found[1]), headers, body), rest


def _unchunked(data: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, end, data = data.partition(b"\r\n")
        assert end, "a chunked answer is cut off"
        length = int(size, 16)
        chunk, data = data[:length], data[length + 2 :]
        body += chunk
        if not length:
            return body, data


def check(answer: Answer) -> None:
    """No defect, no path of this machine, and the form that the API promises."""
    status = answer.status
    assert status < 500 or (status == 503 and b"retry-after" in answer.headers), (status, answer.body[:500])
    assert str(ROOT).encode() not in answer.body
    kind = answer.headers.get(b"content-type", b"").partition(b";")[0]
    text = answer.body.decode()
    if kind == b"text/event-stream":
        _check_events(text)
    elif kind == b"application/json" and text:
        value = _parsed(text)
        if status >= 400:
            _check_error(value)
    elif status >= 400:  # a browser's question before a request is answered by Starlette
        assert not text or text.startswith("Disallowed CORS"), (status, kind, text[:300])


def _check_events(text: str) -> None:
    *events, after = text.split("\n\n")
    assert after == ""
    assert all(event.startswith("data: ") and "\n" not in event for event in events), text[:500]
    datas = [event.removeprefix("data: ") for event in events]
    assert datas[-1] == "[DONE]", datas[-1][:500]
    for data in datas[:-1]:
        value = _parsed(data)
        if "error" in value:
            _check_error(value)
            assert value["error"]["type"] == "invalid_request_error" or value["error"]["code"] == "engine_busy", value
        else:
            assert value["object"] in ("chat.completion.chunk", "text_completion")


def _check_error(value: Any) -> None:
    assert set(value) == {"error"}, value
    error = value["error"]
    assert set(error) == {"message", "type", "param", "code"}, error
    assert len(error["message"]) <= 1_000, error


def _parsed(text: str) -> Any:
    return json.loads(text, parse_constant=_no_such_number)


def _no_such_number(name: str) -> NoReturn:
    raise AssertionError(f"{name} is not JSON")
