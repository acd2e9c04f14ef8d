"""Log lines as JSON: one object each, whatever text is logged."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.logs.output import JsonFormatter, TextFormatter, current_request, json_line
from mock_server.logs.text import printable


def record(message: str, *args: object, **fields: Any) -> logging.LogRecord:
    return logging.LogRecord("some.logger", logging.WARNING, __file__, 1, message, args, fields.get("exc_info"))


def written(of: logging.LogRecord) -> dict[str, Any]:
    line = JsonFormatter().format(of)
    assert "\n" not in line
    line.encode("ascii")
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_line_has_time_level_logger_and_message() -> None:
    logged = record("%d of %s", 3, "浙江")
    line = written(logged)
    time = datetime.fromisoformat(line.pop("time"))
    assert time.tzinfo == UTC
    assert abs(time.timestamp() - logged.created) < 0.001
    assert line == {"level": "WARNING", "logger": "some.logger", "message": "3 of 浙江"}


def test_an_exception_is_a_field_of_the_json_line() -> None:
    try:
        raise ValueError("out of\nluck")
    except ValueError as error:
        line = written(record("Exception in ASGI application\n", exc_info=(type(error), error, error.__traceback__)))
    assert line["message"] == "Exception in ASGI application"
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("ValueError: out of\nluck")


def test_a_line_has_the_id_of_the_request_being_handled() -> None:
    token = current_request.set("my-id")
    try:
        assert written(record("x"))["request_id"] == "my-id"
    finally:
        current_request.reset(token)
    assert "request_id" not in written(record("x"))


@given(st.text())
def test_any_text_becomes_one_line(text: str) -> None:
    assert written(record("%s", text))["message"] == printable(text.strip())


def test_lone_surrogates_become_one_line() -> None:
    assert json.loads(json_line(logging.INFO, "\udc80"))["message"] == "\\udc80"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, 中文 and \\x1b", "plain, 中文 and \\x1b"),
        ("a\nb\r\x85\u2028c", "a\\nb\\r\\x85\\u2028c"),
        ("\x1b[2J\x1b]0;t\x07", "\\x1b[2J\\x1b]0;t\\x07"),
        ("\x9b2J\x00\x7f", "\\x9b2J\\x00\\x7f"),
        ("\u202eabc\u2066\u200b\ufeff", "\\u202eabc\\u2066\\u200b\\ufeff"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_text_from_clients_cannot_forge_lines_or_control_a_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown
    line = TextFormatter().format(record("model %s", text))
    assert line.endswith(f"model {shown}")
    assert written(record("model %s", text))["message"] == f"model {shown}"


@given(st.text())
def test_a_record_becomes_one_line_of_text(text: str) -> None:
    line = TextFormatter().format(record("%s.", text))
    assert len(line.splitlines()) == 1
    assert line.isprintable()


def test_lines_of_a_traceback_are_indented_and_escaped() -> None:
    try:
        raise ValueError("x\n2026-01-01 INFO mock_server: forged\x1b[2J")
    except ValueError:
        failed = logging.LogRecord("n", logging.ERROR, "", 0, "failed\n", (), sys.exc_info())
    first, *rest = TextFormatter().format(failed).split("\n")
    assert first.endswith("failed")
    assert rest
    assert all(line.startswith("    ") and line.isprintable() for line in rest)
    assert "\x1b" not in written(failed)["exception"]
