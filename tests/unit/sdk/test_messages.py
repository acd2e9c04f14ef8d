from __future__ import annotations

from pathlib import Path

import pytest
from openai.types.chat import ChatCompletionMessage

from sdk.errors import ConfigError
from sdk.messages import chat_messages
from sdk.types import ChatMessage


@pytest.mark.parametrize("history", [[("q", "a")], [["q", "a"]], (("q", "a"),)])
def test_history_may_be_any_pairs(history: list[tuple[str, str]]) -> None:
    assert chat_messages("next", history, "be brief") == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "next"},
    ]


def test_an_empty_system_prompt_is_sent_but_none_is_not() -> None:
    assert chat_messages("q", system="")[0] == {"role": "system", "content": ""}
    assert [m["role"] for m in chat_messages("q", [])] == ["user"]


def test_roles_name_each_turn() -> None:
    messages = chat_messages("r", [("q", "a")], roles=[("human", "bot"), ["tool", "bot"]])
    assert [m["role"] for m in messages] == ["human", "bot", "tool"]


def test_a_list_of_messages_is_sent_unchanged() -> None:
    own = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}, {"role": "tool", "content": "7"}]
    assert chat_messages(own, system="s") == [{"role": "system", "content": "s"}, *own]


def test_an_answer_may_be_used_as_a_message() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ours = ChatMessage.model_validate({"role": "assistant", "content": None, "tool_calls": [call], "audio": None})
    theirs = ChatCompletionMessage(role="assistant", content="hi")
    assert chat_messages([ours, theirs]) == [  # type: ignore[list-item]  # theirs is taken, if not in types
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "assistant", "content": "hi"},
    ]


def test_images_become_content_parts(tmp_path: Path) -> None:
    path = tmp_path / "dot.png"
    path.write_bytes(b"\x89PNG dot")
    [message] = chat_messages("what is it?", images=["https://h/a.jpg", path, b"\xff\xd8\xff jpeg", "data:x"])
    assert message["content"] == [
        {"type": "text", "text": "what is it?"},
        {"type": "image_url", "image_url": {"url": "https://h/a.jpg"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORyBkb3Q="}},
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/IGpwZWc="}},
        {"type": "image_url", "image_url": {"url": "data:x"}},
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"query": "q", "history": ["qa"]}, r"history\[0\]: 'qa' is not a pair"),
        ({"query": "q", "history": [("q", "a", "b")]}, r"history\[0\]"),
        ({"query": "q", "roles": [("a", "b"), ("a", "b")]}, "roles: 2 pairs for 0 turns"),
        ({"query": None}, "nothing to ask"),
        ({"query": {"role": "user", "content": "q"}}, "neither a text nor a list of messages"),
        ({"query": ["q"]}, "neither a text nor a list of messages"),
        ({"query": b"q"}, "neither a text nor a list of messages"),
        ({"query": 3}, "neither a text nor a list of messages"),
        ({"query": "q", "images": ["/no/such/file.png"]}, r"images\[0\]: cannot read"),
        ({"query": "q", "images": [7]}, r"images\[0\]: int"),
        ({"query": [{"role": "user", "content": "q"}], "images": ["x"]}, "inside the messages"),
    ],
)
def test_invalid_messages_are_refused_by_name(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        chat_messages(**arguments)  # type: ignore[arg-type]
