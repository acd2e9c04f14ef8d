"""A conversation as the user and the model have it, and its form in a file, which is that of datasets. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

_ROLES = ("system", "user", "assistant")


class ConversationError(ValueError):
    """A text is not a conversation. One line."""


@dataclass(slots=True)
class Conversation:
    """`turns` are questions with their answers. An answer that was stopped is there as far as it came."""

    system: str | None = None
    turns: list[tuple[str, str]] = field(default_factory=list)

    def asked(self, question: str) -> list[dict[str, str]]:
        """The messages of a request with one more question."""
        return [*self.messages(), {"role": "user", "content": question}]

    def messages(self) -> list[dict[str, str]]:
        said = [] if self.system is None else [{"role": "system", "content": self.system}]
        for question, answer in self.turns:
            said += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        return said

    def json_line(self) -> str:
        """One row of a dataset, without the line's end."""
        return json.dumps({"messages": self.messages()}, ensure_ascii=False)


def read_conversation(line: str) -> Conversation:
    """The reverse of `json_line`. Raises `ConversationError`."""
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ConversationError(f"is not JSON: {error}") from None
    messages = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(messages, list) or not all(map(_is_message, messages)):
        raise ConversationError(f"has no list of messages with a role ({', '.join(_ROLES)}) and a content")
    system = messages[0]["content"] if messages and messages[0]["role"] == "system" else None
    said = messages if system is None else messages[1:]
    if [message["role"] for message in said] != ["user", "assistant"] * (len(said) // 2):
        raise ConversationError("must have messages of user and assistant in turn")
    contents = [message["content"] for message in said]
    return Conversation(system, list(zip(contents[::2], contents[1::2], strict=True)))


def _is_message(message: Any) -> bool:
    return isinstance(message, dict) and message.get("role") in _ROLES and isinstance(message.get("content"), str)
