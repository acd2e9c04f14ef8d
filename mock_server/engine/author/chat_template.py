"""The chat template of the bundled tokenizer: each message is its role's token, its images, its text, and an end token.

Tools and a request to think are messages before the others, with special roles.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from mock_server.engine.author.tokenizer import Tokenizer
from mock_server.engine.author.vocabulary import IMAGE
from mock_server.engine.base import DEFAULT_CHAT, ChatOptions, ChatTurn, asks_to_think

_SHORT = 1_000
TOOLS_ROLE, THINKING_ROLE = "tools", "thinking"
_ROLE_TOKENS = {
    "system": "<|system|>",
    "developer": "<|system|>",
    "user": "<|user|>",
    "assistant": "<|assistant|>",
}


def render_chat(
    tokenizer: Tokenizer, turns: Sequence[ChatTurn], options: ChatOptions = DEFAULT_CHAT, *, image_tokens: int = 0
) -> list[int]:
    """Prompt ids. `continue_final` leaves the last message open, so that the model continues it."""
    ids: list[int] = []
    for piece in chat_pieces(tokenizer, all_turns(turns, options), options, image_tokens=image_tokens):
        ids += piece
    return ids


def all_turns(turns: Sequence[ChatTurn], options: ChatOptions) -> list[ChatTurn]:
    """The turns, after those of the template that describe tools and options."""
    return [*_wishes(options), *turns]


def chat_pieces(
    tokenizer: Tokenizer, turns: Sequence[ChatTurn], options: ChatOptions, *, image_tokens: int = 0
) -> Iterator[Sequence[int]]:
    """The ids of all turns, lazily, in pieces of about a thousand."""
    special = tokenizer.special_ids
    end = [special["<|end|>"]]
    for number, turn in enumerate(turns, 1):
        token = _ROLE_TOKENS.get(turn.role)
        if token is not None:
            opening = [special[token]]
        else:
            opening = [special["<|role|>"], *tokenizer.encode(turn.role), special["<|content|>"]]
        yield opening + [special[IMAGE]] * (turn.images * image_tokens)
        content = turn.content + calls_text(turn) if turn.fields else turn.content
        if len(content) <= _SHORT:
            yield tokenizer.encode(content)
        else:
            yield from tokenizer.pieces(content)
        if number < len(turns) or not options.continue_final:
            yield end
    if options.add_generation_prompt and not options.continue_final:
        yield [special["<|assistant|>"]]


def write_call(name: str, arguments: object) -> str:
    """A call as this model writes it, which is how most open models do."""
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments}, ensure_ascii=False)}\n</tool_call>"


def _wishes(options: ChatOptions) -> Iterator[ChatTurn]:
    if options.tools:
        yield ChatTurn(TOOLS_ROLE, f"[{', '.join([json.dumps(tool, ensure_ascii=False) for tool in options.tools])}]")
    if asks_to_think(options):
        yield ChatTurn(THINKING_ROLE, str(options.template_kwargs.get("reasoning_effort") or "medium"))


def calls_text(turn: ChatTurn) -> str:
    """The calls of a message, as written after its content."""
    calls = [call["function"] for call in turn.fields.get("tool_calls", ())]
    return "".join("\n" + write_call(call["name"], call["arguments"]) for call in calls)
