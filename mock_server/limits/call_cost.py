"""The cost of the tool calls in a conversation. Their arguments are parsed, because templates expect values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mock_server.errors import bad_request
from mock_server.limits.json_text import most_values, nesting, num_values
from mock_server.request.bodies import ChatRequestMessage
from mock_server.request_limits import MAX_ARGUMENTS_LENGTH, MAX_ARGUMENTS_VALUES, MAX_NESTING


def check_calls(messages: Sequence[ChatRequestMessage]) -> None:
    """Raises `ApiError` (400) if the arguments of all calls together exceed what is parsed for one request."""
    length = marks = 0
    for field, arguments in _arguments(messages):
        length += len(arguments)
        marks += most_values(arguments)
        if length > MAX_ARGUMENTS_LENGTH:
            raise bad_request(
                f"{field}: the arguments of all calls have more than {MAX_ARGUMENTS_LENGTH} characters together: leave"
                " earlier calls out, or shorten them",
                param=field,
            )
        if nesting(arguments, MAX_NESTING) > MAX_NESTING:
            raise bad_request(
                f"{field} has objects and arrays nested more than {MAX_NESTING} deep: nest fewer of them", param=field
            )
    if marks > MAX_ARGUMENTS_VALUES:
        _check_values(messages)


def _check_values(messages: Sequence[ChatRequestMessage]) -> None:
    """Counts again, without what is inside strings."""
    values = 0
    for field, arguments in _arguments(messages):
        values += num_values(arguments)
        if values > MAX_ARGUMENTS_VALUES:
            raise bad_request(
                f"{field}: the arguments of all calls have more than {MAX_ARGUMENTS_VALUES} values and names together:"
                " leave earlier calls out, or shorten them",
                param=field,
            )


def _arguments(messages: Sequence[ChatRequestMessage]) -> Iterator[tuple[str, str]]:
    for number, message in enumerate(messages):
        for place, call in enumerate(message.tool_calls or ()):
            yield f"messages.{number}.tool_calls.{place}.function.arguments", call.function.arguments
