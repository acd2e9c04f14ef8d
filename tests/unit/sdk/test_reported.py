"""Errors that a server reports with a success status: the same for a stream and for a whole answer."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from sdk import ProtocolError, SDKError, StreamServerError, XRequestConfig
from sdk.chunks import ChatCompletionStreamResponse
from sdk.deadline import Deadline, Timeouts
from sdk.reported import error_facts
from sdk.stream_reader import StreamReader
from sdk.transport.base import Block
from tests.support.wire import WireServer
from tests.unit.sdk.api import DONE, PIECE, STREAM, Api

OPENAI = {"error": {"message": "slow down", "type": "rate_limit", "param": "n", "code": 429}}
# (body, message, code)
BODIES: list[tuple[Any, str, str | int | None]] = [
    (OPENAI, "slow down", 429),
    ({"error": {"message": "slow down", "code": "rate_limited"}}, "slow down", "rate_limited"),
    ({"choices": None, "error": {"message": "slow down", "code": 429}}, "slow down", 429),
    ({"choices": [], "error": {"message": "slow down", "code": "429"}}, "slow down", "429"),
    ({"id": "x", "error": "slow down"}, "slow down", None),
    ({"error": "quota", "code": 429}, "quota", 429),
    ({"error": ["slow", "down"]}, "slow; down", None),
    ({"error": [{"message": "slow", "code": 1}, {"message": "down"}]}, "slow; down", 1),
    ([{"error": {"code": 503, "message": "no capacity", "status": "UNAVAILABLE"}}], "no capacity", 503),
    ({"error": True, "message": "slow down"}, "slow down", None),
    ({"error": 500}, "500", 500),
    ({"error": {"code": 500}}, '{"code": 500}', 500),
    ({"error": {"error": {"message": "inner"}}}, "inner", None),
    ({"error": {"message": {"detail": "inner"}}}, "inner", None),
    ({"error": {"msg": "other name"}}, "other name", None),
    ({"type": "error", "error": {"type": "overloaded_error", "message": "overloaded"}}, "overloaded", None),
    ({"object": "error", "message": "flat", "code": 400}, "flat", 400),
    ({"message": "API key error", "object": "error"}, "API key error", None),
    ({"object": "error", "code": 40303}, "", 40303),
    ({"status": 404, "error": "Not Found", "message": "no handler for it"}, "Not Found: no handler for it", 404),
    ({"detail": "Not Found"}, "Not Found", None),
    ({"detail": [{"loc": ["body", "n"], "msg": "too small"}]}, "body.n: too small", None),
    ({"detail": {"error": "no GPU"}}, "no GPU", None),
    ({"message": "no quota", "code": 1302}, "no quota", 1302),
    ({"choices": None, "message": "no quota"}, "no quota", None),
    ({"success": False, "msg": "no quota", "code": "E1"}, "no quota", "E1"),
    ({"errors": [{"detail": "no quota"}]}, "no quota", None),
]
NO_ERRORS: list[Any] = [
    {"error": {}},
    {"error": None},
    {"error": ""},
    {"error": " \n"},
    {"error": []},
    {"error": False},
    {"error": [{}, None]},
    {"error": {"message": "", "type": "", "param": None, "code": 0}},
    {"detail": []},
    {"message": {"role": "assistant", "content": "hi"}},
    [1],
    [],
    "text",
    None,
    3,
]
TEXT = {"choices": [{"index": 0, "message": {"content": "hi"}, "delta": {"content": "hi"}, "text": "hi"}]}


@pytest.mark.parametrize(("body", "message", "code"), BODIES)
def test_the_facts_of_an_error(body: Any, message: str, code: str | int | None) -> None:
    facts = error_facts(body)
    assert facts is not None
    assert (facts["server_message"], facts["code"]) == (message, code)


@pytest.mark.parametrize("body", NO_ERRORS)
def test_an_empty_error_is_not_an_error(body: Any) -> None:
    assert error_facts(body) is None


def whole_and_streamed(ask: Callable[..., Any], body: Any, **arguments: Any) -> list[SDKError]:
    """The errors of one body: as a whole answer, as an event of a stream, and instead of a stream."""
    data, found = json.dumps(body).encode(), []
    api = Api(m=True)
    plays: list[Callable[..., None]] = [
        lambda peer, _: peer.answer(data),
        lambda peer, _: api.stream(peer, b"data: %b\n\n" % data, DONE),
        lambda peer, _: peer.answer(data),
        lambda peer, _: peer.answer(data, headers="Content-Type: text/event-stream"),
    ]
    with WireServer(api.play) as server:
        for play, config in zip(plays, (None, STREAM, STREAM, STREAM), strict=True):
            api.chat = api.completion = play
            with pytest.raises(SDKError) as caught:
                ask(server.url, request_config=config, **arguments)
            assert caught.value.url is not None
            found.append(caught.value)
    return found


@pytest.mark.parametrize("is_chat", [True, False])
@pytest.mark.parametrize(("body", "message", "code"), BODIES)
def test_an_error_is_the_same_whole_and_streamed(
    ask: Callable[..., Any], body: Any, message: str, code: str | int | None, is_chat: bool
) -> None:
    errors = whole_and_streamed(ask, body, is_chat_request=is_chat)
    assert {type(error) for error in errors} == {StreamServerError}
    assert {(error.server_message, error.code) for error in errors if isinstance(error, StreamServerError)} == {
        (message, code)
    }
    assert len({error.message for error in errors}) == 1
    assert message in errors[0].message


@pytest.mark.parametrize("error", [{"message": "died", "code": 500}, "died", ["died"]])
def test_an_error_together_with_an_answer_is_raised_with_the_answer(ask: Callable[..., Any], error: Any) -> None:
    body = json.dumps(TEXT | {"error": error}).encode()
    api = Api(m=True)
    api.chat = lambda peer, asked: (
        api.stream(peer, b"data: %b\n\n" % body + PIECE, DONE) if asked.get("stream") else peer.answer(body)
    )
    with WireServer(api.play) as server:
        for stream in (False, True):
            with pytest.raises(StreamServerError, match="died") as caught:
                ask(server.url, request_config=XRequestConfig(stream=stream))
            assert caught.value.partial == "hi"


@pytest.mark.parametrize("body", [TEXT | error for error in NO_ERRORS if isinstance(error, dict) and "error" in error])
def test_an_answer_with_an_empty_error_is_returned(ask: Callable[..., Any], body: dict[str, Any]) -> None:
    api = Api(m=True)
    data = json.dumps(body).encode()
    api.chat = lambda peer, asked: (
        api.stream(peer, b"data: %b\n\n" % data, DONE) if asked.get("stream") else peer.answer(data)
    )
    with WireServer(api.play) as server:
        assert ask(server.url).choices[0].message.content == "hi"
        assert [chunk.choices[0].delta.content for chunk in ask(server.url, request_config=STREAM)] == ["hi"]


@pytest.mark.parametrize("body", [{"choices": None}, {"choices": []}, {"id": "x"}, {"choices": [], "error": {}}, {}])
def test_an_answer_without_choices_is_an_error(ask: Callable[..., Any], body: dict[str, Any]) -> None:
    for error in whole_and_streamed(ask, body):
        assert isinstance(error, ProtocolError)


def test_events_before_and_after_the_choices_do_not_matter(ask: Callable[..., Any]) -> None:
    api = Api(m=True)
    filtered = b'data: {"choices":[],"prompt_filter_results":[]}\n\n'
    api.chat = lambda peer, _: api.stream(peer, filtered, PIECE, filtered, DONE)
    with WireServer(api.play) as server:
        assert len(ask(server.url, request_config=STREAM)) == 1


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (b"event: error\ndata: the engine is gone\n\n", "the engine is gone"),
        (b'event: error\ndata: {"error":{}}\n\n', "error"),
        (b'event: error\ndata: {"text":"gone"}\n\n', "gone"),
        (b'event: error\ndata: {"message":"gone"}\n\n', "gone"),
        (b'event: status\ndata: {"error":"gone"}\n\n', "gone"),
        (b'error: {"code":500,"message":"gone"}\n\n', "gone"),
        (b'event: status\ndata: {"message":"loading"}\n\n', None),
        (b'event: status\ndata: {"choices":null,"detail":"x"}\n\n', None),
    ],
)
def test_events_that_name_a_type(event: bytes, says: str | None) -> None:
    reader = StreamReader(ChatCompletionStreamResponse, Deadline(Timeouts()))
    if says is None:
        assert reader.feed(Block(event, 0)) == []
    else:
        with pytest.raises(StreamServerError, match=says):
            reader.feed(Block(event, 0))


@pytest.mark.parametrize(
    ("code", "status"), [(429, 429), ("503", 503), (40303, None), ("rate", None), (200, None), (None, None)]
)
def test_a_code_that_is_an_http_status_is_the_status(code: str | int | None, status: int | None) -> None:
    error = StreamServerError("x", code=code)
    assert error.status == status
    assert pickle.loads(pickle.dumps(error)).status == status


def test_a_deeply_nested_error_is_still_an_error() -> None:
    body: Any = "x"
    for _ in range(900):
        body = {"error": body}
    assert error_facts(body) is not None
