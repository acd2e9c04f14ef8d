"""The chat template of the bundled tokenizer: each message is its role's token, its images, its text, and an end token.

Tools and the wish to think are messages before the others, of roles of their own.
"""

import json
from collections.abc import Iterator, Sequence

from .base import DEFAULT_CHAT, ChatOptions, ChatTurn, asks_to_think
from .tokenizer import Tokenizer
from .vocabulary import IMAGE

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
    """Prompt ids. `continue_final` leaves the last message open, so that the model goes on with it."""
    special = tokenizer.special_ids
    ids: list[int] = []
    for turn in [*_wishes(options), *turns]:
        token = _ROLE_TOKENS.get(turn.role)
        if token is not None:
            ids.append(special[token])
        else:
            ids += [special["<|role|>"], *tokenizer.encode(turn.role), special["<|content|>"]]
        ids += [special[IMAGE]] * (turn.images * image_tokens)
        ids += tokenizer.encode(turn.content + _calls(turn))
        ids.append(special["<|end|>"])
    if options.continue_final:
        ids.pop()
    elif options.add_generation_prompt:
        ids.append(special["<|assistant|>"])
    return ids


def write_call(name: str, arguments: object) -> str:
    """A call as this model writes it, which is the form that most open models have."""
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments}, ensure_ascii=False)}\n</tool_call>"


def _wishes(options: ChatOptions) -> Iterator[ChatTurn]:
    if options.tools:
        yield ChatTurn(TOOLS_ROLE, json.dumps(list(options.tools), ensure_ascii=False))
    if asks_to_think(options):
        yield ChatTurn(THINKING_ROLE, str(options.template_kwargs.get("reasoning_effort") or "medium"))


def _calls(turn: ChatTurn) -> str:
    calls = [call["function"] for call in turn.fields.get("tool_calls", ())]
    return "".join("\n" + write_call(call["name"], call["arguments"]) for call in calls)
