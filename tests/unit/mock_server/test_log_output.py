"""Log lines as JSON: one object each, whatever is logged."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mock_server.log_output import JsonFormatter, current_request, json_line


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


def test_an_exception_is_a_field() -> None:
    try:
        raise ValueError("out of\nluck")
    except ValueError as error:
        line = written(record("Exception in ASGI application\n", exc_info=(type(error), error, error.__traceback__)))
    assert line["message"] == "Exception in ASGI application"
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("ValueError: out of\nluck")


def test_the_request_that_is_worked_on_is_named() -> None:
    token = current_request.set("my-id")
    try:
        assert written(record("x"))["request_id"] == "my-id"
    finally:
        current_request.reset(token)
    assert "request_id" not in written(record("x"))


@given(st.text())
def test_any_text_is_a_line(text: str) -> None:
    assert written(record("%s", text))["message"] == text.strip()


def test_lone_surrogates_are_a_line() -> None:
    assert json.loads(json_line(logging.INFO, "\udc80"))["message"] == "\udc80"
