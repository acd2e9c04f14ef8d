"""Reads a prompt of the simulated model back into the messages that its chat template wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import from_json

from mock_server.engine.author.chat_template import THINKING_ROLE, TOOLS_ROLE
from mock_server.engine.author.tokenizer import Tokenizer


class Message(NamedTuple):
    role: str
    content: str


class Conversation(NamedTuple):
    """`functions` are the tools' descriptions, each with a name. `effort` is how much to think; None: not at all."""

    messages: list[Message]
    functions: list[Mapping[str, Any]]
    effort: str | None

    @property
    def last(self) -> Message | None:
        return self.messages[-1] if self.messages else None


class PromptReader:
    """Reads what `chat_template` writes. A prompt that is not a conversation has no messages."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        special = tokenizer.special_ids
        self._decode = tokenizer.decode
        self._end, self._role, self._content = special["<|end|>"], special["<|role|>"], special["<|content|>"]
        self._roles = {special[f"<|{role}|>"]: role for role in ("system", "user", "assistant")}

    def has_wishes(self, token_ids: Sequence[int]) -> bool:
        """Whether the prompt has one of the special roles that announce tools and thinking."""
        return self._role in token_ids

    def read(self, token_ids: Sequence[int]) -> Conversation:
        messages: list[Message] = []
        functions: list[Mapping[str, Any]] = []
        effort: str | None = None
        for part in self._parts(token_ids):
            message = self._message(part)
            if message is None:
                continue
            if message.role == TOOLS_ROLE and not messages and (offered := _functions(message.content)):
                functions = offered
            elif message.role == THINKING_ROLE and not messages:
                effort = message.content
            else:
                messages.append(message)
        return Conversation(messages, functions, effort)

    def _parts(self, token_ids: Sequence[int]) -> list[list[int]]:
        """The complete messages. An open one at the end is the beginning of the answer."""
        parts: list[list[int]] = [[]]
        for token_id in token_ids:
            if token_id == self._end:
                parts.append([])
            else:
                parts[-1].append(token_id)
        return parts[:-1]

    def _message(self, part: list[int]) -> Message | None:
        if not part:
            return None
        if part[0] == self._role and self._content in part:
            border = part.index(self._content)
            return Message(self._decode(part[1:border]), self._decode(part[border + 1 :]))
        role = self._roles.get(part[0])
        return None if role is None else Message(role, self._decode(part[1:]))


def _functions(content: str) -> list[Mapping[str, Any]]:
    """Empty for a client's own message that has the role but not the format."""
    try:
        tools = from_json(content)
    except ValueError:
        return []
    functions = [tool.get("function") for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    return [found for found in functions if isinstance(found, dict) and isinstance(found.get("name"), str)]
