from __future__ import annotations

import asyncio

import pytest

from mock_server.engine.base import ChatTurn
from mock_server.errors import ApiError
from mock_server.request.bodies import ChatRequestMessage
from mock_server.request.conversation import chat_turns


def turn(*, sees_images: bool = False, **message: object) -> ChatTurn:
    return asyncio.run(chat_turns([ChatRequestMessage.model_validate(message)], sees_images=sees_images))[0]


def test_text_parts_are_joined_to_a_string() -> None:
    text = {"type": "text", "text": "hi"}
    assert turn(role="user", content=[text]) == turn(role="user", content="hi") == ChatTurn("user", "hi")
    assert turn(role="user", content=[text, text]).content == "hi\nhi"


def test_an_assistants_message_may_have_no_content() -> None:
    assert turn(role="assistant", content=None) == ChatTurn("assistant", "")


@pytest.mark.parametrize(
    ("message", "param", "says"),
    [
        ({"role": "user"}, "messages.0.content", "is required for role 'user'"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {}}]},
            "messages.0.content.0.type",
            "'image_url'",
        ),
        ({"role": "user", "content": [{"type": "text"}]}, "messages.0.content.0.text", "is required"),
        ({"role": "assistant", "content": [{"type": "refusal"}]}, "messages.0.content.0.refusal", "is required"),
    ],
)
def test_parts_that_are_not_text_are_refused_by_name(message: dict[str, object], param: str, says: str) -> None:
    with pytest.raises(ApiError, match=says) as caught:
        turn(**message)
    assert caught.value.param == param


@pytest.mark.parametrize("text", ["", "{", '{"a": ', "[1]", "7", "null"])
def test_arguments_that_are_not_an_object_are_read_as_an_empty_one(text: str) -> None:
    """Such as one that was cut off: the conversation has to go on."""
    call = {"id": "call_1", "function": {"name": "f", "arguments": text}}
    (read,) = turn(role="assistant", tool_calls=[call]).fields["tool_calls"]
    assert read["function"] == {"name": "f", "arguments": {}}


def test_a_refusal_counts_as_text() -> None:
    part = {"type": "refusal", "refusal": "I cannot say."}
    assert turn(role="assistant", content=[part]) == ChatTurn("assistant", "I cannot say.")


def test_a_model_that_accepts_images_gets_them_before_the_text() -> None:
    text = {"type": "text", "text": "hi"}
    images = [
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}}
        for url in ("https://a.example/b.png", "data:image/png;base64,AAAA")
    ]
    assert turn(sees_images=True, role="user", content=[images[0], text, images[1]]) == ChatTurn("user", "hi", images=2)
    assert turn(sees_images=True, role="user", content=images) == ChatTurn("user", "", images=2)


@pytest.mark.parametrize(
    ("part", "param", "says"),
    [
        ({"type": "image_url"}, "image_url.url", "is required"),
        ({"type": "image_url", "image_url": {}}, "image_url.url", "is required"),
        ({"type": "image_url", "image_url": {"url": "/etc/passwd"}}, "image_url.url", "got '/etc/passwd'"),
        ({"type": "image_url", "image_url": {"url": "data:text/plain;base64,AA"}}, "image_url.url", "data:image/"),
        ({"type": "input_audio", "input_audio": {}}, "type", "reads text and images only"),
    ],
)
def test_other_parts_are_refused_by_a_model_that_accepts_images(part: dict[str, object], param: str, says: str) -> None:
    with pytest.raises(ApiError, match=says) as caught:
        turn(sees_images=True, role="user", content=[part])
    assert caught.value.param == f"messages.0.content.0.{param}"


def test_the_fields_of_calls_that_templates_use_are_kept() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    assert turn(role="assistant", content=None, tool_calls=[call]) == ChatTurn(
        "assistant", "", {"tool_calls": [{**call, "function": {"name": "f", "arguments": {"a": 1}}}]}
    )
    assert turn(role="tool", content="7", tool_call_id="call_1").fields == {"tool_call_id": "call_1"}
    assert turn(role="user", content="hi", name="Ann").fields == {"name": "Ann"}
